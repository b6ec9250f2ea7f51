/** Numbers from `start` up to but not including `end`. */
export type Range = readonly [start: number, end: number];

/** A set of blocks of a core, a bit each. */
export class BlockSet {
  #bits = new Uint8Array(128);

  add(block: number): void {
    const byte = block >>> 3;
    if (byte >= this.#bits.length) {
      const larger = new Uint8Array(Math.max(this.#bits.length * 2, byte + 1));
      larger.set(this.#bits);
      this.#bits = larger;
    }
    this.#bits[byte] = (this.#bits[byte] as number) | (1 << (block & 7));
  }

  has(block: number): boolean {
    return ((this.#bits[block >>> 3] ?? 0) & (1 << (block & 7))) !== 0;
  }
}

/** The blocks below `length` for which it holds, as ranges in order. */
export function rangesOf(length: number, has: (block: number) => boolean): Range[] {
  const ranges: Range[] = [];
  for (let block = 0; block < length; block++) {
    if (!has(block)) continue;
    const start = block;
    while (block < length && has(block)) block++;
    ranges.push([start, block]);
  }
  return ranges;
}
