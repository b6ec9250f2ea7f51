import { ok } from '../../util/result.js';
import type { CallResult, HclFunction } from '../context.js';
import { DYNAMIC, listOf, STRING } from '../types.js';
import { extentOf, stringValue } from '../values.js';
import { base64Decode, base64Encode, utf8Text } from './base64.js';
import { csvDecode } from './csv.js';
import { any, define, onText, refuse, text, textOf } from './define.js';
import { jsonDecode, jsonEncode } from './json.js';
import { yamlDecode } from './yaml-decode.js';
import { yamlEncode } from './yaml-encode.js';

const ENCODED_LENGTH_MAX = 64_000_000;

function encodedWith(encode: (value: Parameters<typeof jsonEncode>[0]) => string, name: string): HclFunction {
  return define([any(name, true)], STRING, ([value]) => {
    if (!value) return refuse('a value is required');
    if (extentOf(value).size > ENCODED_LENGTH_MAX / 2) return refuse('the result would be too long');
    const encoded = encode(value);
    return encoded.length > ENCODED_LENGTH_MAX ? refuse('the result would be too long') : ok(stringValue(encoded));
  });
}

function decodeText(encoded: string): CallResult {
  const bytes = base64Decode(encoded);
  if (!bytes) return refuse(`failed to decode base64 data '${encoded}'`);
  const decoded = utf8Text(bytes);
  return decoded === null
    ? refuse('the result of decoding the provided string is not valid UTF-8')
    : ok(stringValue(decoded));
}

/** As a value of a query: a space is +, and only letters, digits and `-_.~` stand for themselves. */
function urlEncode(value: string): string {
  return encodeURIComponent(value.replace(/[\ud800-\udfff]/gu, '\ufffd'))
    .replaceAll('%20', '+')
    .replace(/[!'()*]/g, (c) => `%${c.charCodeAt(0).toString(16).toUpperCase()}`);
}

/** The functions between values and texts of a format. */
export const ENCODING_FUNCTIONS: Record<string, HclFunction> = {
  jsonencode: encodedWith(jsonEncode, 'val'),
  jsondecode: define([text('str')], DYNAMIC, ([source]) => {
    const decoded = jsonDecode(textOf(source));
    return decoded.ok ? decoded : refuse(decoded.error);
  }),
  yamlencode: encodedWith(yamlEncode, 'value'),
  yamldecode: define([text('src')], DYNAMIC, ([source]) => {
    const decoded = yamlDecode(textOf(source));
    return decoded.ok ? decoded : refuse(decoded.error);
  }),
  base64encode: onText((value) => base64Encode(new TextEncoder().encode(value))),
  base64decode: define([text('str')], STRING, ([value]) => decodeText(textOf(value))),
  urlencode: onText(urlEncode),
  csvdecode: define([text('str')], listOf(DYNAMIC), ([source]) => csvDecode(textOf(source))),
};
