import type { Expression, ObjectExpression } from './ast.js';
import { type Diagnostic, errorAt } from './diagnostics.js';
import { parseBigFloat } from './number.js';
import { lengthProblem, type ParsedExpression } from './parser.js';
import { BYTE_ORDER_MARK, SourceMap } from './source-map.js';
import { NESTING_MAX } from './token-stream.js';
import { FALSE, NULL, numberValue, stringValue, TRUE, type Value } from './values.js';

/**
 * Parses JSON (RFC 8259) into the tree of an expression: objects, tuples and literals with their ranges, strings as
 * they stand (no templates). Never throws; the first error ends it. A comma after the last item is let pass, as
 * HashiCorp's agents do; a key that stands twice is an error.
 */
export function parseJson(source: string, filename: string): ParsedExpression {
  const tooLong = lengthProblem(source, filename);
  if (tooLong) return { expression: { kind: 'invalid', range: tooLong.subject }, diagnostics: [tooLong] };
  const map = new SourceMap(source, filename);
  const parser = new JsonParser(map);
  try {
    return { expression: parser.file(), diagnostics: [] };
  } catch (cause) {
    if (!(cause instanceof Refused)) throw cause;
    return { expression: { kind: 'invalid', range: cause.diagnostic.subject }, diagnostics: [cause.diagnostic] };
  }
}

/** Leaves the recursion at the first error; it never leaves this file. */
class Refused extends Error {
  readonly diagnostic: Diagnostic;

  constructor(diagnostic: Diagnostic) {
    super(diagnostic.summary);
    this.diagnostic = diagnostic;
  }
}

const SPACE = /[ \t\r\n]+/y;
const NUMBER = /-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?/y;
const PLAIN = /[^"\\\u0000-\u001f]+/y;
const WORD = /[A-Za-z_][A-Za-z0-9_]*/y;
const WORDS: Record<string, Value> = { true: TRUE, false: FALSE, null: NULL };

class JsonParser {
  readonly #map: SourceMap;
  readonly #source: string;
  #at = 0;

  constructor(map: SourceMap) {
    this.#map = map;
    this.#source = map.source;
    if (map.source.charCodeAt(0) === BYTE_ORDER_MARK) this.#at = 1;
  }

  file(): Expression {
    const expression = this.#value(0);
    this.#skip();
    if (this.#at < this.#source.length)
      this.#refuse('Extraneous data after JSON', 'Extra characters appear after the JSON value.');
    return expression;
  }

  #refuse(summary: string, detail: string, start = this.#at, end = Math.min(start + 1, this.#source.length)): never {
    throw new Refused(errorAt(this.#map.range(start, end), summary, detail));
  }

  #match(pattern: RegExp): string {
    pattern.lastIndex = this.#at;
    const match = pattern.exec(this.#source)?.[0] ?? '';
    this.#at += match.length;
    return match;
  }

  #skip(): string {
    this.#match(SPACE);
    return this.#source.charAt(this.#at);
  }

  #value(depth: number): Expression {
    const c = this.#skip();
    const start = this.#at;
    if (depth > NESTING_MAX) this.#refuse('Nesting too deep', `JSON may be nested up to ${NESTING_MAX} levels deep.`);
    if (c === '{') return this.#object(depth);
    if (c === '[') return this.#array(depth);
    if (c === '"') return this.#literal(stringValue(this.#string()), start);
    if (c === '') this.#refuse('Missing JSON value', 'The file ends where a JSON value is expected.');
    const digits = this.#match(NUMBER);
    if (digits !== '') {
      const number = parseBigFloat(digits);
      if (!number) this.#refuse('Invalid JSON number', 'The number is too large.', start, this.#at);
      return this.#literal(numberValue(number), start);
    }
    const word = this.#match(WORD);
    const value = WORDS[word];
    if (value) return this.#literal(value, start);
    const detail =
      word === ''
        ? 'A JSON value must start with a brace, a bracket, a number, a string, or a keyword.'
        : `"${word}" is not a valid JSON keyword: strings stand in quotes.`;
    this.#refuse('Invalid JSON value', detail, start, Math.max(this.#at, start + 1));
  }

  #literal(value: Value, start: number): Expression {
    return { kind: 'literal', value, range: this.#map.range(start, this.#at) };
  }

  #array(depth: number): Expression {
    const start = this.#at++;
    const items: Expression[] = [];
    if (this.#skip() === ']') this.#at++;
    else {
      do items.push(this.#value(depth + 1));
      while (this.#separated(']', start));
    }
    return {
      kind: 'tuple',
      items,
      range: this.#map.range(start, this.#at),
      openRange: this.#map.range(start, start + 1),
    };
  }

  /** True behind a comma, false behind the closing bracket. */
  #separated(close: string, start: number): boolean {
    const c = this.#skip();
    if (c === '') {
      const what = close === ']' ? 'array' : 'object';
      this.#refuse(`Unclosed ${what}`, `The ${what} that begins here has no closing "${close}".`, start);
    }
    if (c !== ',' && c !== close) this.#refuse('Missing JSON comma', `A comma or "${close}" is expected here.`);
    this.#at++;
    if (c === close) return false;
    if (this.#skip() !== close) return true;
    this.#at++;
    return false;
  }

  #object(depth: number): Expression {
    const start = this.#at++;
    const items: ObjectExpression['items'][number][] = [];
    const keys = new Set<string>();
    if (this.#skip() === '}') this.#at++;
    else {
      do items.push(this.#entry(depth, keys));
      while (this.#separated('}', start));
    }
    return {
      kind: 'object',
      items,
      range: this.#map.range(start, this.#at),
      openRange: this.#map.range(start, start + 1),
    };
  }

  #entry(depth: number, keys: Set<string>): ObjectExpression['items'][number] {
    if (this.#skip() !== '"')
      this.#refuse('Invalid JSON property name', 'A property name in double quotes is expected here.');
    const start = this.#at;
    const name = this.#string();
    const range = this.#map.range(start, this.#at);
    if (keys.has(name))
      this.#refuse('Duplicate JSON property', `The property "${name}" is set twice.`, start, this.#at);
    keys.add(name);
    if (this.#skip() !== ':')
      this.#refuse('Missing JSON colon', 'A colon must stand between the name of a property and its value.');
    this.#at++;
    const wrapped: Expression = { kind: 'literal', value: stringValue(name), range };
    return { key: { kind: 'object-key', wrapped, name, range }, value: this.#value(depth + 1) };
  }

  #string(): string {
    const start = this.#at++;
    for (;;) {
      this.#match(PLAIN);
      const c = this.#source.charAt(this.#at);
      if (c === '"') {
        this.#at++;
        return this.#unescape(start);
      }
      if (c === '\\') this.#at += 2;
      else if (c === '' || c === '\n')
        this.#refuse('Unterminated JSON string', 'The string has no closing quote on its line.', start);
      else this.#refuse('Invalid JSON string', 'Control characters must be escaped, such as \\t or \\u0007.');
    }
  }

  #unescape(start: number): string {
    const raw = this.#source.slice(start, this.#at);
    try {
      return JSON.parse(raw);
    } catch {
      this.#refuse(
        'Invalid JSON string',
        'The string has an escape sequence that JSON does not know.',
        start,
        this.#at,
      );
    }
  }
}
