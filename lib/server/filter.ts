import { err, ok, type Result } from '../util/result.js';

// The `filter` parameter of lists: go-bexpr's language over the fields of the listed structs.
//   or     := and ("or" and)*          and := not ("and" not)*
//   not    := "not" not | "(" or ")" | match
//   match  := selector ("==" | "!=" | "matches" | "not matches" | "contains" | "not contains") value
//           | value ("in" | "not in") selector | selector "is" ["not"] ("empty" | "nil")
// A selector walks structs and maps by name (Meta.env, Meta["a b"], "/Meta/a b"), lists by position. A name that is not
// there equals nothing.

export type Filter = (item: unknown) => boolean;

/** Nesting beyond this is refused: a hostile expression must not exhaust the stack. */
const DEPTH_MAX = 100;

type Token =
  | { kind: 'word' | 'text' | 'number'; text: string; at: number }
  | { kind: 'sign'; text: string; at: number }
  | { kind: 'end'; text: ''; at: number };

class FilterError extends Error {}

/** Compiles an expression; the error names the position (from 1) and what was expected there. */
export function parseFilter(source: string): Result<Filter, string> {
  try {
    const parser = new Parser(tokenize(source));
    return ok(parser.whole());
  } catch (error) {
    if (error instanceof FilterError) return err(error.message);
    throw error;
  }
}

const TOKEN =
  /\s*(?:"((?:[^"\\]|\\.)*)"|`([^`]*)`|(-?\d+(?:\.\d+)?)(?![\w.-])|([A-Za-z_/][\w./*-]*)|(==|!=|[()[\].]))/y;

function tokenize(source: string): Token[] {
  const tokens: Token[] = [];
  TOKEN.lastIndex = 0;
  while (TOKEN.lastIndex < source.length) {
    const from = TOKEN.lastIndex;
    const match = TOKEN.exec(source);
    if (!match) {
      if (source.slice(from).trim() === '') break;
      const at = from + source.slice(from).search(/\S/);
      throw new FilterError(`unexpected ${JSON.stringify(source.slice(at, at + 10))} at position ${at + 1}`);
    }
    const at = TOKEN.lastIndex - match[0].trimStart().length;
    const [, quoted, raw, number, word, sign] = match;
    if (quoted !== undefined) tokens.push({ kind: 'text', text: unquote(quoted), at });
    else if (raw !== undefined) tokens.push({ kind: 'text', text: raw, at });
    else if (number !== undefined) tokens.push({ kind: 'number', text: number, at });
    else if (word !== undefined) tokens.push({ kind: 'word', text: word, at });
    else tokens.push({ kind: 'sign', text: sign ?? '', at });
  }
  tokens.push({ kind: 'end', text: '', at: source.length });
  return tokens;
}

const ESCAPES: Record<string, string> = { n: '\n', t: '\t', r: '\r' };

const unquote = (text: string): string => text.replace(/\\(.)/g, (_, c: string) => ESCAPES[c] ?? c);

class Parser {
  readonly #tokens: Token[];
  #next = 0;
  #depth = 0;

  constructor(tokens: Token[]) {
    this.#tokens = tokens;
  }

