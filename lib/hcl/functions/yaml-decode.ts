import { err, ok, type Result } from '../../util/result.js';
import type { Value } from '../values.js';
import { YamlError, YamlParser } from '../yaml/parser.js';

/** What a bare word means; null where it has no value. */
export type WordMeaning = (text: string) => Value | null;

/** The value of a YAML document: mappings are objects, sequences tuples. With `words` of one's own, of the first document. */
export function yamlDecode(source: string, options: { words?: WordMeaning } = {}): Result<Value, string> {
  try {
    if (!options.words) return ok(new YamlParser(source).document());
    return ok(new YamlParser(source, { plain: options.words, firstOfMany: true }).document());
  } catch (cause) {
    if (cause instanceof YamlError) return err(cause.message);
    throw cause;
  }
}
