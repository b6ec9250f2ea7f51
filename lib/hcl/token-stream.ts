import { type Diagnostic, errorAt, type SourceRange } from './diagnostics.js';
import type { SourceMap } from './source-map.js';
import { T, type Token, type TokenList, type TokenType } from './tokens.js';

/** How deeply blocks, brackets and operators may lie in each other: the parser and its readers recurse. */
export const NESTING_MAX = 400;
/** Further errors of a file are not told. */
const ERRORS_MAX = 50;

const CLOSES: Partial<Record<TokenType, TokenType>> = {
  [T.CBrace]: T.OBrace,
  [T.CBrack]: T.OBrack,
  [T.CParen]: T.OParen,
  [T.CQuote]: T.OQuote,
  [T.CHeredoc]: T.OHeredoc,
  [T.SequenceEnd]: T.Interpolation,
};
const OPENERS = new Set<TokenType>([T.OBrace, T.OBrack, T.OParen, T.OQuote, T.OHeredoc, T.Interpolation, T.Control]);

/**
 * What the parser reads from: tokens without comments, and without newlines where these do not count. It also keeps
 * what went wrong: once an error has left the stream in an odd place (`recovering`), further errors of the same
 * argument would be noise and are not told.
 */
export class TokenStream {
  readonly map: SourceMap;
  readonly diagnostics: Diagnostic[];
  /** Whether this is HCL's first version. */
  firstVersion = false;
  recovering = false;
  /** Whether recovery was ever needed: braces may be out of balance, so their ends are not complained about. */
  damaged = false;
  errors = 0;
  #depth = 0;
  readonly #tokens: TokenList;
  readonly #newlines: boolean[] = [true];
  #next = 0;
  #previous: Token = { type: T.EOF, start: 0, end: 0 };

  constructor(tokens: TokenList, map: SourceMap, diagnostics: Diagnostic[]) {
    this.#tokens = tokens;
    this.map = map;
    this.diagnostics = diagnostics;
  }

  peek(): Token {
    this.#skip();
    return this.#tokenAt(this.#next);
  }

  /** The type of the next token, newlines and comments included. */
  peekRaw(): TokenType {
    return this.#tokens.type(this.#next);
  }

  read(): Token {
    this.#skip();
    const token = this.#tokenAt(this.#next);
    if (token.type !== T.EOF) this.#next++;
    this.#previous = token;
    return token;
  }

  /** Puts back the token that was read last. */
  unread(token: Token): void {
    if (token.type !== T.EOF) this.#next--;
  }

  previous(): Token {
    return this.#previous;
  }

  // A one-line comment takes its newline with it: where newlines count, it stands for one.
  #skip(): void {
    const counting = this.#newlines[this.#newlines.length - 1] as boolean;
    for (; ; this.#next++) {
      const type = this.#tokens.type(this.#next);
      if (type === T.Newline && !counting) continue;
      if (type !== T.Comment || (counting && this.#endsLine(this.#next))) {
        if (type !== T.Newline || counting) return;
      }
    }
  }

  #endsLine(i: number): boolean {
    return this.map.source.charCodeAt(this.#tokens.end(i) - 1) === 10;
  }

  #tokenAt(i: number): Token {
    const token = this.#tokens.token(i);
    return token.type === T.Comment ? { ...token, type: T.Newline } : token;
  }

  range(token: Token): SourceRange {
    return this.map.range(token.start, token.end);
  }

  /** From the start of one token to the end of another. */
  between(first: Token, last: Token): SourceRange {
    return this.map.range(first.start, last.end);
  }

  text(token: Token): string {
    return this.map.source.slice(token.start, token.end);
  }

  isWord(token: Token, word: string): boolean {
    return token.type === T.Ident && this.text(token) === word;
  }

  error(subject: SourceRange, summary: string, detail: string, context?: SourceRange): void {
    this.errors++;
    if (this.diagnostics.length < ERRORS_MAX) this.diagnostics.push(errorAt(subject, summary, detail, context));
  }

  /** An error that is told only when it cannot be the consequence of an earlier one. */
  errorIfSound(subject: SourceRange, summary: string, detail: string, context?: SourceRange): void {
    if (!this.recovering) this.error(subject, summary, detail, context);
    else this.errors++;
  }

  /** Runs the body with newlines counting or not. */
  withNewlines<R>(counting: boolean, body: () => R): R {
    this.#newlines.push(counting);
    const result = body();
    this.#newlines.pop();
    return result;
  }

  /** Runs the body one level deeper; too deep, it tells so, gives up the whole file and answers with `otherwise`. */
  deeper<R>(body: () => R, otherwise: (token: Token) => R): R {
    if (this.#depth >= NESTING_MAX) {
      const token = this.peek();
      const detail = `Blocks and expressions may lie in each other up to ${NESTING_MAX} levels deep.`;
      this.errorIfSound(this.range(token), 'Nesting too deep', detail);
      this.setRecovery();
      this.#next = this.#tokens.length - 1;
      return otherwise(token);
    }
    this.#depth++;
    const result = body();
    this.#depth--;
    return result;
  }

  setRecovery(): void {
    this.recovering = true;
    this.damaged = true;
  }

  /** Reads on behind the given closing token, over nested pairs of its kind; returns it, or EOF. */
  recover(end: TokenType): Token {
    this.setRecovery();
    const start = CLOSES[end];
    let nesting = 0;
    for (;;) {
      const token = this.read();
      if (token.type === T.EOF) return token;
      const type = end === T.SequenceEnd && token.type === T.Control ? T.Interpolation : token.type;
      if (type === start) nesting++;
      else if (type === end && nesting-- < 1) return token;
    }
  }

  /** Reads on behind the next newline that is not within brackets opened on the way. */
  recoverAfterItem(): void {
    this.setRecovery();
    const open: TokenType[] = [];
    for (;;) {
      const { type } = this.read();
      if (type === T.EOF || (type === T.Newline && open.length === 0)) return;
      if (OPENERS.has(type)) {
        open.push(type === T.Control ? T.Interpolation : type);
        continue;
      }
      const opener = CLOSES[type];
      if (opener === undefined) continue;
      while (open.length > 0 && open.pop() !== opener);
    }
  }
}
