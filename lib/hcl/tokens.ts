/** The kinds of tokens; numbers, since a file of 10 MB has millions of them. */
export const T = {
  EOF: 0,
  Newline: 1,
  Comment: 2,
  Ident: 3,
  Number: 4,
  OBrace: 5,
  CBrace: 6,
  OBrack: 7,
  CBrack: 8,
  OParen: 9,
  CParen: 10,
  OQuote: 11,
  CQuote: 12,
  OHeredoc: 13,
  CHeredoc: 14,
  /** Text within quotes, with backslash escapes. */
  QuotedText: 15,
  /** Text of a heredoc: one line, or what is left of it beside an interpolation. */
  HeredocText: 16,
  Interpolation: 17,
  Control: 18,
  SequenceEnd: 19,
  Star: 20,
  Slash: 21,
  Plus: 22,
  Minus: 23,
  Percent: 24,
  Equal: 25,
  EqualEqual: 26,
  NotEqual: 27,
  Less: 28,
  LessEqual: 29,
  Greater: 30,
  GreaterEqual: 31,
  And: 32,
  Or: 33,
  Bang: 34,
  Dot: 35,
  Comma: 36,
  Ellipsis: 37,
  FatArrow: 38,
  Question: 39,
  Colon: 40,
  DoubleColon: 41,
  // What follows is no part of the language, and known only for the sake of its message.
  BitwiseAnd: 42,
  BitwiseOr: 43,
  BitwiseNot: 44,
  BitwiseXor: 45,
  Apostrophe: 47,
  Backtick: 48,
  Semicolon: 49,
  QuotedNewline: 50,
  Invalid: 51,
} as const;

export type TokenType = (typeof T)[keyof typeof T];

export interface Token {
  readonly type: TokenType;
  /** UTF-16 indexes into the source. */
  readonly start: number;
  readonly end: number;
}

/** The tokens of a source, as columns. The last one is EOF. */
export class TokenList {
  #types = new Uint8Array(256);
  #starts = new Uint32Array(256);
  #ends = new Uint32Array(256);
  length = 0;

  push(type: TokenType, start: number, end: number): void {
    if (this.length === this.#types.length) this.#grow();
    this.#types[this.length] = type;
    this.#starts[this.length] = start;
    this.#ends[this.length] = end;
    this.length++;
  }

  type(i: number): TokenType {
    return this.#types[i] as TokenType;
  }

  start(i: number): number {
    return this.#starts[i] as number;
  }

  end(i: number): number {
    return this.#ends[i] as number;
  }

  token(i: number): Token {
    return { type: this.type(i), start: this.start(i), end: this.end(i) };
  }

  #grow(): void {
    const types = new Uint8Array(this.length * 2);
    types.set(this.#types);
    this.#types = types;
    const starts = new Uint32Array(this.length * 2);
    starts.set(this.#starts);
    this.#starts = starts;
    const ends = new Uint32Array(this.length * 2);
    ends.set(this.#ends);
    this.#ends = ends;
  }
}
