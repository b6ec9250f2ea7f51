import { placeOf } from '../util/sorted.js';
import { type Tree, treeArray, treeDelete, treeGet, treeSet, treeSetAll, treeValues } from './tree.js';

/** Says how a row is found: by its own key, and under which key of each index (undefined = not in that index). */
export interface TableSpec<T, I extends string> {
  readonly key: (row: T) => string;
  readonly indexes: Readonly<Record<I, (row: T) => string | undefined>>;
  /** Under which key a row is counted; undefined = under none. */
  readonly count?: (row: T) => string | undefined;
  /** What is added up over rows with every write, so that nobody has to add up many rows again. */
  readonly sum?: SumSpec<T, I>;
}

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
interface Bucket<T> {
  readonly rows: NonNullable<Tree<T>>;
  /** Undefined where none ever counted. */
  readonly sums: readonly number[] | undefined;
  readonly marks: Uint16Array;
}

/** Rows to be entered, ascending by their keys, and what was there of each. */
interface Batch<T> {
  readonly keys: readonly string[];
  readonly rows: readonly T[];
  readonly before: readonly (T | undefined)[];
}

const NO_MARKS = new Uint16Array(0);

/**
 * Rows in the order of their keys, with secondary indexes. An index holds the rows themselves, so reading through it
 * looks nothing up a second time; the price is that each write of a row goes to every index the row is in.
 */
export class Table<T, I extends string = never> {
  readonly #spec: TableSpec<T, I>;
  readonly #indexes: Record<I, Tree<Bucket<T>>>;
  #rows: Tree<T>;
  #counts: Tree<number>;
  #count = 0;
  /** The part of a row that was looked at last, and its values: rows written together often share it. */
  #lastPart: unknown;
  #lastValues: readonly number[] = [];
  /** Index of the last command that wrote here. */
  lastIndex = 0;

