import type { Diagnostic, SourceRange } from '../hcl/index.js';
import { errorAt, lengthProblem } from '../hcl/index.js';
import { err, ok, type Result } from '../util/result.js';

/** Parses JSON with the place of a syntax error. `start` is the first character, for errors about the whole. */
export function parseJson(
  source: string,
  filename: string,
): Result<{ value: unknown; start: SourceRange }, Diagnostic> {
  const tooLong = lengthProblem(source, filename);
  if (tooLong) return err(tooLong);
  try {
    return ok({
      value: JSON.parse(source.replace(/^\uFEFF/, '')) as unknown,
      start: rangeAt(source, filename, source.search(/\S|$/)),
    });
  } catch (error) {
    const message = error instanceof Error ? error.message : String(error);
    const position = /at position (\d+)/.exec(message)?.[1];
    // Some of the engine's messages quote the text instead of telling a position.
    const fallback = /end of JSON/.test(message) ? source.length : source.search(/\S|$/);
    const index = position === undefined ? fallback : Number(position);
    const why = message.replace(/ \(line \d+ column \d+\)$/, '').replace(/ (in JSON )?at position \d+$/, '');
    return err(errorAt(rangeAt(source, filename, index), 'Invalid JSON', `The file is not valid JSON: ${why}.`));
  }
}

function rangeAt(source: string, filename: string, index: number): SourceRange {
  const before = source.slice(0, index);
  const line = before.split('\n').length;
  const column = [...before.slice(before.lastIndexOf('\n') + 1)].length + 1;
  const byte = new TextEncoder().encode(before).length;
  const start = { line, column, byte, index };
  return { filename, start, end: { line, column: column + 1, byte: byte + 1, index: index + 1 } };
}
