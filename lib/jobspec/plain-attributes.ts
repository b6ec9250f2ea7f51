import { attributesOf, type Body, type Diagnostic, errorAt, evaluate, STANDARD_FUNCTIONS, toJs } from '../hcl/index.js';

/** The attributes of a body by name; `known` null = any; `blocks` are what else may be there, for who looks for the right name. */
export function readAttributes(
  body: Body,
  known: readonly string[] | null,
  problems: Diagnostic[],
  blocks: readonly string[] = [],
): Record<string, unknown> {
  const values: Record<string, unknown> = {};
  for (const { name, nameRange, expression } of attributesOf(body)) {
    if (known && !known.includes(name)) {
      const words = [...new Set([...known, ...blocks])].join(', ');
      const wrong = blocks.includes(name)
        ? `"${name}" is a block: write it without =`
        : `"${name}" is none of ${words}`;
      problems.push(errorAt(nameRange, 'Unknown argument', wrong));
      continue;
    }
    const result = evaluate(expression, { functions: STANDARD_FUNCTIONS });
    problems.push(...result.diagnostics);
    if (result.diagnostics.length === 0) values[name] = known ? toJs(result.value) : String(toJs(result.value));
  }
  return values;
}
