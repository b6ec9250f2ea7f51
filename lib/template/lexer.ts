import { quote } from './quote.js';

/** The smallest parts of a template. `value` is what stands in the source. */
export interface Token {
  kind: TokenKind;
  value: string;
  /** Where it begins, in UTF-16 units. */
  at: number;
  /** The line it begins on, from 1. */
  line: number;
}

export type TokenKind =
  | 'text'
  | 'left'
  | 'right'
  | 'space'
  | 'identifier'
  | 'keyword'
  | 'bool'
  | 'dot'
  | 'nil'
  | 'field'
  | 'variable'
  | 'string'
  | 'raw string'
  | 'char'
  | 'number'
  | 'assign'
  | 'declare'
  | 'pipe'
  | 'open'
  | 'close'
  | 'punctuation'
  | 'error'
  | 'end of file';

export interface Delimiters {
  left: string;
  right: string;
}

const KEYWORDS = new Set(['block', 'break', 'continue', 'define', 'else', 'end', 'if', 'range', 'template', 'with']);

/** Cuts a template into text and the tokens of its actions; the last token is the end or an error. */
export function lex(source: string, delimiters: Delimiters): Token[] {
  const lexer = new Lexer(source, delimiters);
  lexer.run();
  return lexer.tokens;
}

const SPACE = /[ \t\r\n]/;
const WORD = /[\p{L}\p{Nd}_]/u;
/** What may stand behind a word. */
const TERMINATOR = /[ \t\r\n.,|:)(]/;

class LexError extends Error {}

class Lexer {
  readonly tokens: Token[] = [];
  private readonly source: string;
  private readonly left: string;
  private readonly right: string;
  private start = 0;
  private position = 0;
  private line = 1;
  /** Where the line that was counted last ends; −1 before the first one. */
  private lineEnd = -1;
  private parens = 0;

  constructor(source: string, { left, right }: Delimiters) {
    this.source = source;
    this.left = left;
    this.right = right;
  }

  run(): void {
    try {
      while (this.text()) this.action();
      this.emit('end of file');
    } catch (error) {
      if (!(error instanceof LexError)) throw error;
      this.countLines(this.start);
      this.tokens.push({ kind: 'error', value: error.message, at: this.start, line: this.line });
    }
  }

  /** Takes the text before the next action; false at the end. */
  private text(): boolean {
    const { source, left } = this;
    const found = source.indexOf(left, this.position);
    this.position = found < 0 ? source.length : found;
    if (found >= 0 && this.hasLeftTrim(found + left.length)) {
      while (this.position > this.start && SPACE.test(source[this.position - 1] ?? '')) this.position--;
    }
    if (this.position > this.start) this.emit('text');
    if (found < 0) return false;
    this.skipTo(found);
    return true;
  }

  private action(): void {
    const after = this.position + this.left.length;
    const inside = this.hasLeftTrim(after) ? after + 2 : after;
    if (this.source.startsWith('/*', inside)) {
      this.skipTo(inside);
      this.comment();
      return;
    }
    this.position = after;
    this.emit('left');
    this.skipTo(inside);
    this.parens = 0;
    while (!this.atRight()) this.inside();
    if (this.parens > 0) throw new LexError('unclosed left paren');
    this.closeAction();
  }

  private comment(): void {
    const end = this.source.indexOf('*/', this.position + 2);
    if (end < 0) throw new LexError('unclosed comment');
    this.position = end + 2;
    if (!this.atRight()) throw new LexError('comment ends before closing delimiter');
    this.skipTo(this.position);
    this.closeAction(false);
  }

  /** Steps over the closing delimiter and the white space that its marker trims. */
  private closeAction(told = true): void {
    const trims = this.hasRightTrim();
    if (trims) this.skipTo(this.position + 2);
    this.position += this.right.length;
    if (told) this.emit('right');
    let end = this.position;
    while (trims && SPACE.test(this.source[end] ?? '')) end++;
    this.skipTo(end);
  }

  private inside(): void {
    const char = this.next();
    if (char === '') throw new LexError('unclosed action');
    if (SPACE.test(char)) {
      this.space();
      return;
    }
    switch (char) {
      case '=':
        this.emit('assign');
        return;
      case ':':
        if (this.next() !== '=') throw new LexError('expected :=');
        this.emit('declare');
        return;
      case '|':
        this.emit('pipe');
        return;
      case '"':
        this.quoted('"', 'string', 'unterminated quoted string');
        return;
      case "'":
        this.quoted("'", 'char', 'unterminated character constant');
        return;
      case '`':
        this.rawQuoted();
        return;
      case '$':
        this.name('variable');
        return;
      case '(':
        this.parens++;
        this.emit('open');
        return;
      case ')':
        this.parens--;
        if (this.parens < 0) throw new LexError('unexpected right paren');
        this.emit('close');
        return;
    }
    // At the very end a dot is taken for a number, as in Go.
    if (char === '.' && !/[0-9]/.test(this.source[this.position] ?? '0')) {
      this.name('field');
      return;
    }
    if (/[.+\-0-9]/.test(char)) {
      this.number();
      return;
    }
    if (WORD.test(char)) {
      this.word();
      return;
    }
    if (char > ' ' && char <= '~') {
      this.emit('punctuation');
      return;
    }
    throw new LexError(`unrecognized character in action: ${unicode(char)}`);
  }

