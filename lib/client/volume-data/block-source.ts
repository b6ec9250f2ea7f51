import { promisify } from 'node:util';
import { inflateRaw } from 'node:zlib';
import { type ChunkRef, decodePack, type PackedChunk } from '../../archive/index.js';
import { MeshError } from '../../structs/errors.js';
import { MalformedBytes } from '../../util/bytes.js';
import type { ArchiveCipher } from './archive-cipher.js';
import type { Blocks } from './core-copy.js';

const inflate = promisify(inflateRaw);

/** Blocks that are kept opened: neighbours are mostly wanted together. Each has 768 KiB at most. */
const OPENED_MAX = 12;

/** Reads the chunks of one core, and trusts nothing that it reads. */
export class BlockSource {
  readonly coreKey: string;
  readonly #core: Blocks;
  readonly #cipher: ArchiveCipher;
  readonly #opened = new Map<number, Promise<PackedChunk[]>>();
  /** What was asked for last: the chunks of a hole are all the same one. */
  #last: { address: Uint8Array; content: Uint8Array } | undefined;

  constructor(core: Blocks, cipher: ArchiveCipher) {
    this.#core = core;
    this.#cipher = cipher;
    this.coreKey = Buffer.from(core.key).toString('hex');
  }

  /** What is in a block, in clear; waits for it to come from somebody. */
  async body(index: number): Promise<Uint8Array> {
    return this.#cipher.open(this.coreKey, index, await this.#core.get(index));
  }

  /** The chunk as it is packed. Throws E_STORAGE when it is not where it should be. */
  async packed({ address, block, slot }: ChunkRef): Promise<PackedChunk> {
    const found = (await this.#pack(block))[slot];
    if (!found || Buffer.compare(found.address, address) !== 0) {
      throw new MeshError('E_STORAGE', `chunk ${slot} of block ${block} is another one`);
    }
    return found;
  }

  /** The content of a chunk, proven by its keyed hash. */
  async content(ref: ChunkRef): Promise<Uint8Array> {
    if (this.#last && Buffer.compare(this.#last.address, ref.address) === 0) return this.#last.content;
    const { data, size, isDeflated, address } = await this.packed(ref);
    const content = isDeflated ? await inflate(data, { maxOutputLength: Math.max(1, size) }).catch(damaged) : data;
    if (content.length !== size || Buffer.compare(this.#cipher.address(content), address) !== 0) {
      throw new MeshError('E_STORAGE', `the content of chunk ${ref.slot} of block ${ref.block} is damaged`);
    }
    this.#last = { address: ref.address, content };
    return content;
  }

  /** The chunks of a block; empty for one that holds none. */
  async chunksOf(index: number): Promise<readonly PackedChunk[]> {
    return this.#pack(index);
  }

  #pack(index: number): Promise<PackedChunk[]> {
    const known = this.#opened.get(index);
    if (known) {
      this.#opened.delete(index);
      this.#opened.set(index, known);
      return known;
    }
    const opened = this.body(index).then(asPack);
    opened.catch(() => this.#opened.delete(index));
    this.#opened.set(index, opened);
    if (this.#opened.size > OPENED_MAX) this.#opened.delete(this.#opened.keys().next().value as number);
    return opened;
  }
}

function asPack(body: Uint8Array): PackedChunk[] {
  try {
    return decodePack(body);
  } catch (error) {
    if (error instanceof MalformedBytes) return damaged(error);
    throw error;
  }
}

function damaged(cause: unknown): never {
  throw new MeshError('E_STORAGE', `a block cannot be read: ${(cause as Error).message}`, { cause });
}
