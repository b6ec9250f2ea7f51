import { placeOf } from '../util/sorted.js';
import { type Tree, treeArray, treeDelete, treeGet, treeSet, treeSetAll, treeValues } from './tree.js';

/** Says how a row is found: by its own key, and under which key of each index (undefined = not in that index). */
export interface TableSpec<T, I extends string> {
  readonly key: (row: T) => string;
  readonly indexes: Readonly<Record<I, (row: T) => string | undefined>>;
  /** Under which key a row is counted; undefined = under none. */
  readonly count?: (row: T) => string | undefined;
  /** What is added up over rows with every write, so that nobody has to add up many rows again. */
  readonly sum?: SumSpec<T>;
}

export interface SumSpec<T> {
  /** Under which key a row counts; undefined = it does not. */
  readonly key: (row: T) => string | undefined;
  /** The part of a row that the values come from: as long as it is the same one, nothing is counted anew. */
  readonly part: (row: T) => unknown;
  /** Always as many; whole numbers, or sums would depend on the order of writes. */
  readonly values: (row: T) => readonly number[];
  /** Numbers up to 65,535 that the row brings; they are listed, not added up. */
  readonly marks: (row: T) => readonly number[];
}

const NO_MARKS = new Uint16Array(0);

/**
 * Rows in the order of their keys, with secondary indexes. An index holds the rows themselves, so reading through it
 * looks nothing up a second time; the price is that each write of a row goes to every index the row is in.
 */
export class Table<T, I extends string = never> {
  readonly #spec: TableSpec<T, I>;
  readonly #indexes: Record<I, Tree<NonNullable<Tree<T>>>>;
  #rows: Tree<T>;
  #counts: Tree<number>;
  #sums: Tree<readonly number[]>;
  #marks: Tree<Uint16Array>;
  #count = 0;
  /** Index of the last command that wrote here. */
  lastIndex = 0;

  constructor(spec: TableSpec<T, I>) {
    this.#spec = spec;
    this.#indexes = {} as Record<I, Tree<NonNullable<Tree<T>>>>;
    for (const name in spec.indexes) this.#indexes[name] = undefined;
  }

  get count(): number {
    return this.#count;
  }

