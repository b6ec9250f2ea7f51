import { err, ok, type Result } from '../result.js';
import { type CharSet, classRange, PERL, POSIX, singleton, unicodeClass, union } from './char-set.js';

/** A pattern of RE2's syntax as a tree. */
export type Node =
  | { readonly kind: 'empty' }
  | { readonly kind: 'char'; readonly set: CharSet }
  | { readonly kind: 'assert'; readonly what: Assertion }
  | { readonly kind: 'sequence' | 'choice'; readonly items: readonly Node[] }
  | { readonly kind: 'group'; readonly index: number; readonly inner: Node }
  | {
      readonly kind: 'repeat';
      readonly inner: Node;
      readonly min: number;
      readonly max: number | null;
      readonly greedy: boolean;
    };

export type Assertion = 'line-start' | 'line-end' | 'text-start' | 'text-end' | 'word' | 'not-word';

/** A parsed pattern; the group numbered i+1 has names[i], or none. */
export interface Syntax {
  readonly root: Node;
  readonly names: readonly (string | null)[];
}

const REPEAT_MAX = 1000;
const DEPTH_MAX = 200;

interface Flags {
  readonly i: boolean;
  readonly m: boolean;
  readonly s: boolean;
  readonly U: boolean;
}

class BadPattern extends Error {}

/** Parses a pattern of Go's regexp package; the error has its words. */
export function parsePattern(pattern: string): Result<Syntax, string> {
  try {
    const parser = new Parser(pattern);
    return ok({ root: parser.whole(), names: parser.names });
  } catch (cause) {
    if (cause instanceof BadPattern) return err(`error parsing regexp: ${cause.message}`);
    throw cause;
  }
}

class Parser {
  readonly names: (string | null)[] = [];
  readonly #pattern: string;
  #at = 0;
  #depth = 0;
  #flags: Flags = { i: false, m: false, s: false, U: false };

  constructor(pattern: string) {
    this.#pattern = pattern;
  }

  whole(): Node {
    const root = this.#choice();
    if (this.#at < this.#pattern.length) throw this.#bad('unexpected )', this.#pattern);
    return root;
  }

  #bad(what: string, where: string): BadPattern {
    return new BadPattern(`${what}: \`${where}\``);
  }

