import type { Expression } from './ast.js';
import { failed, invalid, parseExpressionIn } from './expression-parser.js';
import type { TokenStream } from './token-stream.js';
import { T, type Token, type TokenType } from './tokens.js';

const SUMMARY = "Invalid 'for' expression";

/** The names between `for` and `in`. */
export interface ForNames {
  readonly keyName: string | null;
  readonly valueName: string;
}

/** The words in which a for expression and a for directive complain of their heads. */
export interface ForComplaints {
  readonly noName: string;
  readonly noValueName: string;
  readonly noIn: string;
}

/** `name in` or `key, value in`; null when it is broken, which `complain` was told at the token to blame. */
export function parseForNames(
  stream: TokenStream,
  words: ForComplaints,
  complain: (token: Token, detail: string) => void,
): ForNames | null {
  const first = stream.peek();
  if (first.type !== T.Ident) {
    complain(first, words.noName);
    return null;
  }
  stream.read();
  let names: ForNames = { keyName: null, valueName: stream.text(first) };
  if (stream.peek().type === T.Comma) {
    stream.read();
    const second = stream.peek();
    if (second.type !== T.Ident) {
      complain(second, words.noValueName);
      return null;
    }
    stream.read();
    names = { keyName: names.valueName, valueName: stream.text(second) };
  }
  const keyword = stream.peek();
  if (!stream.isWord(keyword, 'in')) {
    complain(keyword, words.noIn);
    return null;
  }
  stream.read();
  return names;
}

const WORDS: ForComplaints = {
  noName: "For expression requires variable name after 'for'.",
  noValueName: 'For expression requires value variable name after comma.',
  noIn: "For expression requires the 'in' keyword after its name declarations.",
};

/** `[for …]` or `{for …}`, behind its bracket. Newlines do not count in it. */
export function parseFor(stream: TokenStream, open: Token): Expression {
  const closeType: TokenType = open.type === T.OBrace ? T.CBrace : T.CBrack;
  const errorsBefore = stream.errors;
  const broken = (): Expression => invalid(stream.between(open, stream.recover(closeType)));
  const complain = (token: Token, detail: string): void =>
    stream.errorIfSound(stream.range(token), SUMMARY, detail, stream.between(open, token));
  stream.read();
  const names = parseForNames(stream, WORDS, complain);
  if (!names) return broken();
  const collection = parseExpressionIn(stream);
  if (failed(stream, errorsBefore)) return broken();
  const colon = stream.peek();
  if (colon.type !== T.Colon) {
    complain(colon, 'For expression requires a colon after the collection expression.');
    return broken();
  }
  stream.read();
  let value = parseExpressionIn(stream);
  let key: Expression | null = null;
  if (!failed(stream, errorsBefore) && stream.peek().type === T.FatArrow) {
    stream.read();
    key = value;
    value = parseExpressionIn(stream);
  }
  if (failed(stream, errorsBefore)) return broken();
  const ellipsis = stream.peek().type === T.Ellipsis ? stream.read() : null;
  let condition: Expression | null = null;
  if (stream.isWord(stream.peek(), 'if')) {
    stream.read();
    condition = parseExpressionIn(stream);
    if (failed(stream, errorsBefore)) return broken();
  }
  const close = closeFor(stream, closeType, complain);
  checkShape(stream, open, close, { key, value, ellipsis });
  return {
    kind: 'for',
    ...names,
    collection,
    key,
    value,
    condition,
    grouping: ellipsis !== null,
    range: stream.between(open, close),
    openRange: stream.range(open),
    closeRange: stream.range(close),
  };
}

function closeFor(stream: TokenStream, type: TokenType, complain: (token: Token, detail: string) => void): Token {
  const next = stream.peek();
  if (next.type === type) return stream.read();
  complain(next, "Extra characters after the end of the 'for' expression.");
  return stream.recover(type);
}

interface ForShape {
  readonly key: Expression | null;
  readonly value: Expression;
  readonly ellipsis: Token | null;
}

function checkShape(stream: TokenStream, open: Token, close: Token, { key, value, ellipsis }: ForShape): void {
  const context = stream.between(open, close);
  if (open.type === T.OBrace) {
    if (!key) stream.error(value.range, SUMMARY, 'Key expression is required when building an object.', context);
    return;
  }
  if (key) stream.error(key.range, SUMMARY, 'Key expression is not valid when building a tuple.', context);
  if (ellipsis) {
    const detail = 'Grouping ellipsis (...) cannot be used when building a tuple.';
    stream.error(stream.range(ellipsis), SUMMARY, detail, context);
  }
}
