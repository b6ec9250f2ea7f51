import type { BinaryOperator, Expression, ObjectExpression, ObjectKeyExpression, UnaryExpression } from './ast.js';
import type { SourceRange } from './diagnostics.js';
import { parseFor } from './for-parser.js';
import { type BigFloat, parseBigFloat } from './number.js';
import { parseTemplate } from './template-parser.js';
import { NESTING_MAX, type TokenStream } from './token-stream.js';
import { T, type Token, type TokenType } from './tokens.js';
import { parseTraversals } from './traversal-parser.js';
import { FALSE, NULL, numberValue, TRUE, UNKNOWN } from './values.js';

/** The binary operators, from the loosest to the tightest level; within a level they group from the left. */
const LEVELS: readonly Partial<Record<TokenType, BinaryOperator>>[] = [
  { [T.Or]: '||' },
  { [T.And]: '&&' },
  { [T.EqualEqual]: '==', [T.NotEqual]: '!=' },
  { [T.Greater]: '>', [T.GreaterEqual]: '>=', [T.Less]: '<', [T.LessEqual]: '<=' },
  { [T.Plus]: '+', [T.Minus]: '-' },
  { [T.Star]: '*', [T.Slash]: '/', [T.Percent]: '%' },
];

interface Operator {
  readonly sign: BinaryOperator;
  readonly level: number;
}

const OPERATORS = new Map<TokenType, Operator>(
  LEVELS.flatMap((signs, level) =>
    Object.entries(signs).map(([type, sign]) => [Number(type) as TokenType, { sign, level }] as const),
  ),
);

/** Any expression: `condition ? a : b` binds loosest. */
export function parseExpressionIn(stream: TokenStream): Expression {
  return stream.deeper(
    () => parseConditional(stream),
    (token) => invalid(stream.range(token)),
  );
}

/** What stands for an expression that could not be read: the tree stays whole. */
export function invalid(range: SourceRange): Expression {
  return { kind: 'invalid', range };
}

function parseConditional(stream: TokenStream): Expression {
  const start = stream.peek();
  const errorsBefore = stream.errors;
  const condition = parseBinary(stream, 0);
  if (failed(stream, errorsBefore) || stream.peek().type !== T.Question) return condition;
  stream.read();
  const whenTrue = parseExpressionIn(stream);
  if (failed(stream, errorsBefore)) return condition;
  const colon = stream.peek();
  if (colon.type !== T.Colon) {
    const detail = 'The conditional operator (...?...:...) requires a false expression, delimited by a colon.';
    const context = stream.between(start, colon);
    stream.error(stream.range(colon), 'Missing false expression in conditional', detail, context);
    return condition;
  }
  stream.read();
  const whenFalse = parseExpressionIn(stream);
  if (failed(stream, errorsBefore)) return condition;
  const range = stream.between(start, stream.previous());
  return { kind: 'conditional', condition, whenTrue, whenFalse, range };
}

/** Whether errors since then have left the stream in an odd place: then one stops and lets the caller find its end. */
export function failed(stream: TokenStream, errorsBefore: number): boolean {
  return stream.recovering && stream.errors > errorsBefore;
}

function parseBinary(stream: TokenStream, levelMin: number): Expression {
  const start = stream.peek();
  const errorsBefore = stream.errors;
  let left = parseTraversed(stream);
  for (let links = 1; ; links++) {
    if (failed(stream, errorsBefore)) return left;
    const operator = OPERATORS.get(stream.peek().type);
    if (!operator || operator.level < levelMin) return left;
    const sign = stream.read();
    // Each of these is one more level of the tree, although none lies within brackets.
    if (links > NESTING_MAX) {
      stream.error(stream.range(sign), 'Nesting too deep', `More than ${NESTING_MAX} operators in a row.`);
      stream.setRecovery();
      return left;
    }
    const right = parseBinary(stream, operator.level + 1);
    if (failed(stream, errorsBefore)) return left;
    const range = stream.between(start, stream.previous());
    left = { kind: 'binary', operator: operator.sign, left, right, range };
  }
}

