import { BYTE_ORDER_MARK } from './source-map.js';
import { T, TokenList, type TokenType } from './tokens.js';

/**
 * Where the lexer is: `normal` in a body or expression, `quoted` between quotes, `heredoc` in its text. A template
 * sequence (`${`, `%{`) goes back to normal until the brace that closes it; so modes lie on a stack.
 */
type Mode =
  | {
      readonly kind: 'normal' /** Open braces at which `}` ends the sequence; -1 for the file. */;
      readonly until: number;
    }
  | { readonly kind: 'quoted' /** Whether a newline was let pass, with an error. */; split: boolean }
  | { readonly kind: 'heredoc'; readonly marker: string };

// Loops over alternatives or over /u classes make V8 keep a way back for each round: on long tokens its stack overflows.
// So only plain classes are repeated here, and the rest is done by hand below.
const WORD = /[A-Za-z_][A-Za-z0-9_-]*/y;
const WORD_REST = /[A-Za-z0-9_-]+/y;
const WORD_START = /[\p{ID_Start}_]/u;
const WORD_CONTINUE = /[\p{ID_Continue}-]/u;
const DIGITS = /[0-9]+/y;
const HEREDOC = /<<(-?)([\p{ID_Start}_][\p{ID_Continue}-]{0,255})\r?\n/uy;
const QUOTED_TEXT = /[^\\"$%\r\n]+/y;
const QUOTED_NEWLINES = /[\r\n]+/y;
const HEREDOC_LINE = /[^$%\n]*\n/y;
const HEREDOC_TEXT = /[^$%\n]+/y;
const BLANKS = /[ \t]+/y;
const LINE_COMMENT = /[^\n]*\n?/y;

/** Longest first: the first that matches is taken. */
const SYMBOLS: readonly (readonly [string, TokenType])[] = [
  ['...', T.Ellipsis],
  ['==', T.EqualEqual],
  ['=>', T.FatArrow],
  ['!=', T.NotEqual],
  ['<=', T.LessEqual],
  ['>=', T.GreaterEqual],
  ['&&', T.And],
  ['||', T.Or],
  ['::', T.DoubleColon],
  ['=', T.Equal],
  ['!', T.Bang],
  ['<', T.Less],
  ['>', T.Greater],
  ['&', T.BitwiseAnd],
  ['|', T.BitwiseOr],
  ['~', T.BitwiseNot],
  ['^', T.BitwiseXor],
  ['[', T.OBrack],
  [']', T.CBrack],
  ['(', T.OParen],
  [')', T.CParen],
  ['*', T.Star],
  ['/', T.Slash],
  ['+', T.Plus],
  ['-', T.Minus],
  ['%', T.Percent],
  ['.', T.Dot],
  [',', T.Comma],
  ['?', T.Question],
  [':', T.Colon],
  [';', T.Semicolon],
  ["'", T.Apostrophe],
  ['`', T.Backtick],
];

const SYMBOLS_BY_FIRST = new Map<string, readonly (readonly [string, TokenType])[]>();
for (const symbol of SYMBOLS) {
  const first = symbol[0].charAt(0);
  SYMBOLS_BY_FIRST.set(first, [...(SYMBOLS_BY_FIRST.get(first) ?? []), symbol]);
}

/** The tokens of a source; what is no token becomes one of the kinds at the end of the table. Never fails. */
export function lex(source: string): TokenList {
  return new Lexer(source).run();
}

class Lexer {
  readonly #source: string;
  readonly #tokens = new TokenList();
  readonly #modes: Mode[] = [{ kind: 'normal', until: -1 }];
  #at = 0;
  #braces = 0;
  #startOfLine = false;

  constructor(source: string) {
    this.#source = source;
    if (source.charCodeAt(0) === BYTE_ORDER_MARK) this.#at = 1;
  }

  run(): TokenList {
    while (this.#at < this.#source.length) {
      const mode = this.#modes[this.#modes.length - 1] as Mode;
      if (mode.kind === 'normal') this.#normal(mode);
      else if (mode.kind === 'quoted') this.#quoted(mode);
      else this.#heredoc(mode);
    }
    this.#tokens.push(T.EOF, this.#source.length, this.#source.length);
    return this.#tokens;
  }

  #emit(type: TokenType, length: number): true {
    this.#tokens.push(type, this.#at, this.#at + length);
    this.#at += length;
    return true;
  }

  /** How long the pattern matches here, or at another index; zero when it does not. */
  #match(pattern: RegExp, at = this.#at): number {
    pattern.lastIndex = at;
    return pattern.test(this.#source) ? pattern.lastIndex - at : 0;
  }

  #wordLength(): number {
    const source = this.#source;
    let at = this.#at + this.#match(WORD);
    for (let code = source.charCodeAt(at); code >= 0x80; code = source.charCodeAt(at)) {
      const symbol = String.fromCodePoint(source.codePointAt(at) as number);
      if (!(at === this.#at ? WORD_START : WORD_CONTINUE).test(symbol)) break;
      at += symbol.length;
      at += this.#match(WORD_REST, at);
    }
    return at - this.#at;
  }

  /** Digits, dots and exponents in any order, as HashiCorp's scanner has it; a dot at the end is no part of it. */
  #numberLength(): number {
    const source = this.#source;
    let at = this.#at;
    let end = at;
    for (;;) {
      const digits = this.#match(DIGITS, at);
      at += digits;
      if (digits > 0) end = at;
      const c = source.charAt(at);
      if (c === '.') at++;
      else if (c === 'e' || c === 'E') {
        const sign = source.charAt(at + 1);
        const from = at + (sign === '+' || sign === '-' ? 2 : 1);
        if (this.#match(DIGITS, from) === 0) return end - this.#at;
        at = from;
      } else return end - this.#at;
    }
  }

  #quotedTextLength(): number {
    let at = this.#at;
    for (;;) {
      at += this.#match(QUOTED_TEXT, at);
      const next = this.#source.charAt(at + 1);
      if (this.#source.charAt(at) !== '\\' || next === '' || next === '\r' || next === '\n') return at - this.#at;
      at += 2;
    }
  }

  #normal(mode: { readonly until: number }): boolean {
    const source = this.#source;
    const c = source.charAt(this.#at);
    switch (c) {
      case ' ':
      case '\t':
        this.#at += this.#match(BLANKS);
        return true;
      case '\n':
        return this.#emit(T.Newline, 1);
      case '\r':
        if (source.charAt(this.#at + 1) === '\n') return this.#emit(T.Newline, 2);
        return this.#emit(T.Invalid, 1);
      case '#':
        return this.#emit(T.Comment, this.#match(LINE_COMMENT));
      case '"':
        this.#emit(T.OQuote, 1);
        this.#modes.push({ kind: 'quoted', split: false });
        return true;
      case '{':
        this.#braces++;
        return this.#emit(T.OBrace, 1);
      case '}':
        return this.#closeBrace(mode, 1);
    }
    if (c >= '0' && c <= '9') return this.#emit(T.Number, this.#numberLength());
    if (c === '~' && source.charAt(this.#at + 1) === '}') return this.#closeBrace(mode, 2);
    if (c === '/' && this.#comment()) return true;
    if (c === '<' && this.#openHeredoc()) return true;
    const symbol = SYMBOLS_BY_FIRST.get(c)?.find(([text]) => source.startsWith(text, this.#at));
    if (symbol) return this.#emit(symbol[1], symbol[0].length);
    const identifier = this.#wordLength();
    if (identifier > 0) return this.#emit(T.Ident, identifier);
    return this.#emit(T.Invalid, (source.codePointAt(this.#at) as number) > 0xffff ? 2 : 1);
  }

  #closeBrace(mode: { readonly until: number }, length: number): boolean {
    // The outermost mode has no end: braces too many are the parser's to refuse.
    if (this.#modes.length > 1 && mode.until === this.#braces) {
      this.#modes.pop();
      return this.#emit(T.SequenceEnd, length);
    }
    // "~}" where a plain brace belongs is left to the parser, which has a message for it.
    this.#braces--;
    return this.#emit(length === 2 ? T.SequenceEnd : T.CBrace, length);
  }

  #comment(): boolean {
    const next = this.#source.charAt(this.#at + 1);
    if (next === '/') {
      this.#emit(T.Comment, this.#match(LINE_COMMENT));
      return true;
    }
    if (next !== '*') return false;
    const end = this.#source.indexOf('*/', this.#at + 2);
    if (end < 0) return false;
    this.#emit(T.Comment, end + 2 - this.#at);
    return true;
  }

  #openHeredoc(): boolean {
    HEREDOC.lastIndex = this.#at;
    const match = HEREDOC.exec(this.#source);
    if (!match) return false;
    this.#emit(T.OHeredoc, match[0].length);
    this.#modes.push({ kind: 'heredoc', marker: match[2] as string });
    this.#startOfLine = true;
    return true;
  }

  #sequence(): boolean {
    const source = this.#source;
    const c = source.charAt(this.#at);
    if ((c !== '$' && c !== '%') || source.charAt(this.#at + 1) !== '{') return false;
    this.#emit(c === '$' ? T.Interpolation : T.Control, source.charAt(this.#at + 2) === '~' ? 3 : 2);
    this.#modes.push({ kind: 'normal', until: this.#braces });
    return true;
  }

  /** A lone `$` or `%`, or the escape `$${`: how long it is as a literal. */
  #literalMark(): number {
    const c = this.#source.charAt(this.#at);
    if (c !== '$' && c !== '%') return 0;
    if (!this.#source.startsWith(`${c}{`, this.#at + 1)) return 1;
    return this.#source.charAt(this.#at + 3) === '~' ? 4 : 3;
  }

  #quoted(mode: { split: boolean }): boolean {
    if (this.#source.charAt(this.#at) === '"') {
      this.#modes.pop();
      return this.#emit(T.CQuote, 1);
    }
    if (this.#sequence()) return true;
    const text = this.#literalMark() || this.#quotedTextLength();
    if (text > 0) return this.#emit(T.QuotedText, text);
    const newlines = this.#match(QUOTED_NEWLINES);
    if (newlines > 0) return this.#quotedNewline(mode, newlines);
    return this.#emit(T.Invalid, 1);
  }

  // Was the quote forgotten, or the string split? The next line with quotes tells: an even number closes nothing here,
  // and to read on would turn every string behind it inside out.
  #quotedNewline(mode: { split: boolean }, length: number): boolean {
    const start = this.#at;
    this.#emit(T.QuotedNewline, length);
    if (mode.split) return true;
    const quote = this.#source.indexOf('"', this.#at);
    const lineEnd = quote < 0 ? -1 : this.#source.indexOf('\n', quote);
    const line = quote < 0 ? '' : this.#source.slice(quote, lineEnd < 0 ? undefined : lineEnd);
    if (line.replaceAll('\\"', '').split('"').length % 2 === 0) {
      mode.split = true;
      return true;
    }
    this.#modes.pop();
    this.#tokens.push(T.Newline, start, this.#at);
    return true;
  }

  #heredoc({ marker }: { readonly marker: string }): boolean {
    if (this.#sequence()) {
      this.#startOfLine = false;
      return true;
    }
    const mark = this.#literalMark();
    if (mark > 0) {
      this.#startOfLine = false;
      return this.#emit(T.HeredocText, mark);
    }
    const line = this.#match(HEREDOC_LINE);
    const text = line || this.#match(HEREDOC_TEXT);
    if (this.#startOfLine && line > 0 && this.#source.slice(this.#at, this.#at + text).trim() === marker) {
      return this.#closeHeredoc(text);
    }
    this.#startOfLine = line > 0;
    return this.#emit(T.HeredocText, text);
  }

  #closeHeredoc(length: number): boolean {
    const newline = this.#source.charAt(this.#at + length - 2) === '\r' ? 2 : 1;
    this.#emit(T.CHeredoc, length - newline);
    this.#modes.pop();
    this.#startOfLine = false;
    return this.#emit(T.Newline, newline);
  }
}
