import type { EvalContext, Evaluated, Expression, ForExpression, SourceRange, Value } from '../hcl/index.js';
import { evaluate, stringValue } from '../hcl/index.js';

/** What an expression of a job file sees: names known now; all others are for the client at run time. */
export interface Scope {
  readonly context: EvalContext;
  readonly names: ReadonlySet<string>;
  /** Text of the file that the expressions stand in. */
  readonly source: string;
}

/** The scope with one more variable, for the inside of a dynamic block. */
export function withVariable(scope: Scope, name: string, value: Value): Scope {
  return {
    ...scope,
    context: { variables: new Map([[name, value]]), parent: scope.context },
    names: new Set([...scope.names, name]),
  };
}

/**
 * Evaluates with `${attr.cpu.arch}`, `${NOMAD_PORT_http}`, `${env["HOME"]}` and whatever else is not known yet standing
 * for their own text, as Nomad's parser does: the client interpolates them.
 */
export function evaluateIn(expression: Expression, scope: Scope): Evaluated {
  return evaluate(leaveUnknown(expression, scope.names, scope.source), scope.context);
}

/** The expression with every variable that is not known now replaced by its text in `${…}`. */
function leaveUnknown(expression: Expression, known: ReadonlySet<string>, source: string): Expression {
  const inner = <E extends Expression>(e: E): E => leaveUnknown(e, known, source) as E;
  const e = expression;
  switch (e.kind) {
    case 'literal':
    case 'splat-item':
    case 'invalid':
      return e;
    case 'traversal':
      return known.has(e.root) ? e : { kind: 'literal', value: stringValue(textOf(e.range, source)), range: e.range };
    case 'template':
      return { ...e, parts: e.parts.map(inner) };
    case 'template-wrap':
      return { ...e, wrapped: inner(e.wrapped) };
    case 'template-join':
      return { ...e, tuple: inner(e.tuple) };
    case 'relative-traversal':
      return { ...e, source: inner(e.source) };
    case 'index':
      return { ...e, collection: inner(e.collection), key: inner(e.key) };
    case 'splat':
      // The item is known by its identity: it must stay the object it is.
      return { ...e, source: inner(e.source), each: inner(e.each) };
    case 'for':
      return leaveUnknownInFor(e, known, source);
    case 'tuple':
      return { ...e, items: e.items.map(inner) };
    case 'object':
      return { ...e, items: e.items.map(({ key, value }) => ({ key: inner(key), value: inner(value) })) };
    case 'object-key':
      return e.name === null ? { ...e, wrapped: inner(e.wrapped) } : e;
    case 'conditional':
      return { ...e, condition: inner(e.condition), whenTrue: inner(e.whenTrue), whenFalse: inner(e.whenFalse) };
    case 'binary':
      return { ...e, left: inner(e.left), right: inner(e.right) };
    case 'unary':
      return { ...e, operand: inner(e.operand) };
    case 'call':
      // The second argument of convert() is a type, whose words are no variables.
      return { ...e, arguments: e.arguments.map((a, i) => (e.name === 'convert' && i === 1 ? a : inner(a))) };
    case 'parentheses':
      return { ...e, inner: inner(e.inner) };
  }
}

function leaveUnknownInFor(e: ForExpression, known: ReadonlySet<string>, source: string): ForExpression {
  const bound = new Set([...known, e.valueName, ...(e.keyName === null ? [] : [e.keyName])]);
  const inside = (part: Expression): Expression => leaveUnknown(part, bound, source);
  return {
    ...e,
    collection: leaveUnknown(e.collection, known, source),
    key: e.key && inside(e.key),
    value: inside(e.value),
    condition: e.condition && inside(e.condition),
  };
}

/** `${attr.x}` for `attr.x`; blanks between the braces are kept when it stands alone in them. */
function textOf({ start, end }: SourceRange, source: string): string {
  let open = start.index;
  while (source[open - 1] === ' ') open--;
  let close = end.index;
  while (source[close] === ' ') close++;
  const alone = source.slice(open - 2, open) === '${' && source[close] === '}';
  const text = alone ? source.slice(open, close) : source.slice(start.index, end.index);
  return `\${${text}}`;
}
