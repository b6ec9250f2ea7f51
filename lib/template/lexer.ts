import { type Position, TemplateError } from './ast.js';

export type Token =
  | { kind: 'text'; text: string; at: Position }
  | { kind: 'open' | 'close'; at: Position }
  | { kind: 'word'; text: string; at: Position }
  | { kind: 'field'; text: string; at: Position; spaced: boolean }
  | { kind: 'variable'; text: string; at: Position }
  | { kind: 'string'; value: string; at: Position }
  | { kind: 'number'; value: number; at: Position }
  | { kind: 'punctuation'; text: string; at: Position; spaced: boolean };

export interface Delimiters {
  left: string;
  right: string;
}

/** Cuts a template into text and the tokens of its actions; `{{-` and `-}}` trim the text beside them, comments vanish. */
export function lex(source: string, { left, right }: Delimiters): Token[] {
  const tokens: Token[] = [];
  const locate = locator(source);
  let position = 0;
  let trimNext = false;
  for (;;) {
    const start = source.indexOf(left, position);
    const end = start < 0 ? source.length : start;
    let text = source.slice(position, end);
    if (trimNext) text = text.replace(/^[ \t\r\n]+/, '');
    const trimsLeft = start >= 0 && /^-[ \t\r\n]/.test(source.slice(start + left.length, start + left.length + 2));
    if (trimsLeft) text = text.replace(/[ \t\r\n]+$/, '');
    if (text !== '') tokens.push({ kind: 'text', text, at: locate(position) });
    if (start < 0) return tokens;
    const inside = start + left.length + (trimsLeft ? 1 : 0);
    const comment = /^\s*\/\*/.exec(source.slice(inside, inside + 64));
    const action = comment
      ? skipComment(source, inside, right, locate)
      : lexAction(source, inside, right, locate, tokens);
    position = action.end;
    trimNext = action.trims;
  }
}

function locator(source: string): (offset: number) => Position {
  return (offset) => {
    const before = source.slice(0, offset);
    const line = before.split('\n').length;
    return { line, column: offset - before.lastIndexOf('\n') };
  };
}

interface ActionEnd {
  end: number;
  trims: boolean;
}

function closes(source: string, at: number, right: string): ActionEnd | undefined {
  if (source.startsWith(right, at)) return { end: at + right.length, trims: false };
  if (source[at] === '-' && source.startsWith(right, at + 1)) return { end: at + 1 + right.length, trims: true };
  return undefined;
}

function skipComment(source: string, from: number, right: string, locate: (offset: number) => Position): ActionEnd {
  const end = source.indexOf('*/', from);
  if (end < 0) throw new TemplateError(locate(from), 'unclosed comment');
  let after = end + 2;
  while (/\s/.test(source[after] ?? '')) after++;
  const closed = closes(source, after, right);
  if (!closed) throw new TemplateError(locate(from), 'comment ends before closing delimiter');
  return closed;
}

const WORD = /[\p{L}_][\p{L}\p{N}_]*/uy;
const FIELD = /\.[\p{L}_][\p{L}\p{N}_]*/uy;
const VARIABLE = /\$(?:[\p{L}_][\p{L}\p{N}_]*)?/uy;
const NUMBER = /[+-]?(?:0[xX][0-9a-fA-F]+|\d[\d_]*(?:\.\d+)?(?:[eE][+-]?\d+)?|\.\d+)/y;

function lexAction(
  source: string,
  from: number,
  right: string,
  locate: (offset: number) => Position,
  tokens: Token[],
): ActionEnd {
  tokens.push({ kind: 'open', at: locate(from) });
  let i = from;
  let spaced = true;
  const take = (pattern: RegExp): string | undefined => {
    pattern.lastIndex = i;
    return pattern.exec(source)?.[0];
  };
  for (;;) {
    const at = locate(i);
    const char = source[i];
    if (char === undefined) throw new TemplateError(locate(from), 'unclosed action');
    const closed = closes(source, i, right);
    if (closed && (!closed.trims || spaced)) {
      tokens.push({ kind: 'close', at });
      return closed;
    }
    if (/\s/.test(char)) {
      i++;
      spaced = true;
      continue;
    }
    let length: number;
    if (char === '"' || char === '`' || char === "'") {
      const read = readQuoted(source, i, at);
      tokens.push(
        char === "'"
          ? { kind: 'number', value: read.value.codePointAt(0) ?? 0, at }
          : { kind: 'string', value: read.value, at },
      );
      length = read.length;
    } else {
      const field = take(FIELD);
      const variable = field ? undefined : take(VARIABLE);
      const number = field || variable ? undefined : take(NUMBER);
      const word = field || variable || number ? undefined : take(WORD);
      if (field) tokens.push({ kind: 'field', text: field.slice(1), at, spaced });
      else if (variable) tokens.push({ kind: 'variable', text: variable, at });
      else if (number) tokens.push({ kind: 'number', value: Number(number.replaceAll('_', '')), at });
      else if (word) tokens.push({ kind: 'word', text: word, at });
      else tokens.push({ kind: 'punctuation', text: punctuation(source, i, at), at, spaced });
      const last = tokens.at(-1);
      length = (field ?? variable ?? number ?? word)?.length ?? (last?.kind === 'punctuation' ? last.text.length : 1);
    }
    i += length;
    spaced = false;
  }
}

function punctuation(source: string, i: number, at: Position): string {
  const found = /^(:=|[|().,=])/.exec(source.slice(i, i + 2));
  if (!found) throw new TemplateError(at, `unexpected ${JSON.stringify(source[i])} in an action`);
  return found[0];
}

const ESCAPES: Record<string, string> = {
  n: '\n',
  t: '\t',
  r: '\r',
  '\\': '\\',
  '"': '"',
  "'": "'",
  a: '\u0007',
  b: '\b',
  f: '\f',
  v: '\v',
};

function readQuoted(source: string, start: number, at: Position): { value: string; length: number } {
  const quote = source[start] as string;
  let value = '';
  for (let i = start + 1; i < source.length; i++) {
    const char = source[i] as string;
    if (char === quote) return { value, length: i - start + 1 };
    if (quote === '`') value += char;
    else if (char === '\n') break;
    else if (char !== '\\') value += char;
    else {
      const escaped = source[++i] ?? '';
      const size = { x: 2, u: 4, U: 8 }[escaped];
      if (size !== undefined) {
        const hex = source.slice(i + 1, i + 1 + size);
        if (!/^[0-9a-fA-F]+$/.test(hex) || hex.length < size)
          throw new TemplateError(at, `malformed escape \\${escaped}`);
        value += String.fromCodePoint(Number.parseInt(hex, 16));
        i += size;
      } else if (escaped in ESCAPES) value += ESCAPES[escaped];
      else throw new TemplateError(at, `unknown escape \\${escaped}`);
    }
  }
  throw new TemplateError(at, 'unterminated quoted string');
}
