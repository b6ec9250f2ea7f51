/** No cut comes earlier, but at the end of a file. */
const CHUNK_MIN = 32 * 1024;
/** Around here half of the cuts fall. */
const CHUNK_NORMAL = 128 * 1024;
/** No chunk is larger. */
export const CHUNK_MAX = 512 * 1024;

/** Before the normal size a cut is four times as rare as after it would have to be, after it four times as frequent (FastCDC's normalisation). */
const BITS_BEFORE = 19;
const BITS_AFTER = 15;

/**
 * Cuts bytes where their content says so: what is inserted or taken away moves the cuts beside it, and all others stay. A gear
 * hash of the last 32 bytes decides. Which bytes lead to a cut depends on the table, so sizes of chunks tell nothing of the content
 * to whoever does not know it.
 */
export class Chunker {
  readonly #gear: Uint32Array;

  /** `seed`: 1024 bytes that look random. */
  constructor(seed: Uint8Array) {
    this.#gear = new Uint32Array(256);
    for (let i = 0; i < 256; i++) {
      const [a = 0, b = 0, c = 0, d = 0] = seed.subarray(4 * i, 4 * i + 4);
      this.#gear[i] = ((a << 24) | (b << 16) | (c << 8) | d) >>> 0;
    }
  }

  /**
   * Where the chunk ends that begins at `from`. At the end of the content (`isLast`) that is `to` at the latest; else `to` must be
   * CHUNK_MAX further on at least.
   */
  cut(bytes: Uint8Array, from: number, to: number): number {
    const end = Math.min(to, from + CHUNK_MAX);
    if (end - from <= CHUNK_MIN) return end;
    const gear = this.#gear;
    const normal = Math.min(end, from + CHUNK_NORMAL);
    let hash = 0;
    let at = from + CHUNK_MIN - 32;
    for (const warm = from + CHUNK_MIN; at < warm; at++)
      hash = ((hash << 1) + (gear[bytes[at] as number] as number)) | 0;
    for (; at < normal; at++) {
      hash = ((hash << 1) + (gear[bytes[at] as number] as number)) | 0;
      if (hash >>> (32 - BITS_BEFORE) === 0) return at + 1;
    }
    for (; at < end; at++) {
      hash = ((hash << 1) + (gear[bytes[at] as number] as number)) | 0;
      if (hash >>> (32 - BITS_AFTER) === 0) return at + 1;
    }
    return end;
  }
}
