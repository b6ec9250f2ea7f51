import { closeSync, fstatSync, openSync, readSync } from 'node:fs';
import bitIterator from 'unbzip2-stream/lib/bit_iterator.js';
import bzip2 from 'unbzip2-stream/lib/bzip2.js';
import { refuse } from './failure.js';

const PIECE_BYTES = 64 * 1024;
/** What a block is given room for at first: one of zeros grows to fifty times as much. */
const BLOCK_BYTES = 1024 * 1024;

/**
 * The content of a bzip2 file in pieces, decoded by blocks of up to 46 MiB as it is asked for: the stream of the package decodes
 * all that it is given at once, and 1.4 KB of it may be two gigabytes. Reads and computes without letting go of its
 * thread. Throws ArtifactError.
 */
export function* bunzip(path: string): Generator<Buffer> {
  const file = openSync(path, 'r');
  try {
    const { size } = fstatSync(file);
    const bits = bitIterator(() => {
      const piece = Buffer.allocUnsafe(PIECE_BYTES);
      const bytes = readSync(file, piece);
      if (bytes === 0) throw refuse('the bzip2 file is cut off');
      return piece.subarray(0, bytes);
    });
    // Streams may follow one another.
    do yield* blocks(bits);
    while (bits.bytesRead < size);
  } finally {
    closeSync(file);
  }
}

function* blocks(bits: ReturnType<typeof bitIterator>): Generator<Buffer> {
  const size = decoding(() => bzip2.header(bits)) * 100_000;
  const scratch = new Int32Array(size);
  let checksum: number | null = 0;
  let block = Buffer.allocUnsafe(BLOCK_BYTES);
  for (;;) {
    let length = 0;
    const give = (byte: number): void => {
      if (length === block.length) block = Buffer.concat([block, Buffer.allocUnsafe(block.length)]);
      block[length++] = byte;
    };
    const before: number = checksum;
    checksum = decoding(() => bzip2.decompress(bits, give, scratch, size, before));
    if (checksum === null) return;
    for (let at = 0; at < length; at += PIECE_BYTES) {
      yield Buffer.from(block.subarray(at, Math.min(at + PIECE_BYTES, length)));
    }
  }
}

/** The package's own words for a damaged file help nobody. */
function decoding<T>(act: () => T): T {
  try {
    return act();
  } catch (error) {
    throw error instanceof Error && error.name === 'ArtifactError'
      ? error
      : refuse('it is no bzip2 file, or a damaged one');
  }
}
