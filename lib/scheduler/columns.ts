/**
 * Columns with one cell for each node, lent to one draft at a time. A draft needs a dozen of them and is over at once;
 * made anew each time they would be most of its garbage (half a megabyte for 10,000 nodes).
 */
export class Columns {
  readonly #rows: number;
  readonly #kinds = {
    float64: new Shelf((rows: number) => new Float64Array(rows)),
    int32: new Shelf((rows: number) => new Int32Array(rows)),
    uint8: new Shelf((rows: number) => new Uint8Array(rows)),
    slots: new Shelf((rows: number) => new Array<unknown>(rows).fill(undefined)),
  };

  constructor(rows: number) {
    this.#rows = rows;
  }

  float64(fill: number): Float64Array {
    return this.#kinds.float64.take(this.#rows).fill(fill);
  }

  int32(fill: number): Int32Array {
    return this.#kinds.int32.take(this.#rows).fill(fill);
  }

  uint8(fill: number): Uint8Array {
    return this.#kinds.uint8.take(this.#rows).fill(fill);
  }

  /** For whatever is to be remembered of a row: all undefined. */
  slots<T>(): (T | undefined)[] {
    // Emptied when it was taken back.
    return this.#kinds.slots.take(this.#rows) as (T | undefined)[];
  }

  /** Takes all columns back; whoever still holds one must not use it. */
  reclaim(): void {
    this.#kinds.float64.reclaim();
    this.#kinds.int32.reclaim();
    this.#kinds.uint8.reclaim();
    this.#kinds.slots.reclaim((slots) => slots.fill(undefined));
  }
}

class Shelf<T> {
  readonly #make: (rows: number) => T;
  readonly #all: T[] = [];
  #lent = 0;

  constructor(make: (rows: number) => T) {
    this.#make = make;
  }

  take(rows: number): T {
    if (this.#lent === this.#all.length) this.#all.push(this.#make(rows));
    return this.#all[this.#lent++] as T;
  }

  reclaim(clear?: (one: T) => void): void {
    for (let i = 0; clear && i < this.#lent; i++) clear(this.#all[i] as T);
    this.#lent = 0;
  }
}