  #starts(text: string): boolean {
    return this.#pattern.startsWith(text, this.#at);
  }

  #take(text: string): boolean {
    if (!this.#starts(text)) return false;
    this.#at += text.length;
    return true;
  }

  /** The next character, taken. */
  #next(): number {
    const code = this.#pattern.codePointAt(this.#at) as number;
    this.#at += code > 0xffff ? 2 : 1;
    return code;
  }

  #choice(): Node {
    if (++this.#depth > DEPTH_MAX) throw this.#bad('expression nests too deeply', this.#pattern);
    const items = [this.#sequence()];
    while (this.#take('|')) items.push(this.#sequence());
    this.#depth--;
    return items.length === 1 ? (items[0] as Node) : { kind: 'choice', items };
  }

  #sequence(): Node {
    const items: Node[] = [];
    while (this.#at < this.#pattern.length && !this.#starts('|') && !this.#starts(')')) {
      const start = this.#at;
      if (this.#take('\\Q')) {
        const end = this.#pattern.indexOf('\\E', this.#at);
        const literal = this.#pattern.slice(this.#at, end < 0 ? undefined : end);
        this.#at = end < 0 ? this.#pattern.length : end + 2;
        for (const letter of literal) items.push(this.#literal(letter.codePointAt(0) as number));
        const last = items.pop();
        if (last) items.push(this.#repeated(last, start));
        continue;
      }
      items.push(this.#repeated(this.#atom(), start));
    }
    return items.length === 1
      ? (items[0] as Node)
      : items.length === 0
        ? { kind: 'empty' }
        : { kind: 'sequence', items };
  }

  #repeated(inner: Node, start: number): Node {
    let node = inner;
    let before = -1;
    for (;;) {
      const at = this.#at;
      const bounds = this.#bounds();
      if (!bounds) return node;
      const greedy = this.#take('?') === this.#flags.U;
      const written = this.#pattern.slice(before < 0 ? at : before, this.#at);
      if (before >= 0) throw this.#bad('invalid nested repetition operator', written);
      if ((bounds.max ?? bounds.min) > REPEAT_MAX || bounds.min > REPEAT_MAX || (bounds.max ?? bounds.min) < bounds.min)
        throw this.#bad('invalid repeat count', this.#pattern.slice(at, this.#at));
      before = at;
      node = { kind: 'repeat', inner: node, ...bounds, greedy };
      if (start === at) throw this.#bad('missing argument to repetition operator', this.#pattern.slice(at, this.#at));
    }
  }

  #bounds(): { min: number; max: number | null } | null {
    if (this.#take('*')) return { min: 0, max: null };
    if (this.#take('+')) return { min: 1, max: null };
    if (this.#take('?')) return { min: 0, max: 1 };
    const match = /^\{([0-9]+)(,([0-9]*))?\}/.exec(this.#pattern.slice(this.#at, this.#at + 24));
    if (!match) return null;
    this.#at += match[0].length;
    const min = Number(match[1]);
    return { min, max: match[2] === undefined ? min : match[3] === '' ? null : Number(match[3]) };
  }

  #literal(code: number): Node {
    return { kind: 'char', set: singleton(code, this.#flags.i) };
  }

  #atom(): Node {
    const rest = this.#pattern.slice(this.#at, this.#at + 24);
    if (/^[*+?]/.test(rest) || /^\{[0-9]+(,[0-9]*)?\}/.test(rest)) {
      const operator = /^(?:[*+?]|\{[0-9,]+\})\??/.exec(rest)?.[0] ?? '';
      throw this.#bad('missing argument to repetition operator', operator);
    }
    if (this.#take('(')) return this.#group();
    if (this.#take('[')) return { kind: 'char', set: this.#class() };
    if (this.#take('.')) {
      const set = classRange(0, 0x10ffff);
      return { kind: 'char', set: this.#flags.s ? set : { ...set, has: (code) => code !== 10 } };
    }
    if (this.#take('^')) return { kind: 'assert', what: this.#flags.m ? 'line-start' : 'text-start' };
    if (this.#take('$')) return { kind: 'assert', what: this.#flags.m ? 'line-end' : 'text-end' };
    if (this.#take('\\A')) return { kind: 'assert', what: 'text-start' };
    if (this.#take('\\z')) return { kind: 'assert', what: 'text-end' };
    if (this.#take('\\b')) return { kind: 'assert', what: 'word' };
    if (this.#take('\\B')) return { kind: 'assert', what: 'not-word' };
    if (this.#starts('\\')) {
      const set = this.#classEscape();
      return set ? { kind: 'char', set } : this.#literal(this.#escape());
    }
    return this.#literal(this.#next());
  }

  #group(): Node {
    const start = this.#at - 1;
    const outer = this.#flags;
    let index: number | null = null;
    if (this.#take('?')) {
      const named = /^P?<([^>]*)>/.exec(this.#pattern.slice(this.#at, this.#at + 200));
      if (named && !/^<[=!]/.test(this.#pattern.slice(this.#at, this.#at + 2))) {
        this.#at += named[0].length;
        index = this.#newGroup(named[1] as string, this.#pattern.slice(start, this.#at));
      } else if (!this.#groupFlags(start)) return { kind: 'empty' };
    } else index = this.#newGroup(null, '');
    const inner = this.#choice();
    if (!this.#take(')')) throw this.#bad('missing closing )', this.#pattern);
    this.#flags = outer;
    return index === null ? inner : { kind: 'group', index, inner };
  }

  #newGroup(name: string | null, written: string): number {
    if (name !== null && !/^\w+$/.test(name)) throw this.#bad('invalid named capture', written);
    if (name !== null && this.names.includes(name)) throw this.#bad('duplicate capture group name', name);
    this.names.push(name);
    return this.names.length;
  }

  /** `i-s:` or `i-s)`; false when the flags count for what follows rather than for a group. */
  #groupFlags(start: number): boolean {
    const match = /^([imsU]*)(-[imsU]+)?([:)])/.exec(this.#pattern.slice(this.#at, this.#at + 24));
    const [whole = '', on = '', off = '', end = ''] = match ?? [];
    if (!match || (whole === ')' && on === '')) {
      const written = this.#pattern.slice(start, this.#at + 1 + (this.#starts('<') ? 1 : 0));
      throw this.#bad('invalid or unsupported Perl syntax', written);
    }
    this.#at += whole.length;
    const flags = { ...this.#flags };
    for (const flag of on) flags[flag as keyof Flags] = true;
    for (const flag of off.slice(1)) flags[flag as keyof Flags] = false;
    this.#flags = flags;
    return end === ':';
  }

  #class(): CharSet {
    const start = this.#at - 1;
    const negative = this.#take('^');
    const sets: CharSet[] = [];
    for (let first = true; first || !this.#starts(']'); first = false) {
      if (this.#at >= this.#pattern.length) throw this.#bad('missing closing ]', this.#pattern.slice(start));
      const posix = /^\[:(\^?)(\w+):\]/.exec(this.#pattern.slice(this.#at, this.#at + 24));
      if (posix) {
        const set = POSIX[posix[2] as string];
        if (!set) throw this.#bad('invalid character class range', posix[0]);
        this.#at += posix[0].length;
        sets.push({ ...set, negative: posix[1] === '^' });
        continue;
      }
      const set = this.#starts('\\') ? this.#classEscape() : null;
      if (set) {
        sets.push(set);
        continue;
      }
      const from = this.#at;
      const low = this.#classChar();
      const ranged = this.#starts('-') && this.#at + 1 < this.#pattern.length && !this.#starts('-]') && this.#take('-');
      const high = ranged ? this.#classChar() : low;
      if (high < low) throw this.#bad('invalid character class range', this.#pattern.slice(from, this.#at));
      sets.push({ ...classRange(low, high), ignoreCase: this.#flags.i });
    }
    this.#at++;
    return union(sets, negative);
  }

  #classChar(): number {
    if (this.#at >= this.#pattern.length) throw this.#bad('missing closing ]', this.#pattern);
    return this.#starts('\\') ? this.#escape() : this.#next();
  }

  /** `\d`, `\pL` and their like; null (and nothing taken) when it is another escape. */
  #classEscape(): CharSet | null {
    const match = /^\\(?:([dDsSwW])|([pP])(?:(\^?)([A-Za-z])|\{(\^?)([^}]*)\}))/.exec(
      this.#pattern.slice(this.#at, this.#at + 60),
    );
    if (!match) return null;
    const [whole, perl, letter, caret1, name1, caret2, name2] = match;
    this.#at += whole.length;
    if (perl !== undefined) return { ...(PERL[perl.toLowerCase()] as CharSet), negative: perl !== perl.toLowerCase() };
    const set = unicodeClass(name1 ?? name2 ?? '', this.#flags.i);
    if (!set) throw this.#bad('invalid character class range', whole);
    return { ...set, negative: (letter === 'P') !== ((caret1 ?? caret2) === '^') };
  }

  #escape(): number {
    const rest = this.#pattern.slice(this.#at, this.#at + 20);
    if (rest === '\\') throw new BadPattern('trailing backslash at end of expression: ``');
    const match =
      /^\\(?:(0[0-7]{0,2}|[1-7][0-7]{1,2})|x([0-9A-Fa-f]{2})|x\{([0-9A-Fa-f]{1,8})\}|([aftnrv])|([^A-Za-z0-9]))/u.exec(
        rest,
      );
    if (!match) throw this.#bad('invalid escape sequence', rest.slice(0, 2));
    const [whole, octal, two, many, letter, other] = match;
    this.#at += whole.length;
    if (octal !== undefined) return Number.parseInt(octal, 8);
    const code = two ?? many;
    if (code !== undefined) {
      if (Number.parseInt(code, 16) > 0x10ffff) throw this.#bad('invalid escape sequence', whole);
      return Number.parseInt(code, 16);
    }
    const CONTROL: Record<string, number> = { a: 7, f: 12, t: 9, n: 10, r: 13, v: 11 };
    return letter === undefined ? ((other ?? '').codePointAt(0) as number) : (CONTROL[letter] as number);
  }
}
