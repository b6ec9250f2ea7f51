import { yamlDecode } from '../../../hcl/functions/yaml-decode.js';
import { type Value as HclValue, jsonEncode } from '../../../hcl/index.js';
import { entriesOf, type Float, floatOf, kindOf, printValue, Struct, type Value } from '../../../template/index.js';

/** Nested deeper than any file a person writes. */
const DEPTH_MAX = 100;

/** A YAML document: whole numbers are ints, others floats. */
export function parseYaml(text: string): Value {
  if (text === '') return {};
  const decoded = yamlDecode(text);
  if (!decoded.ok) throw new Error(decoded.error);
  return JSON.parse(jsonEncode(decoded.value as HclValue)) as Value;
}

/** A value as YAML in block style, with sorted keys and without the last line break. */
export function yamlText(value: Value): string {
  return block(value, '', 0).replace(/\n+$/, '');
}

function block(value: Value, indent: string, depth: number): string {
  if (depth > DEPTH_MAX) throw new Error(`nested deeper than ${DEPTH_MAX}`);
  if (Array.isArray(value)) {
    if (value.length === 0) return '[]\n';
    return value.map((item) => `${indent}- ${nested(item, `${indent}  `, depth).trimStart()}`).join('');
  }
  const kind = kindOf(value);
  if (kind !== 'map' && kind !== 'struct') return `${scalar(value)}\n`;
  const entries = value instanceof Struct ? Object.entries(value.fields) : entriesOf(value as object);
  if (entries.length === 0) return '{}\n';
  return entries
    .map(([key, item]) => {
      const isBlock = isFilled(item);
      // A list in a map stands at the map's own depth, as Go's yaml writes it.
      const below = Array.isArray(item) ? indent : `${indent}  `;
      return `${indent}${plain(key)}:${isBlock ? '\n' : ' '}${isBlock ? block(item, below, depth + 1) : block(item, '', depth + 1)}`;
    })
    .join('');
}

function nested(item: Value, indent: string, depth: number): string {
  return isFilled(item) ? block(item, indent, depth + 1) : block(item, '', depth + 1);
}

function isFilled(value: Value): boolean {
  if (Array.isArray(value)) return value.length > 0;
  if (value instanceof Struct) return true;
  return kindOf(value) === 'map' && entriesOf(value as object).length > 0;
}

function scalar(value: Value): string {
  switch (kindOf(value)) {
    case 'nil':
      return 'null';
    case 'string':
      return plain(value as string);
    case 'float':
      return printValue(floatOf(value as number | Float));
    default:
      return String(value);
  }
}

/** Texts that would be read as something else stand in quotes. */
function plain(text: string): string {
  const looksOther =
    /^(~|null|true|false|yes|no|on|off|y|n|\.inf|\.nan|[-+]?(\d[\d_]*(\.\d*)?|\.\d+)([eE][-+]?\d+)?|0x[\da-f]+|0o?[0-7]+|\d{4}-\d{1,2}-\d{1,2}.*)$/i;
  const special = /^[-?:,[\]{}#&*!|>'"%@`\s]|:\s|:$|\s#|\s$/;
  if (text === '') return '""';
  if (/[\u0000-\u001f\u007f-\u009f\ufeff]/.test(text)) return JSON.stringify(text);
  if (looksOther.test(text)) return JSON.stringify(text);
  return special.test(text) ? `'${text.replaceAll("'", "''")}'` : text;
}
