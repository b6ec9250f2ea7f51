import { promisify } from 'node:util';
import { deflateRaw, deflateRawSync } from 'node:zlib';
import { CHUNK_MAX, type ChunkRef, type PackedChunk, PackWriter } from '../../archive/index.js';
import type { ArchiveCipher } from './archive-cipher.js';
import type { ArchiveCore } from './archive-core.js';
import type { KnownChunks } from './previous-tree.js';

const deflate = promisify(deflateRaw);
const LEVEL = 1;
/** Read at once: enough for a few chunks to be compressed side by side. */
export const WINDOW_BYTES = 4 * CHUNK_MAX;
/** What a hole of a file reads as: large ones are passed over at the speed of a comparison, and give the chunks that they always gave. */
const HOLE = Buffer.alloc(CHUNK_MAX);
/** After so many chunks that did not become smaller, the next ones are not tried. */
const STUBBORN_MAX = 4;
const STUBBORN_PAUSE = 32;
/** A content that is compressed sooner than another thread would have taken it up. */
const SMALL_BYTES = 16 * 1024;
const WINDOW_BITS_MIN = 9;
const MEM_LEVEL_SMALL = 6;

/** Reads on; answers how many bytes it got, fewer than asked for only at the end. */
export type ReadInto = (into: Uint8Array, position: number) => Promise<number>;

/** Cuts contents into chunks and writes those that are not there yet. */
export class ChunkWriter {
  readonly #core: ArchiveCore;
  readonly #cipher: ArchiveCipher;
  readonly #known: KnownChunks;
  readonly #window = Buffer.allocUnsafe(WINDOW_BYTES);
  #pack = new PackWriter();
  #stubborn = 0;
  #holeChunk: { size: number; address: Uint8Array } | undefined;
  /** Bytes of content that was new. */
  newBytes = 0;

  constructor(core: ArchiveCore, cipher: ArchiveCipher, known: KnownChunks) {
    this.#core = core;
    this.#cipher = cipher;
    this.#known = known;
  }

  /** Takes a content to its end, and gives its chunks in order, a few at a time. `seen` hears of the bytes that were read. */
  async *content(read: ReadInto, seen: (bytes: number) => void): AsyncGenerator<ChunkRef[]> {
    const window = this.#window;
    let filled = 0;
    let position = 0;
    for (let isLast = false; !isLast; ) {
      const wanted = window.length - filled;
      const got = await read(window.subarray(filled), position);
      position += got;
      filled += got;
      isLast = got < wanted;
      seen(got);
      const cuts: number[] = [];
      for (let from = 0; from < filled && (isLast || filled - from >= CHUNK_MAX); ) {
        from = this.#cut(from, filled);
        cuts.push(from);
      }
      const refs = await this.#write(cuts);
      if (refs.length > 0) yield refs;
      const used = cuts.at(-1) ?? 0;
      window.copyWithin(0, used, filled);
      filled -= used;
    }
  }

  /** A chunk that lies in a block which is to be let go: it is packed anew as it is. */
  async again(ref: ChunkRef): Promise<ChunkRef> {
    const known = this.#known.get(ref.address);
    if (known) return known;
    const packed = await this.#core.source.packed(ref);
    return this.#add({ ...packed, address: new Uint8Array(packed.address), data: new Uint8Array(packed.data) });
  }

  /** Writes what waits for company. */
  async flush(): Promise<void> {
    if (this.#pack.isEmpty) return;
    const pack = this.#pack;
    this.#pack = new PackWriter();
    await this.#core.append(pack.finish());
  }

  async #write(cuts: readonly number[]): Promise<ChunkRef[]> {
    const fresh = new Map<string, Promise<PackedChunk>>();
    const chunks: { address: Uint8Array; key: string }[] = [];
    let from = 0;
    for (const to of cuts) {
      const content = this.#window.subarray(from, to);
      from = to;
      const address = this.#address(content);
      const key = Buffer.from(address).toString('base64');
      chunks.push({ address, key });
      if (this.#known.get(address) || fresh.has(key)) continue;
      this.newBytes += content.length;
      // Compressed side by side: each runs on a thread of its own.
      fresh.set(key, this.#compressed(address, content));
    }
    await Promise.all(fresh.values());
    const refs: ChunkRef[] = [];
    for (const { address, key } of chunks) {
      refs.push(this.#known.get(address) ?? (await this.#add((await fresh.get(key)) as PackedChunk)));
    }
    return refs;
  }

  #cut(from: number, filled: number): number {
    const isHole = filled - from >= CHUNK_MAX && this.#window.compare(HOLE, 0, CHUNK_MAX, from, from + CHUNK_MAX) === 0;
    return isHole ? from + this.#hole().size : this.#cipher.chunker.cut(this.#window, from, filled);
  }

  #address(content: Buffer): Uint8Array {
    const { size, address } = this.#hole();
    const isHole = content.length === size && content.compare(HOLE, 0, size) === 0;
    return isHole ? address : this.#cipher.address(content);
  }

  /** The chunk with which a hole that goes on begins. */
  #hole(): { size: number; address: Uint8Array } {
    if (this.#holeChunk) return this.#holeChunk;
    const size = this.#cipher.chunker.cut(HOLE, 0, CHUNK_MAX);
    this.#holeChunk = { size, address: this.#cipher.address(HOLE.subarray(0, size)) };
    return this.#holeChunk;
  }

  async #compressed(address: Uint8Array, content: Buffer): Promise<PackedChunk> {
    const size = content.length;
    const tries = this.#stubborn < STUBBORN_MAX;
    if (!tries && ++this.#stubborn > STUBBORN_MAX + STUBBORN_PAUSE) this.#stubborn = 0;
    if (tries) {
      const data = content.length <= SMALL_BYTES ? deflateSmall(content) : await deflate(content, { level: LEVEL });
      if (data.length < size * 0.95) {
        this.#stubborn = 0;
        return { address, size, isDeflated: true, data };
      }
      this.#stubborn++;
    }
    // The window is written over before the block is full.
    return { address, size, isDeflated: false, data: Buffer.from(content) };
  }

  async #add(chunk: PackedChunk): Promise<ChunkRef> {
    const slot = this.#pack.add(chunk);
    const ref = { address: chunk.address, block: this.#core.length, slot, size: chunk.size, stored: chunk.data.length };
    this.#known.put(ref);
    if (this.#pack.isFull) await this.flush();
    return ref;
  }
}

/** With as much memory as it needs: what a compressor takes otherwise costs more than a small content itself. */
function deflateSmall(content: Buffer): Buffer {
  const windowBits = Math.max(WINDOW_BITS_MIN, Math.ceil(Math.log2(content.length + 1)));
  const chunkSize = content.length + 64;
  return deflateRawSync(content, { level: LEVEL, windowBits, memLevel: MEM_LEVEL_SMALL, chunkSize });
}
