declare module 'unbzip2-stream/lib/bit_iterator.js' {
  /** Reads `n` bits as a number; null: goes on at the next whole byte. */
  export interface BitReader {
    (n: number | null): number;
    bytesRead: number;
  }
  export default function bitIterator(nextBuffer: () => Uint8Array): BitReader;
}

declare module 'unbzip2-stream/lib/bzip2.js' {
  import type { BitReader } from 'unbzip2-stream/lib/bit_iterator.js';

  const bzip2: {
    /** The size of a block in units of 100,000 bytes. */
    header(bits: BitReader): number;
    /** Gives the bytes of one block; null at the end of a stream, else its checksum so far. */
    decompress(
      bits: BitReader,
      give: (byte: number) => void,
      scratch: Int32Array,
      size: number,
      checksum: number,
    ): number | null;
  };
  export default bzip2;
}
