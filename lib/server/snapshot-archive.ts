import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { createGunzip, createGzip } from 'node:zlib';
import { MeshError } from '../structs/errors.js';
import type { SnapshotMetadata } from '../structs/operator.js';
import { assert } from '../util/assert.js';

// A snapshot as a file: a gzipped tar of three files, as tar prints them. The sums guard what a disk or a copy may damage.
//
//     meta.json    SnapshotMetadata
//     state.bin    the state, as lib/state streams it
//     SHA256SUMS   of both

const BLOCK = 512;
const META_BYTES_MAX = 1024 * 1024;
const SUMS_BYTES_MAX = 4096;
/** Of what is written out at a time. */
const CHUNK_BYTES = 64 * 1024;

/**
 * Writes an archive. `state` is streamed twice, for the head of a file in a tar says how long it is: both times it must give
 * the same bytes.
 */
export async function* writeArchive(
  metadata: SnapshotMetadata,
  state: () => AsyncIterable<Uint8Array>,
): AsyncGenerator<Uint8Array, void, undefined> {
  const sum = createHash('sha256');
  let size = 0;
  for await (const chunk of state()) {
    sum.update(chunk);
    size += chunk.length;
  }
  const meta = Buffer.from(`${JSON.stringify(metadata, null, 2)}\n`);
  const sums = Buffer.from(`${sha256(meta)}  meta.json\n${sum.digest('hex')}  state.bin\n`);
  yield* gzipped(tar());

  async function* tar(): AsyncGenerator<Uint8Array> {
    yield* [tarHead('meta.json', meta.length, metadata.CreatedAt), meta, padding(meta.length)];
    yield tarHead('state.bin', size, metadata.CreatedAt);
    let written = 0;
    for await (const chunk of state()) {
      written += chunk.length;
      yield chunk;
    }
    assert(written === size, 'snapshot archive: the state is streamed twice, and must be the same');
    yield* [padding(size), tarHead('SHA256SUMS', sums.length, metadata.CreatedAt), sums, padding(sums.length)];
    yield Buffer.alloc(2 * BLOCK);
  }
}

/** What an archive holds, as it is read. The end is reached, and `state` whole, only when all sums were right. */
export interface ArchiveReader {
  readonly metadata: SnapshotMetadata;
  /** The bytes of state.bin; throws MeshError E_STORAGE at the end when they are not what the sums say. */
  readonly state: AsyncIterable<Uint8Array>;
}

/** Opens an archive. Rejects with E_STORAGE when it is none, is damaged or cut short, or of a version this program cannot read. */
export async function readArchive(chunks: AsyncIterable<Uint8Array>): Promise<ArchiveReader> {
  const bytes = new ByteReader(gunzipped(chunks));
  const meta = await smallFile(bytes, 'meta.json', META_BYTES_MAX);
  const metadata = parseMetadata(meta);
  const size = await fileSize(bytes, 'state.bin');
  return { metadata, state: checkedState(bytes, size, sha256(meta)) };
}

async function* checkedState(bytes: ByteReader, size: number, metaSum: string): AsyncGenerator<Uint8Array> {
  const sum = createHash('sha256');
  for (let left = size; left > 0; ) {
    const chunk = await bytes.some(Math.min(left, CHUNK_BYTES));
    sum.update(chunk);
    left -= chunk.length;
    yield chunk;
  }
  await bytes.exactly(padding(size).length);
  const sums = (await smallFile(bytes, 'SHA256SUMS', SUMS_BYTES_MAX)).toString('utf8');
  const expected = new Map(sums.split('\n').map((line) => [line.slice(66), line.slice(0, 64)]));
  if (expected.get('state.bin') !== sum.digest('hex') || expected.get('meta.json') !== metaSum) {
    throw damaged('its checksums do not match');
  }
}

function parseMetadata(bytes: Buffer): SnapshotMetadata {
  let metadata: Partial<SnapshotMetadata> | null;
  try {
    metadata = JSON.parse(bytes.toString('utf8')) as Partial<SnapshotMetadata> | null;
  } catch {
    throw damaged('its meta.json cannot be read');
  }
  const { Version, Index, Term, ID } = metadata ?? {};
  if (typeof Version !== 'number' || typeof Index !== 'number' || typeof Term !== 'number' || typeof ID !== 'string') {
    throw damaged('its meta.json is not of a snapshot of meshnomad');
  }
  if (Version > ARCHIVE_VERSION) {
    throw new MeshError(
      'E_NOT_SUPPORTED',
      `a newer version of meshnomad wrote this snapshot: it is of version ${Version}, and this program reads those up to ${ARCHIVE_VERSION}. Use the newer version`,
    );
  }
  return { Mesh: '', CreatedAt: 0, Program: '', ...metadata, Version, Index, Term, ID };
}

