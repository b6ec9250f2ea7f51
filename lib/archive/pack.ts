import { ByteReader, ByteWriter, MalformedBytes } from '../util/bytes.js';
import { ADDRESS_BYTES } from './chunk-table.js';
import { CHUNK_MAX } from './chunker.js';

/** A chunk on its way into a block, or out of one. */
export interface PackedChunk {
  /** ADDRESS_BYTES. */
  readonly address: Uint8Array;
  /** Bytes of content. */
  readonly size: number;
  /** Whether `data` is compressed. */
  readonly isDeflated: boolean;
  readonly data: Uint8Array;
}

/** What begins with this is a pack and nothing else. */
const PACK = 1;
/** A pack of so many bytes is full: small records cost a core as much as large ones. */
const PACK_BYTES = 256 * 1024;
const SLOTS_MAX = 4096;
/** What a chunk takes in a pack beside its bytes. */
export const SLOT_BYTES = ADDRESS_BYTES + 9;

/** Chunks on their way into one block: a table, then their bytes. */
export class PackWriter {
  #chunks: PackedChunk[] = [];
  #bytes = 0;

  get isEmpty(): boolean {
    return this.#chunks.length === 0;
  }

  get isFull(): boolean {
    return this.#bytes >= PACK_BYTES || this.#chunks.length >= SLOTS_MAX;
  }

  /** Answers the chunk's slot. */
  add(chunk: PackedChunk): number {
    this.#chunks.push(chunk);
    this.#bytes += chunk.data.length;
    return this.#chunks.length - 1;
  }

  /** The block's bytes; the writer is empty afterwards. */
  finish(): Uint8Array {
    const table = new ByteWriter(this.#bytes + 3 + this.#chunks.length * SLOT_BYTES);
    table.u8(PACK);
    table.u16(this.#chunks.length);
    for (const { address, size, isDeflated, data } of this.#chunks) {
      table.raw(address);
      table.u32(size);
      table.u8(isDeflated ? 1 : 0);
      table.u32(data.length);
    }
    for (const { data } of this.#chunks) table.raw(data);
    this.#chunks = [];
    this.#bytes = 0;
    return table.finish();
  }
}

/** Throws MalformedBytes for anything but a pack, one that claims sizes it cannot have among them. */
export function decodePack(bytes: Uint8Array): PackedChunk[] {
  const reader = new ByteReader(bytes);
  if (reader.u8() !== PACK) throw new MalformedBytes('no pack of chunks');
  const count = reader.u16();
  if (count > SLOTS_MAX) throw new MalformedBytes(`${count} chunks in a pack`);
  const heads = [];
  for (let i = 0; i < count; i++) {
    const address = reader.raw(ADDRESS_BYTES);
    const size = reader.u32();
    const isDeflated = reader.u8() === 1;
    const length = reader.u32();
    if (size > CHUNK_MAX || length > CHUNK_MAX) throw new MalformedBytes(`a chunk of ${size} bytes`);
    heads.push({ address, size, isDeflated, length });
  }
  return heads.map(({ length, ...head }) => ({ ...head, data: reader.raw(length) }));
}