  constructor(spec: TableSpec<T, I>) {
    this.#spec = spec;
    this.#indexes = {} as Record<I, Tree<Bucket<T>>>;
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
    return treeArray(treeGet(this.#indexes[index], key)?.rows);
  }

  /** The same one by one: of very many, nobody needs them all at once. */
  each(index: I, key: string): Iterable<T> {
    return treeValues(treeGet(this.#indexes[index], key)?.rows);
  }

  /** The row of this key, if it is under one key of an index: found among few, where get() looks among all. */
  getUnder(index: I, under: string, key: string): T | undefined {
    return treeGet(treeGet(this.#indexes[index], under)?.rows, key);
  }

  /** How many rows are counted under the key. */
  counted(key: string): number {
    return treeGet(this.#counts, key) ?? 0;
  }

  /** The sums of all rows that count under a key of the index by which is added up; undefined when there are none. */
  sums(key: string): readonly number[] | undefined {
    return this.#summed(key)?.sums;
  }

  /** The marks of all rows that count under the key, ascending; one that several rows bring is there as often. */
  marks(key: string): Uint16Array {
    return this.#summed(key)?.marks ?? NO_MARKS;
  }

  #summed(key: string): Bucket<T> | undefined {
    const { sum } = this.#spec;
    return sum && treeGet(this.#indexes[sum.index], key);
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
    for (const name in this.#spec.indexes) {
      const keyOf = this.#spec.indexes[name];
      const to = keyOf(row);
      const from = before === undefined ? undefined : keyOf(before);
      if (from !== undefined && from !== to) this.#drop(name, from, { key, row: before as T }, epoch);
      if (to === undefined) continue;
      const known = treeGet(this.#indexes[name], to);
      const rows = treeSet(known?.rows, key, row, epoch) as NonNullable<Tree<T>>;
      const next = this.#bucket(name, known, rows, [[from === to ? before : undefined, row]]);
      if (next !== known) this.#indexes[name] = treeSet(this.#indexes[name], to, next, epoch);
    }
    return before;
  }

  /** Inserts or replaces rows, no two of one key, as put() one by one would; returns what was there, row by row. */
  putAll(rows: readonly T[], epoch: number): (T | undefined)[] {
    const keyed = rows.map((row, at) => ({ key: this.#spec.key(row), row, at }));
    keyed.sort((a, b) => (a.key < b.key ? -1 : 1));
    const before = new Array<T | undefined>(rows.length).fill(undefined);
    const batch = { keys: keyed.map(({ key }) => key), rows: keyed.map(({ row }) => row), before };
    const value = (at: number, known: T | undefined): T => {
      before[at] = known;
      if (known === undefined) this.#count++;
      return batch.rows[at] as T;
    };
    this.#rows = treeSetAll(this.#rows, { keys: batch.keys, value }, epoch);
    this.#countAll(before, batch.rows, epoch);
    for (const name in this.#spec.indexes) this.#index(name, batch, epoch);
    const inOrder = new Array<T | undefined>(rows.length);
    keyed.forEach(({ at }, i) => {
      inOrder[at] = before[i];
    });
    return inOrder;
  }

  /** Enters rows under their keys of an index, each bucket once. */
  #index(name: I, { keys, rows, before }: Batch<T>, epoch: number): void {
    const keyOf = this.#spec.indexes[name];
    const places = new Map<string, number[]>();
    for (let i = 0; i < rows.length; i++) {
      const to = keyOf(rows[i] as T);
      const old = before[i];
      const from = old === undefined ? undefined : keyOf(old);
      if (from !== undefined && from !== to) this.#drop(name, from, { key: keys[i] as string, row: old as T }, epoch);
      if (to === undefined) continue;
      const there = places.get(to);
      if (there) there.push(i);
      else places.set(to, [i]);
    }
    const under = [...places.keys()].sort();
    const value = (at: number, known: Bucket<T> | undefined): Bucket<T> => {
      const to = under[at] as string;
      const there = places.get(to) as number[];
      const pairs = there.map((i): [T | undefined, T] => {
        const old = before[i];
        return [old !== undefined && keyOf(old) === to ? old : undefined, rows[i] as T];
      });
      const entries = {
        keys: there.map((i) => keys[i] as string),
        value: (i: number) => rows[there[i] as number] as T,
      };
      return this.#bucket(name, known, treeSetAll(known?.rows, entries, epoch) as NonNullable<Tree<T>>, pairs);
    };
    this.#indexes[name] = treeSetAll(this.#indexes[name], { keys: under, value }, epoch);
  }

  /** Removes a row and returns it. */
  delete(key: string, epoch: number): T | undefined {
    const before = treeGet(this.#rows, key);
    if (before === undefined) return undefined;
    this.#rows = treeDelete(this.#rows, key, epoch);
    this.#count--;
    this.#countAll([before], [undefined], epoch);
    for (const name in this.#spec.indexes) {
      const from = this.#spec.indexes[name](before);
      if (from !== undefined) this.#drop(name, from, { key, row: before }, epoch);
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

  /** The bucket with these rows, and with what each of them adds to what was there. */
  #bucket(
    name: I,
    known: Bucket<T> | undefined,
    rows: NonNullable<Tree<T>>,
    pairs: readonly (readonly [before: T | undefined, after: T | undefined])[],
  ): Bucket<T> {
    const spec = this.#spec.sum;
    if (spec?.index !== name) return known?.rows === rows ? known : { rows, sums: undefined, marks: NO_MARKS };
    let sums = known?.sums;
    let marks = known?.marks ?? NO_MARKS;
    for (const [before, after] of pairs) {
      const from = before !== undefined && spec.counts(before) ? before : undefined;
      const to = after !== undefined && spec.counts(after) ? after : undefined;
      if (from !== undefined && to !== undefined && spec.part(from) === spec.part(to)) continue;
      if (from !== undefined) {
        sums = added(sums, this.#valuesOf(from, spec), -1);
        for (const mark of spec.marks(from)) marks = withoutMark(marks, mark);
      }
      if (to !== undefined) {
        sums = added(sums, this.#valuesOf(to, spec), 1);
        for (const mark of spec.marks(to)) marks = withMark(marks, mark);
      }
    }
    if (known?.rows === rows && known.sums === sums && known.marks === marks) return known;
    return { rows, sums, marks };
  }

  #valuesOf(row: T, spec: SumSpec<T, I>): readonly number[] {
    const part = spec.part(row);
    if (part === this.#lastPart) return this.#lastValues;
    this.#lastPart = part;
    this.#lastValues = spec.values(row);
    return this.#lastValues;
  }

  #drop(name: I, from: string, { key, row }: { key: string; row: T }, epoch: number): void {
    const known = treeGet(this.#indexes[name], from);
    const rows = treeDelete(known?.rows, key, epoch);
    this.#indexes[name] =
      rows === undefined
        ? treeDelete(this.#indexes[name], from, epoch)
        : treeSet(this.#indexes[name], from, this.#bucket(name, known, rows, [[row, undefined]]), epoch);
  }
}

function added(sums: readonly number[] | undefined, values: readonly number[], sign: 1 | -1): readonly number[] {
  const result = new Array<number>(values.length);
  for (let i = 0; i < values.length; i++) result[i] = (sums?.[i] ?? 0) + sign * (values[i] as number);
  return result;
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