  private space(): void {
    while (SPACE.test(this.source[this.position] ?? '')) this.position++;
    // The last blank may belong to the closing delimiter: " -}}".
    if (this.source.startsWith(`-${this.right}`, this.position)) {
      this.position--;
      if (this.position === this.start) return;
    }
    this.emit('space');
  }

  private quoted(quote: string, kind: TokenKind, unterminated: string): void {
    for (;;) {
      let char = this.next();
      const escaped = char === '\\';
      if (escaped) char = this.next();
      if (char === '' || char === '\n') throw new LexError(unterminated);
      if (!escaped && char === quote) {
        this.emit(kind);
        return;
      }
    }
  }

  private rawQuoted(): void {
    const end = this.source.indexOf('`', this.position);
    if (end < 0) throw new LexError('unterminated raw quoted string');
    this.position = end + 1;
    this.emit('raw string');
  }

  /** What begins with `.` or `$`. */
  private name(kind: 'field' | 'variable'): void {
    if (this.atTerminator()) {
      this.emit(kind === 'field' ? 'dot' : 'variable');
      return;
    }
    this.wordEnd();
    this.emit(kind);
  }

  private word(): void {
    this.wordEnd();
    const word = this.source.slice(this.start, this.position);
    if (KEYWORDS.has(word)) this.emit('keyword');
    else if (word === 'nil') this.emit('nil');
    else this.emit(word === 'true' || word === 'false' ? 'bool' : 'identifier');
  }

  private wordEnd(): void {
    let char = this.peek();
    while (WORD.test(char)) {
      this.position += char.length;
      char = this.peek();
    }
    if (!this.atTerminator()) throw new LexError(`bad character ${unicode(char)}`);
  }

  private number(): void {
    this.position = this.start;
    const pattern =
      /[+-]?(?:0[xX][0-9a-fA-F_]*(?:\.[0-9a-fA-F_]*)?(?:[pP][+-]?[0-9_]*)?|0[oO][0-7_]*(?:\.[0-7_]*)?|0[bB][01_]*(?:\.[01_]*)?|[0-9_]*(?:\.[0-9_]*)?(?:[eE][+-]?[0-9_]*)?)i?/y;
    pattern.lastIndex = this.start;
    this.position += pattern.exec(this.source)?.[0].length ?? 0;
    const read = this.position;
    const after = this.peek();
    // A sign makes it a complex number, which nothing here takes: it is shown whole.
    if (after === '+' || after === '-') {
      pattern.lastIndex = this.position;
      this.position += pattern.exec(this.source)?.[0].length ?? 0;
    }
    if (WORD.test(this.peek())) this.position += this.peek().length;
    if (this.position > read) {
      throw new LexError(`bad number syntax: ${quote(this.source.slice(this.start, this.position))}`);
    }
    this.emit('number');
  }

  private next(): string {
    const char = this.peek();
    this.position += char.length;
    return char;
  }

  private peek(): string {
    const code = this.source.codePointAt(this.position);
    return code === undefined ? '' : String.fromCodePoint(code);
  }

  private atTerminator(): boolean {
    const char = this.peek();
    return char === '' || TERMINATOR.test(char) || this.source.startsWith(this.right, this.position);
  }

  private atRight(): boolean {
    return this.hasRightTrim() || this.source.startsWith(this.right, this.position);
  }

  private hasLeftTrim(at: number): boolean {
    return this.source[at] === '-' && SPACE.test(this.source[at + 1] ?? '');
  }

  private hasRightTrim(): boolean {
    return SPACE.test(this.source[this.position] ?? '') && this.source.startsWith(`-${this.right}`, this.position + 1);
  }

  private emit(kind: TokenKind): void {
    this.countLines(this.start);
    const value = this.source.slice(this.start, this.position);
    this.tokens.push({ kind, value, at: this.start, line: this.line });
    this.start = this.position;
  }

  private skipTo(position: number): void {
    this.position = position;
    this.start = position;
  }

  private countLines(to: number): void {
    while (this.lineEnd < to) {
      if (this.lineEnd >= 0) this.line++;
      const next = this.source.indexOf('\n', this.lineEnd + 1);
      this.lineEnd = next < 0 ? Number.POSITIVE_INFINITY : next;
    }
  }
}

/** A character as Go's `%#U` prints it. */
function unicode(char: string): string {
  if (char === '') return 'U+FFFFFFFFFFFFFFFF';
  const code = char.codePointAt(0) ?? 0;
  const hex = code.toString(16).toUpperCase().padStart(4, '0');
  return code < 0x20 ? `U+${hex}` : `U+${hex} '${char}'`;
}
