import { attributesOf, type Body, type Diagnostic, errorAt, evaluate, STANDARD_FUNCTIONS, toJs } from '../hcl/index.js';

/** The attributes of a body by name; `known` null = any. */
export function readAttributes(
  body: Body,
  known: readonly string[] | null,
  problems: Diagnostic[],
): Record<string, unknown> {
  const values: Record<string, unknown> = {};
  for (const { name, nameRange, expression } of attributesOf(body)) {
    if (known && !known.includes(name)) {
      problems.push(errorAt(nameRange, 'Unknown argument', `"${name}" is none of ${known.join(', ')}`));
      continue;
    }
    const result = evaluate(expression, { functions: STANDARD_FUNCTIONS });
    problems.push(...result.diagnostics);
    if (result.diagnostics.length === 0) values[name] = known ? toJs(result.value) : String(toJs(result.value));
  }
  return values;
}