  /** The table as it is now. The caller begins a new epoch, or the view would see later writes. */
  view(): Table<T, I> {
    const view = new Table(this.#spec);
    for (const name in this.#spec.indexes) view.#indexes[name] = this.#indexes[name];
    view.#rows = this.#rows;
    view.#counts = this.#counts;
    view.#sums = this.#sums;
    view.#marks = this.#marks;
    view.#count = this.#count;
    view.lastIndex = this.lastIndex;
    return view;
  }

  /** The same object in all views between which no row was written; undefined for an empty table. */
  get version(): object | undefined {
    return this.#rows;
  }

  get(key: string): T | undefined {
    return treeGet(this.#rows, key);
  }

  /** Rows whose key has the prefix, in order. */
  values(prefix = ''): Iterable<T> {
    return treeValues(this.#rows, prefix);
  }

  /** Rows under one key of an index, in the order of their own keys. */
  under(index: I, key: string): readonly T[] {
    return treeArray(treeGet(this.#indexes[index], key));
  }

  /** How many rows are counted under the key. */
  counted(key: string): number {
    return treeGet(this.#counts, key) ?? 0;
  }

  /** The sums of all rows that count under the key; undefined when none ever did. */
  sums(key: string): readonly number[] | undefined {
    return treeGet(this.#sums, key);
  }

  /** The marks of all rows that count under the key, ascending; one that several rows bring is there as often. */
  marks(key: string): Uint16Array {
    return treeGet(this.#marks, key) ?? NO_MARKS;
  }

  /** Whether an index has rows under the key. */
  has(index: I, key: string): boolean {
    return treeGet(this.#indexes[index], key) !== undefined;
  }

  /** Inserts or replaces a row and returns what was there. */
  put(row: T, epoch: number): T | undefined {
    const key = this.#spec.key(row);
    const before = treeGet(this.#rows, key);
    this.#rows = treeSet(this.#rows, key, row, epoch);
    if (before === undefined) this.#count++;
    this.#countAll([before], [row], epoch);
    this.#sum(before, row, epoch);
    for (const name in this.#spec.indexes) {
      const keyOf = this.#spec.indexes[name];
      const to = keyOf(row);
      const from = before === undefined ? undefined : keyOf(before);
      if (from !== undefined && from !== to) this.#drop(name, from, key, epoch);
      if (to !== undefined) this.#enter(name, to, { key, row }, epoch);
    }
    return before;
  }

  /** Inserts or replaces rows, no two of one key, as put() one by one would; returns what was there, row by row. */
  putAll(rows: readonly T[], epoch: number): (T | undefined)[] {
    const spec = this.#spec;
    const before = rows.map((row) => treeGet(this.#rows, spec.key(row)));
    const sorted = rows.map((row, i) => ({ key: spec.key(row), row, before: before[i] }));
    sorted.sort((a, b) => (a.key < b.key ? -1 : 1));
    const keys = sorted.map(({ key }) => key);
    const entries = { keys, values: sorted.map(({ row }) => row) };
    this.#rows = treeSetAll(this.#rows, entries, epoch);
    this.#countAll(before, rows, epoch);
    for (const { row, before: old } of sorted) {
      if (old === undefined) this.#count++;
      this.#sum(old, row, epoch);
    }
    for (const name in spec.indexes) {
      const keyOf = spec.indexes[name];
      const to = sorted.map(({ row }) => keyOf(row));
      sorted.forEach(({ key, before: old }, i) => {
        const from = old === undefined ? undefined : keyOf(old);
        if (from !== undefined && from !== to[i]) this.#drop(name, from, key, epoch);
      });
      this.#index(name, { keys, rows: entries.values, to }, epoch);
    }
    return before;
  }

  /** Enters rows, ascending by their keys, under their keys of an index. */
  #index(
    name: I,
    { keys, rows, to }: { keys: readonly string[]; rows: readonly T[]; to: readonly (string | undefined)[] },
    epoch: number,
  ): void {
    const only = to[0];
    if (to.every((key) => key === only)) {
      if (only === undefined) return;
      const bucket = treeSetAll(treeGet(this.#indexes[name], only), { keys, values: rows }, epoch);
      if (bucket !== undefined) this.#indexes[name] = treeSet(this.#indexes[name], only, bucket, epoch);
      return;
    }
    to.forEach((under, i) => {
      if (under !== undefined) this.#enter(name, under, { key: keys[i] as string, row: rows[i] as T }, epoch);
    });
  }

  #enter(name: I, under: string, { key, row }: { key: string; row: T }, epoch: number): void {
    const bucket = treeGet(this.#indexes[name], under);
    const next = treeSet(bucket, key, row, epoch);
    if (next !== bucket && next !== undefined) this.#indexes[name] = treeSet(this.#indexes[name], under, next, epoch);
  }

  /** Removes a row and returns it. */
  delete(key: string, epoch: number): T | undefined {
    const before = treeGet(this.#rows, key);
    if (before === undefined) return undefined;
    this.#rows = treeDelete(this.#rows, key, epoch);
    this.#count--;
    this.#countAll([before], [undefined], epoch);
    this.#sum(before, undefined, epoch);
    for (const name in this.#spec.indexes) {
      const from = this.#spec.indexes[name](before);
      if (from !== undefined) this.#drop(name, from, key, epoch);
    }
    return before;
  }

  /** Counts what was there out and what is there in. */
  #countAll(before: readonly (T | undefined)[], after: readonly (T | undefined)[], epoch: number): void {
    const keyOf = this.#spec.count;
    if (keyOf === undefined) return;
    const changes = new Map<string, number>();
    const add = (row: T | undefined, change: 1 | -1): void => {
      const key = row === undefined ? undefined : keyOf(row);
      if (key !== undefined) changes.set(key, (changes.get(key) ?? 0) + change);
    };
    for (const row of before) add(row, -1);
    for (const row of after) add(row, 1);
    for (const [key, change] of changes) {
      if (change === 0) continue;
      const count = this.counted(key) + change;
      this.#counts = count === 0 ? treeDelete(this.#counts, key, epoch) : treeSet(this.#counts, key, count, epoch);
    }
  }

  #sum(before: T | undefined, after: T | undefined, epoch: number): void {
    const spec = this.#spec.sum;
    if (spec === undefined) return;
    const from = before === undefined ? undefined : spec.key(before);
    const to = after === undefined ? undefined : spec.key(after);
    if (from === to && before !== undefined && after !== undefined && spec.part(before) === spec.part(after)) return;
    if (from !== undefined) {
      this.#add(from, spec.values(before as T), -1, epoch);
      this.#mark(from, spec.marks(before as T), withoutMark, epoch);
    }
    if (to !== undefined) {
      this.#add(to, spec.values(after as T), 1, epoch);
      this.#mark(to, spec.marks(after as T), withMark, epoch);
    }
  }

  #mark(
    key: string,
    marks: readonly number[],
    change: (list: Uint16Array, mark: number) => Uint16Array,
    epoch: number,
  ): void {
    if (marks.length === 0) return;
    let list = this.marks(key);
    for (const mark of marks) list = change(list, mark);
    if (list.length === 0) this.#marks = treeDelete(this.#marks, key, epoch);
    else this.#marks = treeSet(this.#marks, key, list, epoch);
  }

  #add(key: string, values: readonly number[], sign: 1 | -1, epoch: number): void {
    const old = treeGet(this.#sums, key);
    const sums = values.map((value, i) => (old?.[i] ?? 0) + sign * value);
    this.#sums = treeSet(this.#sums, key, sums, epoch);
  }

  #drop(name: I, from: string, key: string, epoch: number): void {
    const bucket = treeGet(this.#indexes[name], from);
    const next = treeDelete(bucket, key, epoch);
    if (next === undefined) this.#indexes[name] = treeDelete(this.#indexes[name], from, epoch);
    else if (next !== bucket) this.#indexes[name] = treeSet(this.#indexes[name], from, next, epoch);
  }
}

function withMark(list: Uint16Array, mark: number): Uint16Array {
  const at = placeOf(list, mark);
  const longer = new Uint16Array(list.length + 1);
  longer.set(list.subarray(0, at));
  longer[at] = mark;
  longer.set(list.subarray(at), at + 1);
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
