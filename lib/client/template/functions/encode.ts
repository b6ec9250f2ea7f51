import { createHash, createHmac } from 'node:crypto';
import { float, fn, int, quote, type TemplateFunction, type Value } from '../../../template/index.js';
import { textOf } from './arguments.js';
import { jsonText, parseJson } from './json.js';
import { tomlText } from './toml.js';
import { parseYaml, yamlText } from './yaml.js';

/** Functions between texts and values, and over bytes. */
export const ENCODE_FUNCTIONS: Readonly<Record<string, TemplateFunction>> = {
  base64Decode: fn(1, (text) => decode64(textOf(text), 'base64')),
  base64Encode: fn(1, (text) => Buffer.from(textOf(text)).toString('base64')),
  base64URLDecode: fn(1, (text) => decode64(textOf(text), 'base64url')),
  base64URLEncode: fn(1, (text) => encodeUrl64(textOf(text))),
  hmacSHA256Hex: fn(2, (message, key) => createHmac('sha256', textOf(key)).update(textOf(message)).digest('hex')),
  md5sum: fn(1, (text) => hash('md5', textOf(text))),
  parseBool: fn(1, (text) => parseBool(textOf(text))),
  parseFloat: fn(1, (text) => parseFloatText(textOf(text))),
  parseInt: fn(1, (text) => parseIntText(textOf(text), 'parseInt')),
  parseJSON: fn(1, (text) => parseJson(textOf(text))),
  parseUint: fn(1, (text) => parseIntText(textOf(text), 'parseUint')),
  parseYAML: fn(1, (text) => parseYaml(textOf(text))),
  sha256Hex: fn(1, (text) => hash('sha256', textOf(text))),
  toJSON: fn(1, (value) => jsonText(value, { pretty: false, escapeHtml: true })),
  toJSONPretty: fn(1, (value) => jsonText(value, { pretty: true, escapeHtml: true })),
  toTOML: fn(1, (value) => tomlText(value)),
  toUnescapedJSON: fn(1, (value) => jsonText(value, { pretty: false, escapeHtml: false })),
  toUnescapedJSONPretty: fn(1, (value) => jsonText(value, { pretty: true, escapeHtml: false })),
  toYAML: fn(1, (value) => yamlText(value)),
};

export function hash(algorithm: 'md5' | 'sha1' | 'sha256' | 'sha512', text: string): string {
  return createHash(algorithm).update(text).digest('hex');
}

export function decode64(text: string, alphabet: 'base64' | 'base64url'): string {
  const valid = alphabet === 'base64' ? /^[A-Za-z0-9+/\r\n]*={0,2}[\r\n]*$/ : /^[A-Za-z0-9_\-\r\n]*={0,2}[\r\n]*$/;
  if (!valid.test(text) || text.replace(/[\r\n]/g, '').length % 4 !== 0) {
    throw new Error(`${alphabet === 'base64' ? 'base64Decode' : 'base64URLDecode'}: illegal base64 data`);
  }
  return Buffer.from(text, alphabet).toString('utf8');
}

/** With padding, as Go's URLEncoding. */
function encodeUrl64(text: string): string {
  const plain = Buffer.from(text).toString('base64url');
  return plain + '='.repeat((4 - (plain.length % 4)) % 4);
}

/** '' is false, as in Consul Template. */
export function parseBool(text: string): boolean {
  if (['1', 't', 'T', 'true', 'TRUE', 'True'].includes(text)) return true;
  if (['', '0', 'f', 'F', 'false', 'FALSE', 'False'].includes(text)) return false;
  throw new Error(`parseBool: strconv.ParseBool: parsing ${quote(text)}: invalid syntax`);
}

function parseFloatText(text: string): Value {
  if (text === '') return float(0);
  const problem = (why: string): Error => new Error(`parseFloat: strconv.ParseFloat: parsing ${quote(text)}: ${why}`);
  const value = floatFromText(text);
  if (value === null) throw problem('invalid syntax');
  if (!Number.isFinite(value) && /\d/.test(text)) throw problem('value out of range');
  return float(value);
}

/** No number is written longer. */
const NUMBER_CHARS_MAX = 2_000;

/** A float as Go's strconv reads it, null when the text is none: also `inf`, `NaN`, and hexadecimal with its exponent. */
export function floatFromText(text: string): number | null {
  if (text.length > NUMBER_CHARS_MAX) return null;
  const [, sign = '', digits = ''] = /^([+-]?)(.*)$/s.exec(text) ?? [];
  const body = digits.replace(/(?<=[\da-f])_(?=[\da-f])/gi, '');
  const signed = (value: number): number => (sign === '-' ? -value : value);
  if (/^(inf|infinity)$/i.test(body)) return signed(Infinity);
  if (/^nan$/i.test(text)) return Number.NaN;
  if (/^(\d+\.?\d*|\.\d+)(e[+-]?\d+)?$/i.test(body)) return signed(Number(body));
  const hex = /^0x([\da-f]*)\.?([\da-f]*)p([+-]?\d+)$/i.exec(body);
  if (!hex || `${hex[1]}${hex[2]}` === '') return null;
  return signed(Number(`0x${hex[1]}${hex[2]}`) * 2 ** (Number(hex[3]) - 4 * (hex[2] ?? '').length));
}

export function parseIntText(text: string, name: 'parseInt' | 'parseUint'): Value {
  if (text === '') return 0;
  const syntax = name === 'parseInt' ? /^[+-]?\d+$/ : /^\d+$/;
  const problem = (why: string): Error =>
    new Error(`${name}: strconv.${name === 'parseInt' ? 'ParseInt' : 'ParseUint'}: parsing ${quote(text)}: ${why}`);
  if (text.length > NUMBER_CHARS_MAX || !syntax.test(text)) throw problem('invalid syntax');
  const value = BigInt(text.replace('+', ''));
  const [low, high] = name === 'parseInt' ? [-(2n ** 63n), 2n ** 63n - 1n] : [0n, 2n ** 64n - 1n];
  if (value < low || value > high) throw problem('value out of range');
  return int(value);
}

const ALPHABET_32 = 'ABCDEFGHIJKLMNOPQRSTUVWXYZ234567';

/** Base 32 of RFC 4648, with padding. */
export function encode32(text: string): string {
  let [out, held, bits] = ['', 0, 0];
  for (const byte of Buffer.from(text)) {
    held = (held << 8) | byte;
    for (bits += 8; bits >= 5; bits -= 5) out += ALPHABET_32[(held >> (bits - 5)) & 31];
    held &= 31;
  }
  if (bits > 0) out += ALPHABET_32[(held << (5 - bits)) & 31];
  return out + '='.repeat((8 - (out.length % 8)) % 8);
}

/** The text that was encoded so; what Go says when it was not. */
export function decode32(text: string): string {
  const plain = text.replace(/[\r\n]/g, '');
  const bad = plain.search(/[^A-Z2-7=]|=(?=[^=])/);
  if (bad >= 0 || plain.length % 8 !== 0) return `illegal base32 data at input byte ${bad < 0 ? plain.length : bad}`;
  const bytes: number[] = [];
  let [held, bits] = [0, 0];
  for (const char of plain) {
    if (char === '=') break;
    held = (held << 5) | ALPHABET_32.indexOf(char);
    bits += 5;
    if (bits < 8) continue;
    bits -= 8;
    bytes.push((held >> bits) & 255);
    held &= 255;
  }
  return Buffer.from(bytes).toString('utf8');
}
