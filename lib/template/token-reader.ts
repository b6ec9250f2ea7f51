import { TemplateError } from './ast.js';
import type { Token, TokenKind } from './lexer.js';
import { quote } from './quote.js';

/** Gives the tokens of a template one by one, with a look ahead, and says where it could not go on. */
export class TokenReader {
  /** The line of the action that is being parsed, 0 outside. */
  actionLine = 0;
  private readonly name: string;
  private readonly tokens: readonly Token[];
  private index = 0;
  /** The furthest token that was looked at: errors are told at its line, as in Go. */
  private furthest = 0;

  constructor(name: string, tokens: readonly Token[]) {
    this.name = name;
    this.tokens = tokens;
  }

  next(): Token {
    const token = this.peek();
    this.index++;
    return token;
  }

  peek(): Token {
    const index = Math.min(this.index, this.tokens.length - 1);
    this.furthest = Math.max(this.furthest, index);
    return this.tokens[index] as Token;
  }

  nextNonSpace(): Token {
    let token = this.next();
    while (token.kind === 'space') token = this.next();
    return token;
  }

  peekNonSpace(): Token {
    while (this.peek().kind === 'space') this.index++;
    return this.peek();
  }

  /** Unreads the last `count` tokens. */
  backup(count = 1): void {
    this.index -= count;
  }

  /** The keyword behind the opening delimiter that comes next, '' when it is none. */
  keywordAhead(): string {
    const at = this.index;
    this.next();
    const token = this.nextNonSpace();
    this.index = at;
    return token.kind === 'keyword' ? token.value : '';
  }

  expect(kind: TokenKind, context: string): Token {
    const token = this.nextNonSpace();
    if (token.kind !== kind) this.unexpected(token, context);
    return token;
  }

  unexpected(token: Token, context: string): never {
    if (token.kind !== 'error') this.fail(`unexpected ${describe(token)} in ${context}`);
    const elsewhere = this.actionLine !== 0 && this.actionLine !== token.line;
    const start = ` started at ${this.name}:${this.actionLine}`;
    const extra = token.value.endsWith(' action') ? start : ` in action${start}`;
    this.fail(token.value + (elsewhere ? extra : ''));
  }

  fail(message: string): never {
    const line = this.tokens[this.furthest]?.line ?? 1;
    throw new TemplateError(`template: ${this.name}:${line}: ${message}`);
  }
}

/** A token as Go shows it. */
function describe({ kind, value }: Token): string {
  if (kind === 'end of file') return 'EOF';
  if (kind === 'keyword' || kind === 'nil' || kind === 'dot') return `<${value}>`;
  const chars = [...value];
  return chars.length > 10 ? `${quote(chars.slice(0, 10).join(''))}...` : quote(value);
}