  whole(): Filter {
    const filter = this.#or();
    if (this.#peek().kind !== 'end') this.#fail('"and", "or" or the end');
    return filter;
  }

  #or(): Filter {
    let left = this.#and();
    while (this.#takeWord('or')) {
      const [a, b] = [left, this.#and()];
      left = (item) => a(item) || b(item);
    }
    return left;
  }

  #and(): Filter {
    let left = this.#not();
    while (this.#takeWord('and')) {
      const [a, b] = [left, this.#not()];
      left = (item) => a(item) && b(item);
    }
    return left;
  }

  #not(): Filter {
    if (++this.#depth > DEPTH_MAX) throw new FilterError(`nested more than ${DEPTH_MAX} deep`);
    try {
      if (this.#takeWord('not')) {
        const inner = this.#not();
        return (item) => !inner(item);
      }
      if (this.#takeSign('(')) {
        const inner = this.#or();
        if (!this.#takeSign(')')) this.#fail('")"');
        return inner;
      }
      return this.#match();
    } finally {
      this.#depth--;
    }
  }

  #match(): Filter {
    const first = this.#take();
    if (first.kind === 'end' || first.kind === 'sign') this.#fail('a field or a value', first);
    const negatedIn = this.#takeWords('not', 'in');
    if (negatedIn || this.#takeWord('in')) {
      const path = this.#selector(this.#take());
      return (item) => contains(walk(item, path), first.text) !== negatedIn;
    }
    const path = this.#selector(first);
    if (this.#takeWord('is')) {
      const negated = this.#takeWord('not');
      if (this.#takeWord('nil')) return (item) => ((walk(item, path) ?? null) === null) !== negated;
      if (!this.#takeWord('empty')) this.#fail('"empty" or "nil"');
      return (item) => isEmpty(walk(item, path)) !== negated;
    }
    if (this.#takeSign('==')) return this.#compare(path, equals, false);
    if (this.#takeSign('!=')) return this.#compare(path, equals, true);
    if (this.#takeWord('contains')) return this.#compare(path, contains, false);
    if (this.#takeWords('not', 'contains')) return this.#compare(path, contains, true);
    if (this.#takeWord('matches')) return this.#matches(path, false);
    if (this.#takeWords('not', 'matches')) return this.#matches(path, true);
    return this.#fail('an operator (==, !=, in, contains, matches, is empty, is nil)');
  }

  #compare(path: string[], holds: (actual: unknown, value: string) => boolean, negated: boolean): Filter {
    const value = this.#value();
    return (item) => holds(walk(item, path), value) !== negated;
  }

  #matches(path: string[], negated: boolean): Filter {
    const token = this.#peek();
    const value = this.#value();
    let pattern: RegExp;
    try {
      pattern = new RegExp(value);
    } catch {
      throw new FilterError(`${JSON.stringify(value)} at position ${token.at + 1} is not a regular expression`);
    }
    return (item) => {
      const actual = walk(item, path);
      return (typeof actual === 'string' && pattern.test(actual)) !== negated;
    };
  }

  #value(): string {
    const token = this.#take();
    if (token.kind === 'end' || token.kind === 'sign') this.#fail('a value', token);
    return token.text;
  }

  #selector(first: Token): string[] {
    if (first.kind === 'end' || first.kind === 'sign' || first.kind === 'number') this.#fail('a field', first);
    const path = first.text.startsWith('/') ? first.text.slice(1).split('/') : first.text.split('.');
    for (;;) {
      if (this.#takeSign('[')) {
        path.push(this.#value());
        if (!this.#takeSign(']')) this.#fail('"]"');
      } else if (this.#takeSign('.')) path.push(...this.#value().split('.'));
      else return path;
    }
  }

  #peek(): Token {
    return this.#tokens[this.#next] as Token;
  }

  #take(): Token {
    const token = this.#peek();
    if (token.kind !== 'end') this.#next++;
    return token;
  }

  #takeSign(text: string): boolean {
    const token = this.#peek();
    if (token.kind !== 'sign' || token.text !== text) return false;
    this.#next++;
    return true;
  }

  #takeWord(text: string): boolean {
    const token = this.#peek();
    if (token.kind !== 'word' || token.text !== text) return false;
    this.#next++;
    return true;
  }

  #takeWords(first: string, second: string): boolean {
    const after = this.#tokens[this.#next + 1];
    if (this.#peek().text !== first || after?.kind !== 'word' || after.text !== second) return false;
    return this.#takeWord(first) && this.#takeWord(second);
  }

  #fail(expected: string, token = this.#peek()): never {
    const found = token.kind === 'end' ? 'the end' : JSON.stringify(token.text);
    throw new FilterError(`expected ${expected} at position ${token.at + 1}, found ${found}`);
  }
}

function walk(item: unknown, path: readonly string[]): unknown {
  let value = item;
  for (const name of path) {
    if (typeof value !== 'object' || value === null || !Object.hasOwn(value, name)) return undefined;
    value = (value as Record<string, unknown>)[name];
  }
  return value;
}

function equals(actual: unknown, value: string): boolean {
  if (typeof actual === 'number') return actual === Number(value);
  if (typeof actual === 'boolean') return String(actual) === value;
  return actual === value;
}

function contains(actual: unknown, value: string): boolean {
  if (typeof actual === 'string') return actual.includes(value);
  if (Array.isArray(actual)) return actual.some((element) => equals(element, value));
  return typeof actual === 'object' && actual !== null && Object.hasOwn(actual, value);
}

function isEmpty(actual: unknown): boolean {
  if (actual === undefined || actual === null || actual === '') return true;
  if (Array.isArray(actual)) return actual.length === 0;
  return typeof actual === 'object' && Object.keys(actual).length === 0;
}
