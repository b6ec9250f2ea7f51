/** Of the keyed hash of a chunk so much is its address. */
export const ADDRESS_BYTES = 16;

/** Where a chunk lies in a core. */
export interface ChunkRef {
  /** ADDRESS_BYTES. */
  readonly address: Uint8Array;
  /** Of the core. */
  readonly block: number;
  /** Its place among the chunks of that block. */
  readonly slot: number;
  /** Bytes of content. */
  readonly size: number;
  /** Bytes in the block. */
  readonly stored: number;
}

const FIRST_CAPACITY = 1024;
const WORDS = ADDRESS_BYTES / 4;

/**
 * Which chunks there are, by their addresses: 34 bytes each, in a few arrays. A volume of ten GiB has about 80,000 of them, one of
 * a TiB eight million, so objects would not do.
 */
export class ChunkTable {
  #capacity = FIRST_CAPACITY;
  #count = 0;
  #addresses = new Uint32Array(FIRST_CAPACITY * WORDS);
  /** 0: the place is free. */
  #blocks = new Uint32Array(FIRST_CAPACITY);
  #slots = new Uint16Array(FIRST_CAPACITY);
  #sizes = new Uint32Array(FIRST_CAPACITY);
  #stored = new Uint32Array(FIRST_CAPACITY);

  get count(): number {
    return this.#count;
  }

  get(address: Uint8Array): ChunkRef | undefined {
    const at = this.#find(wordsOf(address));
    if (this.#blocks[at] === 0) return undefined;
    return {
      address,
      block: (this.#blocks[at] as number) - 1,
      slot: this.#slots[at] as number,
      size: this.#sizes[at] as number,
      stored: this.#stored[at] as number,
    };
  }

  /** A later place of the same chunk takes the place of an earlier one. */
  put({ address, block, slot, size, stored }: ChunkRef): void {
    if (this.#count * 3 > this.#capacity * 2) this.#grow();
    const words = wordsOf(address);
    const at = this.#find(words);
    if (this.#blocks[at] === 0) this.#count++;
    this.#addresses.set(words, at * WORDS);
    this.#blocks[at] = block + 1;
    this.#slots[at] = slot;
    this.#sizes[at] = size;
    this.#stored[at] = stored;
  }

  /** Where the address is, or would be. Addresses are hashes: their first word is as good a hash as any. */
  #find(words: Uint32Array): number {
    const mask = this.#capacity - 1;
    let at = (words[0] as number) & mask;
    while (this.#blocks[at] !== 0 && !this.#isAt(at, words)) at = (at + 1) & mask;
    return at;
  }

  #isAt(at: number, words: Uint32Array): boolean {
    for (let i = 0; i < WORDS; i++) if (this.#addresses[at * WORDS + i] !== words[i]) return false;
    return true;
  }

  #grow(): void {
    const before = {
      capacity: this.#capacity,
      addresses: this.#addresses,
      blocks: this.#blocks,
      slots: this.#slots,
      sizes: this.#sizes,
      stored: this.#stored,
    };
    this.#capacity *= 2;
    this.#addresses = new Uint32Array(this.#capacity * WORDS);
    this.#blocks = new Uint32Array(this.#capacity);
    this.#slots = new Uint16Array(this.#capacity);
    this.#sizes = new Uint32Array(this.#capacity);
    this.#stored = new Uint32Array(this.#capacity);
    for (let old = 0; old < before.capacity; old++) {
      if (before.blocks[old] === 0) continue;
      const words = before.addresses.subarray(old * WORDS, old * WORDS + WORDS);
      const at = this.#find(words);
      this.#addresses.set(words, at * WORDS);
      this.#blocks[at] = before.blocks[old] as number;
      this.#slots[at] = before.slots[old] as number;
      this.#sizes[at] = before.sizes[old] as number;
      this.#stored[at] = before.stored[old] as number;
    }
  }
}

function wordsOf(address: Uint8Array): Uint32Array {
  const words = new Uint32Array(WORDS);
  for (let i = 0; i < WORDS; i++) {
    const [a = 0, b = 0, c = 0, d = 0] = address.subarray(4 * i, 4 * i + 4);
    words[i] = ((a << 24) | (b << 16) | (c << 8) | d) >>> 0;
  }
  return words;
}
