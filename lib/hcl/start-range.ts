import type { Body, Expression } from './ast.js';
import type { SourceRange } from './diagnostics.js';
import { endOf, span } from './source-map.js';

/** Where something that is missing in a body is told: where the body begins. */
export function missingItemRange({ range }: Body): SourceRange {
  return { filename: range.filename, start: range.start, end: range.start };
}

/** The mark of an expression (HashiCorp's choice for each kind; mostly its first thing): at which a message points when the whole would be too much to underline. */
export function startRange(expression: Expression): SourceRange {
  let node = expression;
  for (;;) {
    switch (node.kind) {
      case 'traversal':
        return node.rootRange;
      case 'call':
        return span(node.nameRange, node.openRange);
      case 'tuple':
      case 'object':
      case 'for':
        return node.openRange;
      case 'unary':
        return node.operatorRange;
      case 'template': {
        const first = node.parts[0];
        if (!first) return endOf(node.range);
        node = first;
        break;
      }
      case 'splat':
        return node.markerRange;
      case 'index':
        return node.openRange;
      case 'parentheses':
        node = node.inner;
        break;
      case 'conditional':
        node = node.condition;
        break;
      case 'binary':
        node = node.left;
        break;
      default:
        return node.range;
    }
  }
}
