import { err, ok, type Result } from '../../util/result.js';
import type { CallResult, HclFunction } from '../context.js';
import { bigFloatToString, parseBigFloat } from '../number.js';
import { DYNAMIC, listOf, STRING } from '../types.js';
import {
  boolValue,
  listValue,
  NULL,
  numberValue,
  objectValue,
  stringValue,
  tupleValue,
  type Value,
} from '../values.js';
import { any, define, refuse, text, textOf } from './define.js';

const JSON_LENGTH_MAX = 64_000_000;

/** The JSON text of a known value, as Go writes it: keys sorted, all digits of numbers, `<`, `>` and `&` escaped. */
export function jsonEncode(value: Value): string {
  switch (value.kind) {
    case 'string':
      return jsonString(value.value);
    case 'number':
      return bigFloatToString(value.value);
    case 'bool':
      return String(value.value);
    case 'null':
    case 'unknown':
      return 'null';
    case 'list':
    case 'set':
    case 'tuple':
      return `[${value.items.map(jsonEncode).join(',')}]`;
    case 'map':
    case 'object':
      return `{${[...value.entries].map(([key, item]) => `${jsonString(key)}:${jsonEncode(item)}`).join(',')}}`;
  }
}

function jsonString(value: string): string {
  return JSON.stringify(value).replace(
    /[<>&\u2028\u2029]/g,
    (c) => `\\u${c.charCodeAt(0).toString(16).padStart(4, '0')}`,
  );
}

const NUMBER_MARK = '\ufdd0number:';

/** The value of a JSON text; no digit of a number is lost. */
function jsonDecode(source: string): Result<Value, string> {
  // JSON.parse rounds numbers, so they travel through it as marked strings.
  const marked = source.replace(/"(?:[^"\\]|\\.)*"|-?[0-9][0-9.eE+-]*/g, (token) =>
    token.startsWith('"') || !/^-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?$/.test(token)
      ? token
      : JSON.stringify(NUMBER_MARK + token),
  );
  try {
    return ok(fromMarked(JSON.parse(marked)));
  } catch (cause) {
    return err((cause as Error).message);
  }
}

function fromMarked(parsed: unknown): Value {
  if (parsed === null) return NULL;
  if (typeof parsed === 'boolean') return boolValue(parsed);
  if (typeof parsed === 'string') {
    const number = parsed.startsWith(NUMBER_MARK) ? parseBigFloat(parsed.slice(NUMBER_MARK.length)) : null;
    return number ? numberValue(number) : stringValue(parsed);
  }
  if (Array.isArray(parsed)) return tupleValue(parsed.map(fromMarked));
  return objectValue(Object.entries(parsed as object).map(([key, item]) => [key, fromMarked(item)] as const));
}

const BASE64 = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/';

/** Standard base64 with padding. */
function base64Encode(bytes: Uint8Array): string {
  const digits: string[] = [];
  for (let i = 0; i < bytes.length; i += 3) {
    const [a = 0, b = 0, c = 0] = bytes.subarray(i, i + 3);
    const group = (a << 16) | (b << 8) | c;
    const present = Math.min(3, bytes.length - i) + 1;
    for (let j = 0; j < 4; j++) digits.push(j < present ? BASE64.charAt((group >> (18 - 6 * j)) & 63) : '=');
  }
  return digits.join('');
}

/** The bytes of standard base64 with padding; null when it is malformed. */
function base64Decode(encoded: string): Uint8Array | null {
  if (encoded.length % 4 !== 0 || !/^[A-Za-z0-9+/]*={0,2}$/.test(encoded)) return null;
  const digits = encoded.replace(/=+$/, '');
  const bytes = new Uint8Array((digits.length * 3) >> 2);
  let bits = 0;
  let held = 0;
  let at = 0;
  for (const digit of digits) {
    bits = ((bits << 6) | BASE64.indexOf(digit)) & 0xffffff;
    held += 6;
    if (held < 8) continue;
    held -= 8;
    bytes[at++] = (bits >> held) & 0xff;
  }
  return bytes;
}

function decodeText(encoded: string): CallResult {
  const bytes = base64Decode(encoded);
  if (!bytes) return refuse('failed to decode base64 data');
  try {
    return ok(stringValue(new TextDecoder('utf-8', { fatal: true }).decode(bytes)));
  } catch {
    return refuse('the result of decoding the provided string is not valid UTF-8');
  }
}

/** The fields of CSV (RFC 4180), line by line; the error says where it is broken. */
function parseCsv(source: string): Result<string[][], string> {
  const rows: string[][] = [];
  let row: string[] = [];
  let at = 0;
  while (at < source.length) {
    const quoted = source.charAt(at) === '"';
    const field = /"((?:[^"]|"")*)"|([^",\r\n]*)/y;
    field.lastIndex = at;
    const match = field.exec(source);
    if (!match || (quoted && match[1] === undefined)) return err(`quote without end on line ${rows.length + 1}`);
    row.push(quoted ? (match[1] ?? '').replaceAll('""', '"') : (match[2] ?? ''));
    at = field.lastIndex;
    const c = source.charAt(at);
    if (c === ',') {
      at++;
      if (at === source.length) row.push('');
      continue;
    }
    if (c !== '' && c !== '\n' && c !== '\r') return err(`bare " in a field on line ${rows.length + 1}`);
    at += source.startsWith('\r\n', at) ? 2 : 1;
    if (row.length > 1 || row[0] !== '') rows.push(row);
    row = [];
  }
  if (row.length > 0) rows.push(row);
  return ok(rows);
}

function csvDecode(source: string): CallResult {
  const parsed = parseCsv(source);
  if (!parsed.ok) return refuse(parsed.error);
  const [header, ...rows] = parsed.value;
  if (!header) return refuse('missing header line');
  if (new Set(header).size !== header.length) return refuse('duplicate column name in the header line');
  const objects: Value[] = [];
  for (const [i, row] of rows.entries()) {
    if (row.length !== header.length) return refuse(`record on line ${i + 2}: wrong number of fields`);
    objects.push(objectValue(header.map((name, column) => [name, stringValue(row[column] ?? '')] as const)));
  }
  const element = { kind: 'object' as const, attributes: new Map(header.map((name) => [name, STRING])) };
  return ok(listValue(element, objects));
}

function urlEncode(value: string): string {
  return encodeURIComponent(value)
    .replaceAll('%20', '+')
    .replace(/[!'()*]/g, (c) => `%${c.charCodeAt(0).toString(16).toUpperCase()}`);
}

/** The functions between values and texts of a format. */
export const ENCODING_FUNCTIONS: Record<string, HclFunction> = {
  jsonencode: define([any('val', true)], STRING, ([value]) => {
    const encoded = value ? jsonEncode(value) : 'null';
    return encoded.length > JSON_LENGTH_MAX ? refuse('the result would be too long') : ok(stringValue(encoded));
  }),
  jsondecode: define([text('str')], DYNAMIC, ([source]) => {
    const decoded = jsonDecode(textOf(source));
    return decoded.ok ? decoded : refuse(decoded.error, 0);
  }),
  base64encode: define([text('str')], STRING, ([value]) =>
    ok(stringValue(base64Encode(new TextEncoder().encode(textOf(value))))),
  ),
  base64decode: define([text('str')], STRING, ([value]) => decodeText(textOf(value))),
  urlencode: define([text('str')], STRING, ([value]) => ok(stringValue(urlEncode(textOf(value))))),
  csvdecode: define([text('str')], listOf(DYNAMIC), ([source]) => csvDecode(textOf(source))),
};
