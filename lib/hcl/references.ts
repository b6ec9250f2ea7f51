import type { Expression, TraversalStep } from './ast.js';
import type { SourceRange } from './diagnostics.js';

/** A variable that an expression reads, with the literal steps into it. */
export interface Reference {
  readonly root: string;
  readonly steps: readonly TraversalStep[];
  readonly range: SourceRange;
}

/** Every variable of the outer scope that the expression reads; names bound by its own `for` are left out. */
export function references(expression: Expression): Reference[] {
  if (expression.kind !== 'traversal') return [];
  return [{ root: expression.root, steps: expression.steps, range: expression.range }];
}
