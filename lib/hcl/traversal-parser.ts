import type { Expression, SplatItemExpression, TraversalStep } from './ast.js';
import type { SourceRange } from './diagnostics.js';
import { failed, invalid, numberOf, parseExpressionIn } from './expression-parser.js';
import { span } from './source-map.js';
import { NESTING_MAX, type TokenStream } from './token-stream.js';
import { T, type Token } from './tokens.js';
import { numberValue, stringValue, UNKNOWN, type Value } from './values.js';

/** What may follow a term: `.name`, `.0`, `.*`, `[key]`, `[*]`, any number of times. `start` is its first token. */
export function parseTraversals(stream: TokenStream, term: Expression, start: Token): Expression {
  let result = term;
  let wraps = 0;
  for (;;) {
    const errorsBefore = stream.errors;
    const before = result;
    const next = stream.peek();
    if (next.type === T.Dot) result = parseDot(stream, result, start);
    else if (next.type === T.OBrack) result = parseBracket(stream, result, start);
    else return result;
    if (failed(stream, errorsBefore)) return result;
    // Each of these is one more level of the tree, although none lies within brackets.
    if ((result.kind === 'index' || result.kind === 'splat') && result !== before && ++wraps > NESTING_MAX / 2) {
      stream.error(stream.range(next), 'Nesting too deep', `More than ${NESTING_MAX / 2} index operators in a row.`);
      stream.setRecovery();
      return invalid(result.range);
    }
  }
}

function addStep(source: Expression, step: TraversalStep): Expression {
  const range = span(source.range, step.range);
  if (source.kind === 'traversal' || source.kind === 'relative-traversal') {
    // The parser alone holds this list yet: to copy it for each step would be quadratic.
    (source.steps as TraversalStep[]).push(step);
    return { ...source, range };
  }
  return { kind: 'relative-traversal', source, steps: [step], range };
}

function parseDot(stream: TokenStream, source: Expression, start: Token): Expression {
  const dot = stream.read();
  const name = stream.peek();
  switch (name.type) {
    case T.Ident:
      stream.read();
      return addStep(source, { kind: 'attribute', name: stream.text(name), range: stream.between(dot, name) });
    case T.Number: {
      stream.read();
      const key = legacyIndex(stream, name, stream.range(name), '');
      return addStep(source, { kind: 'index', key, range: stream.between(dot, name) });
    }
    case T.Star:
      return parseAttributeSplat(stream, source, start, dot);
    default: {
      const detail = 'An attribute name is required after a dot.';
      stream.error(stream.range(name), 'Invalid attribute name', detail);
      stream.setRecovery();
      return source;
    }
  }
}

/** `.0`, from the days before brackets; `.0.1` reads as the number 0.1 and is refused. */
function legacyIndex(stream: TokenStream, token: Token, subject: SourceRange, inSplat: string): Value {
  const [first, second] = stream.text(token).split(/\.(.*)/s);
  if (second === undefined) {
    const number = numberOf(stream, token);
    return number ? numberValue(number) : UNKNOWN;
  }
  const instead = `Use the proper index syntax${inSplat} instead, like [${first}][${second}].`;
  const detail = `When using the legacy index syntax, chaining two indexes together is not permitted. ${instead}`;
  stream.error(subject, 'Invalid legacy index syntax', detail);
  return UNKNOWN;
}

/** `source.*.name.0`: only names and numbers may follow, up to the first bracket. */
function parseAttributeSplat(stream: TokenStream, source: Expression, start: Token, dot: Token): Expression {
  const star = stream.read();
  const steps: TraversalStep[] = [];
  const first = stream.peek();
  while (stream.peek().type === T.Dot) {
    const stepDot = stream.read();
    const name = stream.peek();
    if (name.type === T.Number) {
      stream.read();
      const key = legacyIndex(stream, name, stream.range(star), ' with a full splat expression [*]');
      steps.push({ kind: 'index', key, range: stream.between(stepDot, name) });
    } else if (name.type === T.Ident) {
      stream.read();
      steps.push({ kind: 'attribute', name: stream.text(name), range: stream.between(stepDot, name) });
    } else {
      complainOfSplatStep(stream, name, star);
      return source;
    }
  }
  const markerRange = stream.between(dot, star);
  const item: SplatItemExpression = { kind: 'splat-item', range: markerRange };
  const range = stream.between(start, stream.previous());
  const each: Expression =
    steps.length === 0
      ? item
      : { kind: 'relative-traversal', source: item, steps, range: stream.between(first, stream.previous()) };
  return { kind: 'splat', source, each, item, markerRange, range };
}

function complainOfSplatStep(stream: TokenStream, name: Token, star: Token): void {
  if (name.type === T.Star) {
    const detail = 'A splat expression (*) cannot be used inside another attribute-only splat expression.';
    stream.errorIfSound(stream.range(name), 'Nested splat expression not allowed', detail);
  } else {
    stream.errorIfSound(stream.range(star), 'Invalid attribute name', 'An attribute name is required after a dot.');
  }
  stream.setRecovery();
}

function parseBracket(stream: TokenStream, source: Expression, start: Token): Expression {
  const open = stream.read();
  if (stream.peek().type === T.Star) return parseFullSplat(stream, source, start, open);
  return stream.withNewlines(false, () => {
    const errorsBefore = stream.errors;
    const key = parseExpressionIn(stream);
    const close = failed(stream, errorsBefore)
      ? stream.recover(T.CBrack)
      : closeBracket(
          stream,
          'Missing close bracket on index',
          'The index operator must end with a closing bracket ("]").',
        );
    const literal = literalKey(key);
    if (literal) return addStep(source, { kind: 'index', key: literal, range: stream.between(open, close) });
    const range = stream.between(start, close);
    return { kind: 'index', collection: source, key, openRange: stream.range(open), range };
  });
}

function closeBracket(stream: TokenStream, summary: string, detail: string): Token {
  const close = stream.read();
  if (close.type === T.CBrack || stream.recovering) return close;
  stream.error(stream.range(close), summary, detail);
  return stream.recover(T.CBrack);
}

function literalKey(key: Expression): Value | null {
  if (key.kind === 'literal') return key.value;
  if (key.kind !== 'template') return null;
  if (key.parts.length === 0) return stringValue('');
  const [only] = key.parts;
  return key.parts.length === 1 && only?.kind === 'literal' ? only.value : null;
}

/** `source[*]` and everything behind it, which is done to each element. */
function parseFullSplat(stream: TokenStream, source: Expression, start: Token, open: Token): Expression {
  stream.read();
  const detail = 'The star for a full splat operator must be immediately followed by a closing bracket ("]").';
  const close = closeBracket(stream, 'Missing close bracket on splat index', detail);
  const markerRange = stream.between(open, close);
  const item: SplatItemExpression = { kind: 'splat-item', range: markerRange };
  const each = stream.deeper<Expression>(
    () => parseTraversals(stream, item, open),
    () => item,
  );
  const range = stream.between(start, stream.previous());
  return { kind: 'splat', source, each, item, markerRange, range };
}
