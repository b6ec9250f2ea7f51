import type { Expression } from './ast.js';
import { formatRange, type SourceRange } from './diagnostics.js';
import { endOf, span, startOf } from './source-map.js';
import type { TemplatePart } from './template-parser.js';
import { NESTING_MAX, type TokenStream } from './token-stream.js';
import { stringValue } from './values.js';

type Part<K extends TemplatePart['kind']> = TemplatePart & { readonly kind: K };
type Branch = 'else' | 'endif' | 'endfor';

/** Pairs the directives of a template: `%{ if }` becomes a conditional, `%{ for }` a join. The last part is `end`. */
export function treeOfTemplate(stream: TokenStream, parts: readonly TemplatePart[]): Expression[] {
  return new TreeBuilder(stream, parts).root();
}

class TreeBuilder {
  readonly #stream: TokenStream;
  readonly #parts: readonly TemplatePart[];
  #next = 0;
  #depth = 0;

  constructor(stream: TokenStream, parts: readonly TemplatePart[]) {
    this.#stream = stream;
    this.#parts = parts;
  }

  root(): Expression[] {
    const expressions: Expression[] = [];
    for (let part = this.#peek(); part.kind !== 'end'; part = this.#peek()) expressions.push(this.#expression(part));
    return expressions;
  }

  #peek(): TemplatePart {
    return this.#parts[this.#next] as TemplatePart;
  }

  #expression(part: TemplatePart): Expression {
    if (part.kind !== 'end') this.#next++;
    switch (part.kind) {
      case 'literal':
        return { kind: 'literal', value: stringValue(part.text), range: part.range };
      case 'interpolation':
        return part.expression;
      case 'if':
      case 'for': {
        // In a language of directives, too, a level costs stack.
        if (this.#depth >= NESTING_MAX / 2) return this.#tooDeep(part);
        this.#depth++;
        const built = part.kind === 'if' ? this.#if(part) : this.#for(part);
        this.#depth--;
        return built;
      }
      default: {
        const what = part.kind === 'end' ? 'end of template' : `${part.kind} directive`;
        return this.#broken(part, `Unexpected ${what}`, 'The control directives within this template are unbalanced.');
      }
    }
  }

  #broken(part: TemplatePart, summary: string, detail: string): Expression {
    this.#stream.error(part.range, summary, detail);
    return { kind: 'invalid', range: part.range };
  }

  #tooDeep(part: TemplatePart): Expression {
    this.#next = this.#parts.length - 1;
    const detail = `Template directives may lie in each other up to ${NESTING_MAX / 2} levels deep.`;
    return this.#broken(part, 'Nesting too deep', detail);
  }

  #if(open: Part<'if'>): Expression {
    const then: Expression[] = [];
    const otherwise: Expression[] = [];
    let current = then;
    for (;;) {
      const part = this.#peek();
      if (part.kind === 'end') {
        return this.#unclosed(part, `The if directive at ${formatRange(open.range)}`, 'endif');
      }
      if (!isBranch(part)) {
        current.push(this.#expression(part));
        continue;
      }
      this.#next++;
      if (part.kind === 'else' && current === then) {
        current = otherwise;
        continue;
      }
      if (part.kind === 'endif') return this.#conditional(open, then, otherwise, part.range);
      const detail =
        part.kind === 'else'
          ? `Already in the else clause for the if started at ${formatRange(open.range)}.`
          : `Expecting an endif directive for the if started at ${formatRange(open.range)}.`;
      return this.#broken(part, `Unexpected ${part.kind} directive`, detail);
    }
  }

  #unclosed(end: TemplatePart, which: string, missing: string): Expression {
    const detail = `${which} is missing its corresponding ${missing} directive.`;
    return this.#broken(end, 'Unexpected end of template', detail);
  }

  #conditional(open: Part<'if'>, then: Expression[], otherwise: Expression[], end: SourceRange): Expression {
    return {
      kind: 'conditional',
      condition: open.condition,
      whenTrue: templateOf(then, endOf(open.range)),
      whenFalse: templateOf(otherwise, startOf(end)),
      range: span(open.range, end),
    };
  }

  #for(open: Part<'for'>): Expression {
    const body: Expression[] = [];
    for (;;) {
      const part = this.#peek();
      if (part.kind === 'end') {
        return this.#unclosed(part, `The for directive at ${formatRange(open.range)}`, 'endfor');
      }
      if (!isBranch(part)) {
        body.push(this.#expression(part));
        continue;
      }
      this.#next++;
      if (part.kind === 'endfor') return joinOf(open, body, part.range);
      const detail =
        part.kind === 'else'
          ? 'An else clause is not expected for a for directive.'
          : `Expecting an endfor directive corresponding to the for directive at ${formatRange(open.range)}.`;
      return this.#broken(part, `Unexpected ${part.kind} directive`, detail);
    }
  }
}

function isBranch(part: TemplatePart): part is Part<Branch> {
  return part.kind === 'else' || part.kind === 'endif' || part.kind === 'endfor';
}

function templateOf(parts: Expression[], emptyAt: SourceRange): Expression {
  const first = parts[0];
  const range = first ? span(first.range, (parts[parts.length - 1] as Expression).range) : emptyAt;
  return { kind: 'template', parts, range };
}

function joinOf(open: Part<'for'>, body: Expression[], end: SourceRange): Expression {
  const range = span(open.range, end);
  return {
    kind: 'template-join',
    range,
    tuple: {
      kind: 'for',
      ...open.names,
      collection: open.collection,
      key: null,
      value: templateOf(body, endOf(open.range)),
      condition: null,
      grouping: false,
      range,
      openRange: open.range,
      closeRange: end,
    },
  };
}
