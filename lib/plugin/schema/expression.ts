import { err, ok, type Result } from '../../util/result.js';

// The types and the default values in a plugin's schema are written in HCL's expressions, of which plugins use a small part:
// values, lists, objects, names and calls. `list(map(string))` is a call with a call; `{ gc = true }` an object.

export type Expression =
  | { kind: 'value'; value: string | number | boolean | null }
  | { kind: 'list'; items: Expression[] }
  | { kind: 'object'; entries: [string, Expression][] }
  | { kind: 'name'; name: string }
  | { kind: 'call'; name: string; args: Expression[] };

const LENGTH_MAX = 65_536;
const DEPTH_MAX = 32;

/** Reads an expression; the error says what stands where. */
export function parseExpression(text: string): Result<Expression, string> {
  if (text.length > LENGTH_MAX) return err(`is longer than ${LENGTH_MAX} characters`);
  try {
    const parser = new Parser(text);
    return ok(parser.whole());
  } catch (error) {
    if (error instanceof SyntaxProblem) return err(error.message);
    throw error;
  }
}

class SyntaxProblem extends Error {}

class Parser {
  readonly #text: string;
  #at = 0;

  constructor(text: string) {
    this.#text = text;
  }

  whole(): Expression {
    const found = this.#expression(0);
    this.#space();
    if (this.#at < this.#text.length) this.#fail('the end');
    return found;
  }

  #expression(depth: number): Expression {
    if (depth > DEPTH_MAX) throw new SyntaxProblem(`is nested deeper than ${DEPTH_MAX}`);
    this.#space();
    const char = this.#text[this.#at] ?? '';
    if (char === '"') return { kind: 'value', value: this.#string() };
    if (char === '[') return { kind: 'list', items: this.#items(']', () => this.#expression(depth + 1)) };
    if (char === '{') return { kind: 'object', entries: this.#items('}', () => this.#entry(depth + 1)) };
    const number = this.#match(/-?\d+(\.\d+)?([eE][+-]?\d+)?/y);
    if (number !== undefined) return { kind: 'value', value: Number(number) };
    const name = this.#match(/[A-Za-z_][\w-]*/y);
    if (name === undefined) return this.#fail('a value');
    if (name === 'true' || name === 'false') return { kind: 'value', value: name === 'true' };
    if (name === 'null') return { kind: 'value', value: null };
    if (this.#text[this.#at] !== '(') return { kind: 'name', name };
    return { kind: 'call', name, args: this.#items(')', () => this.#expression(depth + 1)) };
  }

  #entry(depth: number): [string, Expression] {
    this.#space();
    const key = this.#text[this.#at] === '"' ? this.#string() : this.#match(/[A-Za-z_][\w-]*/y);
    if (key === undefined) return this.#fail('a key');
    this.#space();
    if (this.#match(/[=:]/y) === undefined) this.#fail('"="');
    return [key, this.#expression(depth)];
  }

  /** What stands between the bracket here and `close`, by commas or, in objects, line ends. */
  #items<T>(close: string, item: () => T): T[] {
    this.#at++;
    const items: T[] = [];
    for (;;) {
      this.#space();
      if (this.#text[this.#at] === close) break;
      items.push(item());
      const line = this.#match(/[ \t\r]*\n/y);
      this.#space();
      if (this.#text[this.#at] === close) break;
      if (this.#match(/,/y) === undefined && (line === undefined || close !== '}')) this.#fail(`"," or "${close}"`);
    }
    this.#at++;
    return items;
  }

  #string(): string {
    const quoted = this.#match(/"(?:[^"\\\n]|\\.)*"/y);
    if (quoted === undefined) return this.#fail('the end of a string');
    try {
      return JSON.parse(quoted);
    } catch {
      return this.#fail('a string without unknown escapes');
    }
  }

  #space(): void {
    this.#match(/\s*/y);
  }

  #match(pattern: RegExp): string | undefined {
    pattern.lastIndex = this.#at;
    const found = pattern.exec(this.#text)?.[0];
    if (found !== undefined) this.#at += found.length;
    return found;
  }

  #fail(wanted: string): never {
    const found = this.#at < this.#text.length ? JSON.stringify(this.#text.slice(this.#at, this.#at + 20)) : 'its end';
    throw new SyntaxProblem(`has ${found} where ${wanted} is wanted`);
  }
}

/** The value of an expression of values, lists and objects. */
export function evaluate(expression: Expression): Result<unknown, string> {
  switch (expression.kind) {
    case 'value':
      return ok(expression.value);
    case 'list': {
      const values: unknown[] = [];
      for (const item of expression.items) {
        const value = evaluate(item);
        if (!value.ok) return value;
        values.push(value.value);
      }
      return ok(values);
    }
    case 'object': {
      const object: Record<string, unknown> = {};
      for (const [key, item] of expression.entries) {
        const value = evaluate(item);
        if (!value.ok) return value;
        object[key] = value.value;
      }
      return ok(object);
    }
    case 'name':
      return err(`names "${expression.name}", which has no value`);
    case 'call':
      return err(`calls ${expression.name}(), which is not supported in a schema`);
  }
}