/** Raised when older programs could not read what is written. */
export const ARCHIVE_VERSION = 1;

async function smallFile(bytes: ByteReader, name: string, limit: number): Promise<Buffer> {
  const size = await fileSize(bytes, name);
  if (size > limit) throw damaged(`${name} is impossibly large`);
  const content = await bytes.exactly(size);
  await bytes.exactly(padding(size).length);
  return content;
}

/** Reads the head of the file that must come next. */
async function fileSize(bytes: ByteReader, name: string): Promise<number> {
  const head = await bytes.exactly(BLOCK);
  const found = head.subarray(0, 100).toString('utf8').replace(/\0.*$/s, '');
  if (found !== name) throw damaged(`it holds no ${name} where one should be`);
  const size = Number.parseInt(head.subarray(124, 135).toString('latin1'), 8);
  if (!Number.isSafeInteger(size) || size < 0) throw damaged(`the length of ${name} cannot be read`);
  return size;
}

/** The head of one file (POSIX ustar). */
function tarHead(name: string, size: number, timeMs: number): Buffer {
  const head = Buffer.alloc(BLOCK);
  const octal = (value: number, digits: number): string => `${value.toString(8).padStart(digits, '0')}\0`;
  head.write(name, 0);
  head.write(octal(0o600, 7), 100);
  head.write(octal(0, 7), 108);
  head.write(octal(0, 7), 116);
  head.write(octal(size, 11), 124);
  head.write(octal(Math.floor(timeMs / 1000), 11), 136);
  head.write('        ', 148);
  head.write('0', 156);
  head.write('ustar\x0000', 257);
  head.write(
    `${head
      .reduce((sum, byte) => sum + byte, 0)
      .toString(8)
      .padStart(6, '0')}\0 `,
    148,
  );
  return head;
}

const padding = (size: number): Buffer => Buffer.alloc((BLOCK - (size % BLOCK)) % BLOCK);
const sha256 = (bytes: Uint8Array): string => createHash('sha256').update(bytes).digest('hex');

function damaged(why: string): MeshError {
  return new MeshError('E_STORAGE', `the snapshot cannot be used: ${why}`);
}

async function* gzipped(chunks: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  yield* through(createGzip(), chunks);
}

async function* gunzipped(chunks: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  try {
    yield* through(createGunzip(), chunks);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (!code?.startsWith('Z_')) throw error;
    throw damaged(code === 'Z_BUF_ERROR' ? 'it is cut short' : 'it is no gzipped archive, or damaged');
  }
}

async function* through(
  transform: ReturnType<typeof createGzip> | ReturnType<typeof createGunzip>,
  chunks: AsyncIterable<Uint8Array>,
): AsyncGenerator<Uint8Array> {
  const feed = async (): Promise<void> => {
    for await (const chunk of chunks) {
      if (transform.destroyed) return;
      if (!transform.write(chunk)) await Promise.race([once(transform, 'drain'), once(transform, 'close')]);
    }
    transform.end();
  };
  feed().catch((error: Error) => transform.destroy(error));
  yield* transform as AsyncIterable<Uint8Array>;
}

/** Takes bytes off a stream in the portions that are wanted. */
class ByteReader {
  readonly #chunks: AsyncIterator<Uint8Array>;
  #held: Buffer = Buffer.alloc(0);

  constructor(chunks: AsyncIterable<Uint8Array>) {
    this.#chunks = chunks[Symbol.asyncIterator]();
  }

  /** Between one byte and `max`. */
  async some(max: number): Promise<Buffer> {
    while (this.#held.length === 0) await this.#more();
    return this.#take(Math.min(max, this.#held.length));
  }

  async exactly(count: number): Promise<Buffer> {
    const parts: Buffer[] = [];
    for (let left = count; left > 0; ) {
      const part = await this.some(left);
      parts.push(part);
      left -= part.length;
    }
    return Buffer.concat(parts);
  }

  async #more(): Promise<void> {
    const { value, done } = await this.#chunks.next();
    if (done) throw damaged('it is cut short');
    this.#held = Buffer.from(value.buffer, value.byteOffset, value.byteLength);
  }

  #take(count: number): Buffer {
    const taken = this.#held.subarray(0, count);
    this.#held = this.#held.subarray(count);
    return taken;
  }
}