function parseTraversed(stream: TokenStream): Expression {
  const errorsBefore = stream.errors;
  const start = stream.peek();
  const term = parseTerm(stream);
  return failed(stream, errorsBefore) ? term : parseTraversals(stream, term, start);
}

function parseTerm(stream: TokenStream): Expression {
  const start = stream.peek();
  switch (start.type) {
    case T.OParen:
      return parseParentheses(stream);
    case T.Number:
      return parseNumber(stream);
    case T.Ident:
      return parseWord(stream);
    case T.OQuote:
    case T.OHeredoc:
      return parseTemplate(stream);
    case T.Minus:
    case T.Bang:
      return parseUnary(stream);
    case T.OBrack:
      return parseTuple(stream);
    case T.OBrace:
      return parseObject(stream);
    default:
      return parseNothing(stream, start);
  }
}

function parseNothing(stream: TokenStream, start: Token): Expression {
  const range = stream.range(start);
  if (start.type === T.EOF) {
    const detail = 'Expected the start of an expression, but found the end of the file.';
    stream.errorIfSound(range, 'Missing expression', detail);
  } else {
    const detail = 'Expected the start of an expression, but found an invalid expression token.';
    stream.errorIfSound(range, 'Invalid expression', detail);
  }
  stream.setRecovery();
  return invalid(range);
}

function parseParentheses(stream: TokenStream): Expression {
  const open = stream.read();
  const errorsBefore = stream.errors;
  return stream.withNewlines(false, () => {
    const inner = parseExpressionIn(stream);
    if (stream.errors > errorsBefore) {
      stream.recover(T.CParen);
      return inner;
    }
    const close = stream.peek();
    if (close.type !== T.CParen) {
      const detail = 'Expected a closing parenthesis to terminate the expression.';
      stream.error(stream.range(close), 'Unbalanced parentheses', detail, stream.between(open, close));
      stream.setRecovery();
    }
    stream.read();
    return { kind: 'parentheses', inner, range: stream.between(open, close) };
  });
}

/** The value of a number token; the text may have several dots, so it may be none. */
export function numberOf(stream: TokenStream, token: Token): BigFloat | null {
  const number = parseBigFloat(stream.text(token));
  if (number) return number;
  const detail = 'Failed to recognize the value of this number literal.';
  stream.error(stream.range(token), 'Invalid number literal', detail);
  return null;
}

function parseNumber(stream: TokenStream): Expression {
  const token = stream.read();
  const number = numberOf(stream, token);
  const range = stream.range(token);
  return { kind: 'literal', value: number ? numberValue(number) : UNKNOWN, range };
}

const WORDS = new Map([
  ['true', TRUE],
  ['false', FALSE],
  ['null', NULL],
]);

function parseWord(stream: TokenStream): Expression {
  const token = stream.read();
  const next = stream.peek().type;
  if (next === T.OParen || next === T.DoubleColon) return parseCall(stream, token);
  const range = stream.range(token);
  const root = stream.text(token);
  const value = WORDS.get(root);
  if (value) return { kind: 'literal', value, range };
  return { kind: 'traversal', root, rootRange: range, steps: [], range };
}

function parseUnary(stream: TokenStream): Expression {
  const sign = stream.read();
  // Only a term follows: -46 + 5 is (-46) + 5.
  const operand = stream.deeper(
    () => parseTraversed(stream),
    (token) => invalid(stream.range(token)),
  );
  const operator: UnaryExpression['operator'] = sign.type === T.Minus ? '-' : '!';
  const range = stream.between(sign, stream.previous());
  return { kind: 'unary', operator, operand, range, operatorRange: stream.range(sign) };
}

function parseTuple(stream: TokenStream): Expression {
  const open = stream.read();
  return stream.withNewlines(false, () => {
    if (stream.isWord(stream.peek(), 'for')) return parseFor(stream, open);
    const items: Expression[] = [];
    const close = parseTupleItems(stream, open, items);
    return { kind: 'tuple', items, range: stream.between(open, close), openRange: stream.range(open) };
  });
}

