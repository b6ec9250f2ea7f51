import { yamlDecode } from '../../../hcl/functions/yaml-decode.js';
import { bigFloatToString, type Value as HclValue, numberValue, stringValue, toDouble } from '../../../hcl/index.js';
import { plainScalar } from '../../../hcl/yaml/scalar.js';
import {
  checkExtent,
  entriesOf,
  type Float,
  float,
  int,
  kindOf,
  NO_VALUE,
  printValue,
  quote,
  Struct,
  sprintf,
  TextStruct,
  type Value,
} from '../../../template/index.js';

/** Nested deeper than any file a person writes. */
const DEPTH_MAX = 100;

/** A YAML document, the first of several: whole numbers are ints, others floats. */
export function parseYaml(text: string): Value {
  if (text === '') return new Map();
  if (/^(\s|#.*)*$/.test(text)) return null;
  const decoded = yamlDecode(text, { words: word });
  if (!decoded.ok) throw new Error(decoded.error);
  return fromHcl(decoded.value);
}

/** A bare word as yaml.v2 has it: numbers as in Go's source (010 is octal), and dates stay as they are. */
function word(text: string): HclValue | null {
  const [, sign = '', digits = ''] = /^([-+]?)(\d[\d_a-fox]*)$/i.exec(text) ?? [];
  const plain = digits.replaceAll('_', '').toLowerCase();
  const whole = /^0[0-7]+$/.test(plain) ? `0o${plain.slice(1)}` : plain;
  if (/^(\d+|0x[\da-f]+|0o[0-7]+|0b[01]+)$/.test(whole)) return numberValue(BigInt(whole) * (sign === '-' ? -1n : 1n));
  return /^\d{4}-\d/.test(text) ? stringValue(text) : plainScalar(text);
}

function fromHcl(value: HclValue): Value {
  switch (value.kind) {
    case 'tuple':
      return value.items.map(fromHcl);
    case 'object':
      return new Map([...value.entries].map(([key, item]) => [key, fromHcl(item)]));
    case 'number': {
      const digits = bigFloatToString(value.value);
      return /^-?\d+$/.test(digits) ? int(BigInt(digits)) : float(toDouble(value.value));
    }
    case 'string':
    case 'bool':
      return value.value;
    default:
      return null;
  }
}

/** A value as YAML in block style, with sorted keys and without the last line break. */
export function yamlText(value: Value): string {
  checkExtent(value);
  return block(value, '', 0).replace(/\n+$/, '');
}

function block(value: Value, indent: string, depth: number): string {
  if (depth > DEPTH_MAX) throw new Error(`nested deeper than ${DEPTH_MAX}`);
  if (Array.isArray(value)) {
    if (value.length === 0) return '[]\n';
    return value.map((item) => `${indent}- ${block(item, `${indent}  `, depth + 1).replace(/^ +/, '')}`).join('');
  }
  const entries = entriesIn(value);
  if (entries === null) return `${scalar(value, `${indent}${indent === '' ? '  ' : ''}`)}\n`;
  if (entries.length === 0) return '{}\n';
  return entries.map(([key, item]) => `${indent}${plain(key)}:${entryText(item, indent, depth + 1)}`).join('');
}

function entryText(item: Value, indent: string, depth: number): string {
  if (!isFilled(item)) return ` ${block(item, `${indent}  `, depth)}`;
  // A list in a map stands at the map's own depth, as Go's yaml writes it.
  return `\n${block(item, Array.isArray(item) ? indent : `${indent}  `, depth)}`;
}

function entriesIn(value: Value): readonly (readonly [string, Value])[] | null {
  if (value instanceof TextStruct || value === NO_VALUE) return null;
  if (value instanceof Struct) return Object.entries(value.fields);
  return kindOf(value) === 'map' ? entriesOf(value as object) : null;
}

function isFilled(value: Value): boolean {
  return Array.isArray(value) ? value.length > 0 : (entriesIn(value) ?? []).length > 0;
}

function scalar(value: Value, indent: string): string {
  if (value === NO_VALUE) return 'null';
  if (value instanceof TextStruct) return scalar(value.text, indent);
  switch (kindOf(value)) {
    case 'nil':
      return 'null';
    case 'string':
      return isLiteral(value as string) ? literal(value as string, indent) : plain(value as string);
    case 'float':
      return floatText(value as number | Float);
    default:
      return printValue(value);
  }
}

function floatText(value: number | Float): string {
  const text = sprintf('%v', [value]);
  return { NaN: '.nan', '+Inf': '.inf', '-Inf': '-.inf' }[text] ?? text;
}

/** Texts of several lines stand as they are, where nothing in them would be lost. */
function isLiteral(text: string): boolean {
  return text.includes('\n') && !/ \n| $|[^\n\x20-\x7e\u00a0-\u{10ffff}]|[\u2028\u2029\ufeff\ufffe\uffff]/u.test(text);
}

function literal(text: string, indent: string): string {
  const lead = /^[ \n]/.test(text) ? '2' : '';
  const keep = text.endsWith('\n') ? (/^\n*$|\n\n$/.test(text) ? '+' : '') : '-';
  const lines = text.replace(/\n$/, '').split('\n');
  return `|${lead}${keep}${lines.map((line) => `\n${line === '' ? '' : indent + line}`).join('')}`;
}

/** Texts that would be read as something else stand in quotes. */
function plain(text: string): string {
  const looksOther =
    /^(~|null|true|false|yes|no|on|off|y|n|[-+]?\.inf|\.nan|[-+]?(\d[\d_]*(\.[\d_]*)?|\.\d+)([eE][-+]?\d+)?|[-+]?0x[\da-f_]+|[-+]?0o?[0-7_]+|[-+]?0b[01_]+|\d{4}-\d{1,2}-\d{1,2}.*|[-+]?\d[\d_]*(:[0-5]?\d)+(\.\d*)?)$/i;
  const special = /^([,[\]{}#&*!|>'"%@`\s]|[-?:](\s|$)|---|\.\.\.)|:\s|:$|\s#|\s$/;
  if (text === '') return '""';
  if (/[\u0000-\u001f\u007f-\u009f\u2028\u2029\ufeff]/.test(text)) return quote(text);
  if (looksOther.test(text)) return quote(text);
  return special.test(text) ? `'${text.replaceAll("'", "''")}'` : text;
}
