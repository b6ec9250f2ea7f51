import { SMALL_CLUSTER_NODES } from '../structs/operator.js';
import { type Random, randomInt } from '../util/random.js';

/**
 * The order in which searches look at candidate rows: shuffled, but only as far as it has been asked for (few of many are
 * looked at). One search starts where the last ended, so that they share the nodes out among them.
 */
export class SearchOrder {
  readonly rows: Uint32Array;
  readonly #random: Random;
  #shuffled = 0;
  #offset = 0;

  constructor(rows: Uint32Array, random: Random) {
    this.rows = rows.slice();
    this.#random = random;
  }

  get length(): number {
    return this.rows.length;
  }

  /** Rows that a search looks at when any will do. */
  get few(): number {
    return Math.max(this.least, Math.ceil(Math.log2(this.rows.length)));
  }

  /** Two that are looked at share the load out well among many rows. Of three they would often leave the empty one out: all of so few. */
  get least(): number {
    return this.rows.length < SMALL_CLUSTER_NODES ? Math.max(2, this.rows.length) : 2;
  }

  /** The next row, round and round. */
  next(): number {
    const at = this.#offset;
    this.#offset = at + 1 === this.rows.length ? 0 : at + 1;
    return this.at(at);
  }

  /** The row at a place of which all before have been asked for. */
  at(at: number): number {
    const { rows } = this;
    const count = rows.length;
    if (at === this.#shuffled && this.#shuffled < count) {
      const other = at + randomInt(this.#random, count - at);
      const row = rows[other] as number;
      rows[other] = rows[at] as number;
      rows[at] = row;
      this.#shuffled++;
    }
    return rows[at] as number;
  }
}
