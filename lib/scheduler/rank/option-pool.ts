import type { Columns } from '../columns.js';
import type { TopScores } from './top-scores.js';

const NOWHERE = -1;

/** Options that spread blocks treat alike and that have equally many scores: among them the greater sum is the better score. */
interface Bucket {
  /** Rows as a heap, the greatest sum on top. */
  readonly rows: number[];
  /** How many scores the sums are made of, spread not counted. */
  readonly parts: number;
}

/** What changes for many nodes at once, and is therefore asked when it is needed. */
export interface Judge {
  /** What spread adds to a row. */
  boost(row: number): number;
  /** Whether conditions on where other allocations are let a row be chosen. */
  admits(row: number): boolean;
}

/**
 * The nodes that will do for a group, kept in order from one placement to the next. A placement changes one node, so only
 * that one is weighed anew, and the best is on top of one of a few heaps: what a placement costs does not grow with the
 * number of nodes. Spread changes the scores of many nodes at once, but of all that have a value alike: hence the buckets.
 */
export class OptionPool {
  /** Rows at this place of the search order and beyond have not been looked at. */
  cursor = 0;
  /** Rows to weigh anew. */
  readonly touched: number[] = [];
  readonly #sums: Float64Array;
  readonly #places: Int32Array;
  readonly #bucketOf: Int32Array;
  readonly #seen: Uint8Array;
  readonly #buckets: Bucket[] = [];
  readonly #index = new Map<string | number, number>();
  #parked: number[] = [];
  #size = 0;
  /** Of the present offerBest(): fields, for it is called for every placement. */
  readonly #refused: number[] = [];
  readonly #boost = new Float64Array(1);

  constructor(columns: Columns) {
    this.#sums = columns.float64(0);
    this.#places = columns.int32(NOWHERE);
    this.#bucketOf = columns.int32(NOWHERE);
    this.#seen = columns.uint8(0);
  }

  get size(): number {
    return this.#size;
  }

  /** The row is looked at for the first time. */
  meet(row: number): void {
    this.#seen[row] = 1;
  }

  /** Something about a row has changed; of rows not met yet that does not matter. */
  touch(row: number): void {
    if (this.#seen[row] === 1) this.touched.push(row);
  }

  /** Takes an option out until conditions on where other allocations are may have changed. */
  park(row: number): void {
    this.remove(row);
    this.#parked.push(row);
  }

  unpark(): void {
    if (this.#parked.length === 0) return;
    this.touched.push(...this.#parked);
    this.#parked = [];
  }

  /** Adds an option or weighs it anew. `values` stands for its values of the spread attributes. */
  put(row: number, values: string | number, sum: number, parts: number): void {
    const bucket = this.#bucket(values, parts);
    if (this.#bucketOf[row] === bucket) {
      this.#sums[row] = sum;
      this.#sink(bucket, this.#rise(bucket, this.#places[row] as number));
      return;
    }
    this.remove(row);
    this.#sums[row] = sum;
    this.#bucketOf[row] = bucket;
    const { rows } = this.#buckets[bucket] as Bucket;
    this.#places[row] = rows.push(row) - 1;
    this.#size++;
    this.#rise(bucket, rows.length - 1);
  }

  remove(row: number): void {
    const bucket = this.#bucketOf[row] as number;
    if (bucket === NOWHERE) return;
    const { rows } = this.#buckets[bucket] as Bucket;
    const place = this.#places[row] as number;
    const last = rows.pop() as number;
    this.#bucketOf[row] = NOWHERE;
    this.#size--;
    if (last === row) return;
    rows[place] = last;
    this.#places[last] = place;
    this.#sink(bucket, this.#rise(bucket, place));
  }

  /** The row with the best score, −1 when there is none; what the judge refuses is parked. */
  best(judge: Judge): number {
    for (;;) {
      let best = NOWHERE;
      let bestScore = Number.NEGATIVE_INFINITY;
      for (let i = 0; i < this.#buckets.length; i++) {
        const { rows, parts } = this.#buckets[i] as Bucket;
        if (rows.length === 0) continue;
        const row = rows[0] as number;
        const score = mean(this.#sums[row] as number, parts, judge.boost(row));
        if (score <= bestScore) continue;
        bestScore = score;
        best = row;
      }
      if (best === NOWHERE || judge.admits(best)) return best;
      this.park(best);
    }
  }

  /** Offers the best scores, and few others: those that are wanted when it is their turn. */
  offerBest(judge: Judge, top: TopScores): void {
    for (let i = 0; i < this.#buckets.length; i++) {
      const bucket = this.#buckets[i] as Bucket;
      if (bucket.rows.length === 0) continue;
      this.#boost[0] = judge.boost(bucket.rows[0] as number);
      this.#offer(bucket, 0, judge, top);
    }
    for (let row = this.#refused.pop(); row !== undefined; row = this.#refused.pop()) this.park(row);
  }

  /** From a place of a heap downwards, as long as scores are of interest. */
  #offer(bucket: Bucket, place: number, judge: Judge, top: TopScores): void {
    const { rows, parts } = bucket;
    const row = rows[place] as number;
    const boost = this.#boost[0] as number;
    const sum = this.#sums[row] as number;
    top.offered[0] = boost === 0 ? sum / parts : (sum + boost) / (parts + 1);
    if (!top.isWanted) return;
    if (judge.admits(row)) top.offer(row);
    else this.#refused.push(row);
    const below = 2 * place + 1;
    if (below < rows.length) this.#offer(bucket, below, judge, top);
    if (below + 1 < rows.length) this.#offer(bucket, below + 1, judge, top);
  }

  #bucket(values: string | number, parts: number): number {
    const key = typeof values === 'number' ? values * 8 + parts : `${values}/${parts}`;
    let index = this.#index.get(key);
    if (index === undefined) {
      index = this.#buckets.push({ rows: [], parts }) - 1;
      this.#index.set(key, index);
    }
    return index;
  }

  #rise(bucket: number, from: number): number {
    const { rows } = this.#buckets[bucket] as Bucket;
    const row = rows[from] as number;
    const sum = this.#sums[row] as number;
    let at = from;
    while (at > 0) {
      const above = (at - 1) >> 1;
      const other = rows[above] as number;
      if ((this.#sums[other] as number) >= sum) break;
      rows[at] = other;
      this.#places[other] = at;
      at = above;
    }
    rows[at] = row;
    this.#places[row] = at;
    return at;
  }

  #sink(bucket: number, from: number): void {
    const { rows } = this.#buckets[bucket] as Bucket;
    const row = rows[from] as number;
    const sum = this.#sums[row] as number;
    let at = from;
    for (;;) {
      let below = 2 * at + 1;
      if (below >= rows.length) break;
      const right = below + 1;
      if (right < rows.length && this.#sumAt(rows, right) > this.#sumAt(rows, below)) below = right;
      const other = rows[below] as number;
      if ((this.#sums[other] as number) <= sum) break;
      rows[at] = other;
      this.#places[other] = at;
      at = below;
    }
    rows[at] = row;
    this.#places[row] = at;
  }

  #sumAt(rows: readonly number[], place: number): number {
    return this.#sums[rows[place] as number] as number;
  }
}

function mean(sum: number, parts: number, boost: number): number {
  return boost === 0 ? sum / parts : (sum + boost) / (parts + 1);
}