function parseTupleItems(stream: TokenStream, open: Token, items: Expression[]): Token {
  for (;;) {
    if (stream.peek().type === T.CBrack) return stream.read();
    const errorsBefore = stream.errors;
    items.push(parseExpressionIn(stream));
    if (failed(stream, errorsBefore)) return stream.recover(T.CBrack);
    const next = stream.peek();
    if (next.type === T.CBrack) return stream.read();
    if (next.type !== T.Comma) {
      if (next.type === T.EOF) {
        const detail =
          'There is no corresponding closing bracket before the end of the file. This may be caused by incorrect bracket nesting elsewhere in this file.';
        stream.errorIfSound(stream.range(open), 'Unterminated tuple constructor expression', detail);
      } else {
        const detail = 'Expected a comma to mark the beginning of the next item.';
        stream.errorIfSound(stream.range(next), 'Missing item separator', detail, stream.between(open, next));
      }
      return stream.recover(T.CBrack);
    }
    stream.read();
  }
}

function parseObject(stream: TokenStream): Expression {
  const open = stream.read();
  // A newline before "for" does not count, unlike those between the items.
  const isFor = stream.withNewlines(false, () => stream.isWord(stream.peek(), 'for'));
  if (isFor) return stream.withNewlines(false, () => parseFor(stream, open));
  return stream.withNewlines(true, () => {
    const items: ObjectExpression['items'][number][] = [];
    const close = parseObjectItems(stream, open, items);
    return { kind: 'object', items, range: stream.between(open, close), openRange: stream.range(open) };
  });
}

function parseObjectItems(stream: TokenStream, open: Token, items: ObjectExpression['items'][number][]): Token {
  for (;;) {
    const next = stream.peek();
    if (next.type === T.Newline) {
      stream.read();
      continue;
    }
    if (next.type === T.CBrace) return stream.read();
    const errorsBefore = stream.errors;
    const key = objectKey(parseExpressionIn(stream), next.type === T.OParen);
    if (failed(stream, errorsBefore)) return stream.recover(T.CBrace);
    const separator = stream.peek();
    if (separator.type !== T.Equal && separator.type !== T.Colon) {
      complainOfSeparator(stream, open, separator);
      return stream.recover(T.CBrace);
    }
    stream.read();
    const value = parseExpressionIn(stream);
    if (failed(stream, errorsBefore)) return stream.recover(T.CBrace);
    items.push({ key, value });
    const end = stream.peek();
    if (end.type === T.CBrace) return stream.read();
    if (end.type !== T.Comma && end.type !== T.Newline) {
      if (end.type === T.EOF) complainOfOpenObject(stream, open);
      else {
        const detail = 'Expected a newline or comma to mark the beginning of the next attribute.';
        stream.errorIfSound(stream.range(end), 'Missing attribute separator', detail, stream.between(open, end));
      }
      return stream.recover(T.CBrace);
    }
    stream.read();
  }
}

function objectKey(wrapped: Expression, inParentheses: boolean): ObjectKeyExpression {
  const word = wrapped.kind === 'traversal' && wrapped.steps.length === 0 && !inParentheses ? wrapped.root : null;
  const literal = wrapped.kind === 'literal' ? literalWord(wrapped) : null;
  return { kind: 'object-key', wrapped, name: word ?? literal, range: wrapped.range };
}

// As a key, `true` and `null` are words like any other.
function literalWord({ value }: Expression & { kind: 'literal' }): string | null {
  if (value.kind === 'null') return 'null';
  return value.kind === 'bool' ? String(value.value) : null;
}

function complainOfOpenObject(stream: TokenStream, open: Token): void {
  const detail =
    'There is no corresponding closing brace before the end of the file. This may be caused by incorrect brace nesting elsewhere in this file.';
  stream.errorIfSound(stream.range(open), 'Unterminated object constructor expression', detail);
}

