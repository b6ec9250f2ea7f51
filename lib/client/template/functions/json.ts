import {
  checkExtent,
  entriesOf,
  type Float,
  float,
  floatOf,
  kindOf,
  NO_VALUE,
  Struct,
  TextStruct,
  type Value,
} from '../../../template/index.js';

/** Nested deeper than any file a person writes. */
const DEPTH_MAX = 100;

/** A JSON text as Go reads it into interface {}: all numbers are floats. */
export function parseJson(text: string): Value {
  if (text === '') return new Map();
  try {
    return floats(JSON.parse(text), 0);
  } catch (error) {
    throw new Error(error instanceof Error ? error.message : String(error));
  }
}

function floats(value: unknown, depth: number): Value {
  if (depth > DEPTH_MAX) throw new Error(`JSON nested deeper than ${DEPTH_MAX}`);
  if (typeof value === 'number') return float(value);
  if (Array.isArray(value)) return value.map((item) => floats(item, depth + 1));
  if (value === null || typeof value !== 'object') return value;
  return new Map(Object.entries(value).map(([key, item]) => [key, floats(item, depth + 1)]));
}

export interface JsonOptions {
  /** Two blanks a level. */
  pretty: boolean;
  /** `<`, `>` and `&` as `\u003c` and so on, as Go writes them. */
  escapeHtml: boolean;
}

/** A value as Go writes it in JSON: keys sorted. */
export function jsonText(value: Value, { pretty, escapeHtml }: JsonOptions): string {
  checkExtent(value);
  const text = write(value, pretty ? '\n' : '', 0);
  // What ends a line for JavaScript is never left as it is.
  return text.replace(
    escapeHtml ? /[<>&\u2028\u2029]/g : /[\u2028\u2029]/g,
    (char) => `\\u${char.charCodeAt(0).toString(16).padStart(4, '0')}`,
  );
}

function write(value: Value, newLine: string, depth: number): string {
  if (depth > DEPTH_MAX) throw new Error(`nested deeper than ${DEPTH_MAX}`);
  if (value === NO_VALUE) return 'null';
  if (value instanceof TextStruct) return JSON.stringify(value.text);
  const inner = newLine === '' ? '' : `${newLine}  `;
  switch (kindOf(value)) {
    case 'int':
      return String(value);
    case 'float':
      return numberText(floatOf(value as number | Float));
    case 'list': {
      const items = (value as Value[]).map((item) => inner + write(item, inner, depth + 1));
      return items.length === 0 ? '[]' : `[${items.join(',')}${newLine}]`;
    }
    case 'map':
    case 'struct': {
      const entries = value instanceof Struct ? Object.entries(value.fields) : entriesOf(value as object);
      const colon = newLine === '' ? ':' : ': ';
      const items = entries.map(
        ([key, item]) => `${inner}${JSON.stringify(key)}${colon}${write(item, inner, depth + 1)}`,
      );
      return items.length === 0 ? '{}' : `{${items.join(',')}${newLine}}`;
    }
    case 'func':
      throw new Error('json: unsupported type: func');
    default:
      return JSON.stringify(value ?? null);
  }
}

function numberText(value: number): string {
  if (!Number.isFinite(value)) throw new Error(`json: unsupported value: ${value}`);
  // JavaScript and Go change to the exponent form at the same size, but for the zero in front of small exponents.
  return JSON.stringify(value).replace(/e-(\d)$/, 'e-0$1');
}
