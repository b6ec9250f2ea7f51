import { kindOf, type Value } from './values.js';

/** How one value of a format is to be printed: `%-8.3f`. */
export interface Spec {
  verb: string;
  minus: boolean;
  plus: boolean;
  sharp: boolean;
  space: boolean;
  zero: boolean;
  width: number;
  precision: number | null;
  /** `%#v` and `%+v`: as Go source, with names of fields. */
  goSyntax: boolean;
  named: boolean;
}

/** A piece of a format: text as it is, or a value to print. */
export type Piece = { text: string } | { spec: Spec; value: Value };

/** What values of a format may be asked for: more is a mistake, and would fill the memory. */
const SIZE_MAX = 1_000_000;

/** Takes a format of Go's Printf apart and gives each verb its value. */
export function* pieces(format: string, args: readonly Value[]): Generator<Piece> {
  const reader = new FormatReader(format, args);
  while (!reader.atEnd) yield* reader.next();
  yield* reader.rest();
}

class FormatReader {
  private readonly format: string;
  private readonly args: readonly Value[];
  private at = 0;
  private argument = 0;
  private reordered = false;
  private everReordered = false;
  private goodIndex = true;

  constructor(format: string, args: readonly Value[]) {
    this.format = format;
    this.args = args;
  }

  get atEnd(): boolean {
    return this.at >= this.format.length;
  }

  *next(): Generator<Piece> {
    const percent = this.format.indexOf('%', this.at);
    const end = percent < 0 ? this.format.length : percent;
    if (end > this.at) yield { text: this.format.slice(this.at, end) };
    this.at = end + 1;
    if (percent < 0) return;
    this.goodIndex = true;
    const spec = this.flags();
    this.index();
    yield* this.width(spec);
    yield* this.precision(spec);
    if (!this.reordered) this.index();
    this.reordered = false;
    yield this.verb(spec);
  }

  /** What no verb has asked for. */
  *rest(): Generator<Piece> {
    if (this.everReordered || this.argument >= this.args.length) return;
    yield { text: '%!(EXTRA ' };
    for (const [i, value] of this.args.slice(this.argument).entries()) {
      if (i > 0) yield { text: ', ' };
      yield { spec: plainSpec('extra'), value };
    }
    yield { text: ')' };
  }

  private verb(spec: Spec): Piece {
    const code = this.format.codePointAt(this.at);
    if (code === undefined) return { text: '%!(NOVERB)' };
    const verb = String.fromCodePoint(code);
    this.at += verb.length;
    if (verb === '%') return { text: '%' };
    if (!this.goodIndex) return { text: `%!${verb}(BADINDEX)` };
    if (this.argument >= this.args.length) return { text: `%!${verb}(MISSING)` };
    // With %v these two flags have a meaning of their own, and not that for numbers.
    const own = verb === 'v' ? { goSyntax: spec.sharp, named: spec.plus, sharp: false, plus: false } : {};
    return { spec: { ...spec, ...own, verb }, value: this.args[this.argument++] };
  }

  private flags(): Spec {
    const spec = plainSpec('');
    for (; ; this.at++) {
      switch (this.format[this.at]) {
        case '#':
          spec.sharp = true;
          break;
        case '0':
          spec.zero = true;
          break;
        case '+':
          spec.plus = true;
          break;
        case '-':
          spec.minus = true;
          break;
        case ' ':
          spec.space = true;
          break;
        default:
          return spec;
      }
    }
  }

  private *width(spec: Spec): Generator<Piece> {
    if (this.format[this.at] === '*') {
      this.at++;
      const width = this.starred();
      if (width === null) yield { text: '%!(BADWIDTH)' };
      else if (width < 0) spec.minus = true;
      spec.width = Math.abs(width ?? 0);
      return;
    }
    spec.width = this.digits() ?? 0;
  }

  private *precision(spec: Spec): Generator<Piece> {
    if (this.format[this.at] !== '.') return;
    this.at++;
    this.index();
    if (this.format[this.at] !== '*') {
      spec.precision = this.digits() ?? 0;
      return;
    }
    this.at++;
    const precision = this.starred();
    if (precision === null || precision < 0) yield { text: '%!(BADPREC)' };
    else spec.precision = precision;
  }

  /** The next value as a size, null when it is none. */
  private starred(): number | null {
    this.reordered = false;
    const value = this.args[this.argument];
    if (this.argument >= this.args.length) return null;
    this.argument++;
    return kindOf(value) === 'int' && Math.abs(Number(value)) <= SIZE_MAX ? Number(value) : null;
  }

  private digits(): number | null {
    const found = /^\d+/.exec(this.format.slice(this.at, this.at + 8));
    if (!found) return null;
    this.at += found[0].length;
    return Math.min(Number(found[0]), SIZE_MAX);
  }

  /** `[3]`: which value comes next, counted from 1. */
  private index(): void {
    if (this.format[this.at] !== '[') return;
    this.everReordered = true;
    const found = /^\[(\d+)\]/.exec(this.format.slice(this.at, this.at + 12));
    const number = Number(found?.[1] ?? 0);
    const end = this.format.indexOf(']', this.at);
    this.at = end < 0 ? this.at + 1 : end + 1;
    if (number < 1 || number > this.args.length) {
      this.goodIndex = false;
      return;
    }
    this.argument = number - 1;
    this.reordered = true;
  }
}

export function plainSpec(verb: string): Spec {
  const flags = { minus: false, plus: false, sharp: false, space: false, zero: false, goSyntax: false, named: false };
  return { ...flags, verb, width: 0, precision: null };
}
