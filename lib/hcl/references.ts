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
  const found: Reference[] = [];
  collect(expression, new Set(), found);
  return found;
}

function collect(expression: Expression, bound: ReadonlySet<string>, found: Reference[]): void {
  if (expression.kind === 'traversal') {
    if (bound.has(expression.root)) return;
    found.push({ root: expression.root, steps: expression.steps, range: expression.range });
    return;
  }
  if (expression.kind === 'for') {
    collect(expression.collection, bound, found);
    const inner = new Set(bound).add(expression.valueName);
    if (expression.keyName !== null) inner.add(expression.keyName);
    for (const part of [expression.key, expression.value, expression.condition]) {
      if (part) collect(part, inner, found);
    }
    return;
  }
  // A long sum is a tree that leans to the left: it is walked down in a loop, since its depth has no limit.
  let node: Expression = expression as Expression;
  const rights: Expression[] = [];
  while (node.kind === 'binary') {
    rights.push(node.right);
    node = node.left;
  }
  if (rights.length > 0) {
    collect(node, bound, found);
    for (const right of rights.reverse()) collect(right, bound, found);
    return;
  }
  for (const child of children(expression)) collect(child, bound, found);
}

/** The expressions directly below one. */
function children(expression: Expression): readonly Expression[] {
  switch (expression.kind) {
    case 'literal':
    case 'traversal':
    case 'splat-item':
    case 'invalid':
      return [];
    case 'template':
      return expression.parts;
    case 'template-wrap':
      return [expression.wrapped];
    case 'template-join':
      return [expression.tuple];
    case 'relative-traversal':
      return [expression.source];
    case 'index':
      return [expression.collection, expression.key];
    case 'splat':
      return [expression.source, expression.each];
    case 'for':
      return [expression.collection, expression.key, expression.value, expression.condition].filter((x) => x !== null);
    case 'tuple':
      return expression.items;
    case 'object':
      return expression.items.flatMap(({ key, value }) => [key, value]);
    case 'object-key':
      return expression.name === null ? [expression.wrapped] : [];
    case 'conditional':
      return [expression.condition, expression.whenTrue, expression.whenFalse];
    case 'binary':
      return [expression.left, expression.right];
    case 'unary':
      return [expression.operand];
    case 'call':
      return expression.arguments;
    case 'parentheses':
      return [expression.inner];
  }
}
