import { placeOf } from '../util/sorted.js';
import type { Tree } from './tree.js';

/** What is added up over the rows under each key of an index. */
export interface SumSpec<T, I extends string> {
  /** The index by whose keys is added up. */
  readonly index: I;
  /** Whether a row counts. */
  readonly counts: (row: T) => boolean;
  /** The part of a row that the values come from: as long as it is the same one, nothing is counted anew. */
  readonly part: (row: T) => unknown;
  /** Always as many; whole numbers, or sums would depend on the order of writes. */
  readonly values: (row: T) => readonly number[];
  /** Numbers up to 65,535 that the row brings; they are listed, not added up. */
  readonly marks: (row: T) => readonly number[];
}

/** The rows under one key of an index, and what they add up to. Never changed, only replaced. */
export interface Bucket<T> {
  readonly rows: NonNullable<Tree<T>>;
  /** Undefined where none ever counted. */
  readonly sums: readonly number[] | undefined;
  readonly marks: Uint16Array;
}

export const NO_MARKS = new Uint16Array(0);

/** The bucket with these rows where nothing is added up. */
export function unsummed<T>(known: Bucket<T> | undefined, rows: NonNullable<Tree<T>>): Bucket<T> {
  return known?.rows === rows ? known : { rows, sums: undefined, marks: NO_MARKS };
}

/** The values of the part of a row that was looked at last: rows written together often share it. */
export class LastValues<T> {
  #part: unknown;
  #values: readonly number[] = [];

  of(row: T, spec: SumSpec<T, string>): readonly number[] {
    const part = spec.part(row);
    if (part === this.#part) return this.#values;
    this.#part = part;
    this.#values = spec.values(row);
    return this.#values;
  }
}

/** What a bucket adds up to, while rows come, go and change: copied once, for however many. */
export class Tally<T> {
  readonly #known: Bucket<T> | undefined;
  readonly #spec: SumSpec<T, string>;
  readonly #values: LastValues<T>;
  #sums: number[] | null = null;
  #marks: Uint16Array;
  #come: number[] | null = null;

  constructor(known: Bucket<T> | undefined, spec: SumSpec<T, string>, values: LastValues<T>) {
    this.#known = known;
    this.#spec = spec;
    this.#values = values;
    this.#marks = known?.marks ?? NO_MARKS;
  }

  /** A row was there (or not), and is there (or not). */
  change(before: T | undefined, after: T | undefined): void {
    const spec = this.#spec;
    const from = before !== undefined && spec.counts(before) ? before : undefined;
    const to = after !== undefined && spec.counts(after) ? after : undefined;
    if (from !== undefined && to !== undefined && spec.part(from) === spec.part(to)) return;
    if (from !== undefined) {
      this.#add(this.#values.of(from, spec), -1);
      const gone = spec.marks(from);
      if (gone.length > 0) this.#enterMarks();
      for (const mark of gone) this.#marks = withoutMark(this.#marks, mark);
    }
    if (to !== undefined) {
      this.#add(this.#values.of(to, spec), 1);
      for (const mark of spec.marks(to)) {
        if (this.#come === null) this.#come = [mark];
        else this.#come.push(mark);
      }
    }
  }

  /** The bucket of these rows: the known one, if nothing is another. */
  bucket(rows: NonNullable<Tree<T>>): Bucket<T> {
    this.#enterMarks();
    const known = this.#known;
    if (known?.rows === rows && this.#sums === null && known.marks === this.#marks) return known;
    return { rows, sums: this.#sums ?? known?.sums, marks: this.#marks };
  }

  #add(values: readonly number[], sign: 1 | -1): void {
    this.#sums ??= this.#known?.sums?.slice() ?? new Array<number>(values.length).fill(0);
    for (let i = 0; i < values.length; i++) {
      this.#sums[i] = (this.#sums[i] as number) + sign * (values[i] as number);
    }
  }

  /** Lists those that have come among the others. */
  #enterMarks(): void {
    const come = this.#come;
    if (come === null) return;
    this.#come = null;
    this.#marks = withMarks(this.#marks, come.length === 1 ? come : come.sort((a, b) => a - b));
  }
}

/** With marks that ascend. */
function withMarks(list: Uint16Array, more: readonly number[]): Uint16Array {
  const longer = new Uint16Array(list.length + more.length);
  let from = 0;
  for (let i = 0; i < more.length; i++) {
    const mark = more[i] as number;
    const at = Math.max(from, placeOf(list, mark));
    longer.set(list.subarray(from, at), from + i);
    longer[at + i] = mark;
    from = at;
  }
  longer.set(list.subarray(from), from + more.length);
  return longer;
}

function withoutMark(list: Uint16Array, mark: number): Uint16Array {
  const at = placeOf(list, mark);
  if (list[at] !== mark) return list;
  const shorter = new Uint16Array(list.length - 1);
  shorter.set(list.subarray(0, at));
  shorter.set(list.subarray(at + 1), at);
  return shorter;
}
