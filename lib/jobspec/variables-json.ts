import type { Diagnostic, SourceRange, Value } from '../hcl/index.js';
import { errorAt, evaluate, parseJson } from '../hcl/index.js';
import { err, ok, type Result } from '../util/result.js';

/** The values of a variables file in JSON, an object name → value, each with its place. No digit of a number is lost. */
export function jsonValues(
  source: string,
  filename: string,
): Result<{ name: string; value: Value; range: SourceRange }[], Diagnostic> {
  const { expression, diagnostics } = parseJson(source, filename);
  const [problem] = diagnostics;
  if (problem) return err(problem);
  if (expression.kind !== 'object') {
    const detail = 'The JSON of a variables file is an object: { "name": value }.';
    return err(errorAt(expression.range, 'Invalid variables file', detail));
  }
  return ok(
    expression.items.flatMap(({ key, value }) => {
      const name = evaluate(key, {}).value;
      return name.kind === 'string' ? [{ name: name.value, value: evaluate(value, {}).value, range: value.range }] : [];
    }),
  );
}
