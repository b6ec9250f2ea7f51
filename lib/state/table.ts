import { type Bucket, LastValues, NO_MARKS, type SumSpec, Tally, unsummed } from './tally.js';
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

/** Rows to be entered, ascending by their keys, and what was there of each. */
interface Batch<T> {
  readonly keys: readonly string[];
  readonly rows: readonly T[];
  readonly before: readonly (T | undefined)[];
}

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
  readonly #values = new LastValues<T>();
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
      const next = this.#bucket(name, known, rows, { before: from === to ? before : undefined, after: row });
      if (next !== known) this.#indexes[name] = treeSet(this.#indexes[name], to, next, epoch);
    }
    return before;
  }

  /** Inserts or replaces rows, no two of one key, as put() one by one would; returns what was there, row by row. */
  putAll(rows: readonly T[], epoch: number): (T | undefined)[] {
    const own = rows.map(this.#spec.key);
    const order = own.map((_, i) => i).sort((a, b) => ((own[a] as string) < (own[b] as string) ? -1 : 1));
    const before = new Array<T | undefined>(rows.length).fill(undefined);
    const batch = {
      keys: order.map((i) => own[i] as string),
      rows: order.map((i) => rows[i] as T),
      before,
    };
    const value = (at: number, known: T | undefined): T => {
      before[at] = known;
      if (known === undefined) this.#count++;
      return batch.rows[at] as T;
    };
    this.#rows = treeSetAll(this.#rows, { keys: batch.keys, value }, epoch);
    this.#countAll(before, batch.rows, epoch);
    for (const name in this.#spec.indexes) this.#index(name, batch, epoch);
    const inOrder = new Array<T | undefined>(rows.length).fill(undefined);
    for (let i = 0; i < order.length; i++) inOrder[order[i] as number] = before[i];
    return inOrder;
  }

  /** Enters rows under their keys of an index, each bucket once. */
  #index(name: I, batch: Batch<T>, epoch: number): void {
    const { keys, rows, before } = batch;
    const keyOf = this.#spec.indexes[name];
    const to = rows.map(keyOf);
    const entered: number[] = [];
    for (let i = 0; i < rows.length; i++) {
      const old = before[i];
      const from = old === undefined ? undefined : keyOf(old);
      if (from !== undefined && from !== to[i])
        this.#drop(name, from, { key: keys[i] as string, row: old as T }, epoch);
      if (to[i] !== undefined) entered.push(i);
    }
    // Sorting keeps what is under one key in the order of the rows' own keys.
    entered.sort((a, b) => compare(to[a] as string, to[b] as string));
    const under: string[] = [];
    const starts: number[] = [];
    for (let i = 0; i < entered.length; i++) {
      const key = to[entered[i] as number] as string;
      if (under.at(-1) === key) continue;
      under.push(key);
      starts.push(i);
    }
    starts.push(entered.length);
    const entries = {
      keys: entered.map((i) => keys[i] as string),
      value: (i: number) => rows[entered[i] as number] as T,
    };
    const value = (at: number, known: Bucket<T> | undefined): Bucket<T> => {
      const span = { from: starts[at] as number, to: starts[at + 1] as number };
      const tree = treeSetAll(known?.rows, entries, epoch, span) as NonNullable<Tree<T>>;
      if (this.#spec.sum?.index !== name) return unsummed(known, tree);
      const tally = new Tally(known, this.#spec.sum, this.#values);
      for (let i = span.from; i < span.to; i++) {
        const place = entered[i] as number;
        const old = before[place];
        tally.change(old !== undefined && keyOf(old) === to[place] ? old : undefined, rows[place]);
      }
      return tally.bucket(tree);
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

  /** The bucket with these rows, one of which has come, gone or changed. */
  #bucket(
    name: I,
    known: Bucket<T> | undefined,
    rows: NonNullable<Tree<T>>,
    { before, after }: { before: T | undefined; after: T | undefined },
  ): Bucket<T> {
    const { sum } = this.#spec;
    if (sum?.index !== name) return unsummed(known, rows);
    const tally = new Tally(known, sum, this.#values);
    tally.change(before, after);
    return tally.bucket(rows);
  }

  #drop(name: I, from: string, { key, row }: { key: string; row: T }, epoch: number): void {
    const known = treeGet(this.#indexes[name], from);
    const rows = treeDelete(known?.rows, key, epoch);
    this.#indexes[name] =
      rows === undefined
        ? treeDelete(this.#indexes[name], from, epoch)
        : treeSet(this.#indexes[name], from, this.#bucket(name, known, rows, { before: row, after: undefined }), epoch);
  }
}

function compare(a: string, b: string): number {
  if (a === b) return 0;
  return a < b ? -1 : 1;
}
