import { createHash, createHmac } from 'node:crypto';
import { float, fn, int, type TemplateFunction, type Value } from '../../../template/index.js';
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

function decode64(text: string, alphabet: 'base64' | 'base64url'): string {
  const valid = alphabet === 'base64' ? /^[A-Za-z0-9+/\r\n]*={0,2}\s*$/ : /^[A-Za-z0-9_\-\r\n]*={0,2}\s*$/;
  if (!valid.test(text) || text.replace(/\s/g, '').length % 4 !== 0) {
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
  throw new Error(`parseBool: strconv.ParseBool: parsing ${JSON.stringify(text)}: invalid syntax`);
}

function parseFloatText(text: string): Value {
  if (text === '') return float(0);
  if (/^[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?$/.test(text)) return float(Number(text));
  throw new Error(`parseFloat: strconv.ParseFloat: parsing ${JSON.stringify(text)}: invalid syntax`);
}

function parseIntText(text: string, name: 'parseInt' | 'parseUint'): Value {
  if (text === '') return 0;
  const syntax = name === 'parseInt' ? /^[+-]?\d+$/ : /^\d+$/;
  const problem = (why: string): Error =>
    new Error(
      `${name}: strconv.${name === 'parseInt' ? 'ParseInt' : 'ParseUint'}: parsing ${JSON.stringify(text)}: ${why}`,
    );
  if (!syntax.test(text)) throw problem('invalid syntax');
  const value = BigInt(text.replace('+', ''));
  const [low, high] = name === 'parseInt' ? [-(2n ** 63n), 2n ** 63n - 1n] : [0n, 2n ** 64n - 1n];
  if (value < low || value > high) throw problem('value out of range');
  return int(value);
}
