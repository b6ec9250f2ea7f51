import { err, ok, type Result } from '../../util/result.js';
import { parseJson } from '../json.js';
import { bigFloatToString, parseBigFloat } from '../number.js';
import { boolValue, NULL, numberValue, objectValue, stringValue, tupleValue, type Value } from '../values.js';

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

/** Go escapes what a web page could stumble over. */
export function jsonString(value: string): string {
  return JSON.stringify(value).replace(
    /[<>&\u2028\u2029]/g,
    (c) => `\\u${c.charCodeAt(0).toString(16).padStart(4, '0')}`,
  );
}

const NUMBER_MARK = '\ufdd0number:';

/** The value of a JSON text; no digit of a number is lost. */
export function jsonDecode(source: string): Result<Value, string> {
  // JSON.parse rounds numbers, so they travel through it as marked strings.
  const marked = source.replace(/"(?:[^"\\]|\\.)*"|-?[0-9][0-9.eE+-]*/g, (token) =>
    token.startsWith('"') || !/^-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?$/.test(token)
      ? token
      : JSON.stringify(NUMBER_MARK + token),
  );
  try {
    return ok(fromMarked(JSON.parse(marked)));
  } catch {
    return err(whyNotJson(source));
  }
}

function whyNotJson(source: string): string {
  const [problem] = parseJson(source, 'json').diagnostics;
  if (!problem) return 'it is not valid JSON';
  const { line, column } = problem.subject.start;
  return `it is not valid JSON, line ${line}, column ${column}: ${problem.summary}`;
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
