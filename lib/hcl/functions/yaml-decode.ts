import { err, ok, type Result } from '../../util/result.js';
import type { Value } from '../values.js';
import { YamlError, YamlParser } from '../yaml/parser.js';

/** The value of a YAML document: mappings are objects, sequences tuples. */
export function yamlDecode(source: string): Result<Value, string> {
  try {
    return ok(new YamlParser(source).document());
  } catch (cause) {
    if (cause instanceof YamlError) return err(cause.message);
    throw cause;
  }
}
