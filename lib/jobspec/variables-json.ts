import type { Diagnostic, Value } from '../hcl/index.js';
import { errorAt, fromJs } from '../hcl/index.js';
import { err, ok, type Result } from '../util/result.js';
import { parseJson } from './json-source.js';

/** The values of a variables file in JSON: an object, name → value. */
export function jsonValues(source: string, filename: string): Result<Map<string, Value>, Diagnostic> {
  const parsed = parseJson(source, filename);
  if (!parsed.ok) return parsed;
  const { value, start } = parsed.value;
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    return err(
      errorAt(start, 'Invalid variables file', 'The JSON of a variables file is an object: { "name": value }.'),
    );
  }
  return ok(new Map(Object.entries(value).map(([name, item]) => [name, fromJs(item)])));
}