function complainOfSeparator(stream: TokenStream, open: Token, next: Token): void {
  const range = stream.range(next);
  const context = stream.between(open, next);
  const missing = 'Missing key/value separator';
  const equals = 'Expected an equals sign ("=") to mark the beginning of the attribute value.';
  if (next.type === T.EOF) {
    complainOfOpenObject(stream, open);
  } else if (next.type === T.Newline || next.type === T.Comma) {
    const detail = 'Expected an attribute value, introduced by an equals sign ("=").';
    stream.errorIfSound(range, 'Missing attribute value', detail, context);
  } else if (next.type === T.Ident) {
    const hint =
      'If you intended to given an attribute name containing periods or spaces, write the name in quotes to create a string literal.';
    stream.errorIfSound(range, missing, `${equals} ${hint}`, context);
  } else {
    stream.errorIfSound(range, missing, equals, context);
  }
}

function parseCall(stream: TokenStream, first: Token): Expression {
  let last = first;
  let open = stream.read();
  while (open.type === T.DoubleColon) {
    last = stream.read();
    if (last.type !== T.Ident) {
      const detail = 'Function scope resolution symbol :: must be followed by a function name in this scope.';
      stream.error(stream.range(last), 'Missing function name', detail, stream.between(first, last));
      return brokenCall(stream, first, last);
    }
    open = stream.read();
  }
  if (open.type !== T.OParen) {
    const detail = 'Function selector must be followed by an open parenthesis to begin the function call.';
    stream.error(stream.range(open), 'Missing open parenthesis', detail, stream.between(first, open));
    return brokenCall(stream, first, open);
  }
  return stream.withNewlines(false, () => {
    const args: Expression[] = [];
    const { close, expandLast } = parseArguments(stream, first, open, args);
    return {
      kind: 'call',
      name: stream.text({ ...first, end: last.end }).replace(/\s/g, ''),
      nameRange: stream.between(first, last),
      arguments: args,
      expandLast,
      openRange: stream.range(open),
      closeRange: stream.range(close),
      range: stream.between(first, close),
    };
  });
}

function brokenCall(stream: TokenStream, first: Token, last: Token): Expression {
  stream.setRecovery();
  // The newline that was read ends the argument: the next line is sound again.
  if (last.type === T.Newline) stream.unread(last);
  return invalid(stream.between(first, last));
}

interface ArgumentsEnd {
  readonly close: Token;
  readonly expandLast: boolean;
}

function parseArguments(stream: TokenStream, name: Token, open: Token, args: Expression[]): ArgumentsEnd {
  for (;;) {
    if (stream.peek().type === T.CParen) return { close: stream.read(), expandLast: false };
    const errorsBefore = stream.errors;
    args.push(parseExpressionIn(stream));
    if (failed(stream, errorsBefore)) return { close: stream.recover(T.CParen), expandLast: false };
    const separator = stream.read();
    if (separator.type === T.CParen) return { close: separator, expandLast: false };
    if (separator.type === T.Ellipsis) return { close: closeAfterEllipsis(stream, name, separator), expandLast: true };
    if (separator.type === T.Comma) continue;
    if (separator.type === T.EOF) {
      const detail =
        'There is no closing parenthesis for this function call before the end of the file. This may be caused by incorrect parenthesis nesting elsewhere in this file.';
      stream.error(stream.between(name, open), 'Unterminated function call', detail);
    } else {
      const detail = 'A comma is required to separate each function argument from the next.';
      const context = stream.between(name, separator);
      stream.error(stream.range(separator), 'Missing argument separator', detail, context);
    }
    return { close: stream.recover(T.CParen), expandLast: false };
  }
}

function closeAfterEllipsis(stream: TokenStream, name: Token, ellipsis: Token): Token {
  if (stream.peek().type === T.CParen) return stream.read();
  const detail = 'An expanded function argument (with ...) must be immediately followed by closing parentheses.';
  const context = stream.between(name, ellipsis);
  stream.errorIfSound(stream.range(ellipsis), 'Missing closing parenthesis', detail, context);
  return stream.recover(T.CParen);
}
