import type { Expression } from './ast.js';
import type { EvalContext } from './context.js';
import { type Diagnostic, errorAt } from './diagnostics.js';
import { UNKNOWN, type Value } from './values.js';

/** A value is always there: unknown where an error made it impossible. */
export interface Evaluated {
  readonly value: Value;
  readonly diagnostics: readonly Diagnostic[];
}

/** The value of an expression in a context. Never throws. */
export function evaluate(expression: Expression, _context: EvalContext): Evaluated {
  if (expression.kind === 'literal') return { value: expression.value, diagnostics: [] };
  return { value: UNKNOWN, diagnostics: [errorAt(expression.range, 'Invalid expression', 'Only literals are known.')] };
}
