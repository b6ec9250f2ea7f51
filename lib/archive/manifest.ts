import { ByteReader, ByteWriter, MalformedBytes } from '../util/bytes.js';
import { ADDRESS_BYTES, type ChunkRef } from './chunk-table.js';
import { CHUNK_MAX } from './chunker.js';

// What a snapshot says of a tree: records, one after the other, in the order of the paths. A file is followed by what it is made
// of. Read and written as a stream: a tree of any size passes through a window of it.

/** `hardlink`: the same file as an earlier one. */
export type EntryKind = 'dir' | 'file' | 'symlink' | 'hardlink';

/** One name of the tree. Its path, and a link's target, have a character for each byte: names on disk need not be UTF-8. */
export interface Entry {
  /** Below the volume, without a slash at the beginning; '' is the volume itself. */
  readonly path: string;
  readonly kind: EntryKind;
  /** Permissions with the set-id and sticky bits. */
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  /** Nanoseconds since 1970. */
  readonly mtimeNs: bigint;
  /** The next two say whether a file is the one that was seen before. */
  readonly ctimeNs: bigint;
  readonly ino: bigint;
  /** Of a file. */
  readonly size: number;
  /** Has holes: zeros are not written when it is restored. */
  readonly isSparse: boolean;
  /** Of a symlink what it says, of a hardlink the path of the earlier file. */
  readonly target: string;
}

/** An extended attribute; its name has a character for each byte. */
export interface Attribute {
  readonly name: string;
  readonly value: Uint8Array;
}

/** What belongs to the entry before: attributes, chunks of the file, or that it changed while it was read. */
export type ManifestRecord =
  | { readonly type: 'entry'; readonly entry: Entry }
  | { readonly type: 'attribute'; readonly attribute: Attribute }
  | { readonly type: 'refs'; readonly refs: readonly ChunkRef[] }
  | { readonly type: 'changed' };

/** References in one record. */
export const REFS_MAX = 512;

const KINDS: readonly EntryKind[] = ['dir', 'file', 'symlink', 'hardlink'];
const TYPE = { entry: 1, refs: 2, changed: 3, attribute: 4 } as const;
/** Of one path from the volume on. Linux bounds what a program may say at once (4096), not how deep a tree is. */
export const PATH_BYTES_MAX = 32 * 1024;
/** Of one attribute: what Linux allows at most. */
const ATTRIBUTE_BYTES_MAX = 64 * 1024;
const ATTRIBUTE_NAME_MAX = 255;
/** An attribute at its largest, or an entry with the path of an earlier one. */
const RECORD_BYTES_MAX = ATTRIBUTE_BYTES_MAX + 1024;

export function encodeEntry(entry: Entry): Uint8Array {
  const out = new ByteWriter(128 + entry.path.length);
  out.u8(TYPE.entry);
  bytesText(out, entry.path);
  out.u8(KINDS.indexOf(entry.kind));
  out.u16(entry.mode);
  out.u32(entry.uid);
  out.u32(entry.gid);
  u64(out, entry.mtimeNs);
  u64(out, entry.ctimeNs);
  u64(out, entry.ino);
  u64(out, BigInt(entry.size));
  out.u8(entry.isSparse ? 1 : 0);
  bytesText(out, entry.target);
  return framed(out);
}

export function encodeAttribute({ name, value }: Attribute): Uint8Array {
  const out = new ByteWriter(16 + name.length + value.length);
  out.u8(TYPE.attribute);
  bytesText(out, name);
  out.u32(value.length);
  out.raw(value);
  return framed(out);
}

/** At most REFS_MAX of them. */
export function encodeRefs(refs: readonly ChunkRef[]): Uint8Array {
  const out = new ByteWriter(8 + refs.length * (ADDRESS_BYTES + 14));
  out.u8(TYPE.refs);
  out.u16(refs.length);
  for (const { address, block, slot, size, stored } of refs) {
    out.raw(address);
    out.u32(block);
    out.u16(slot);
    out.u32(size);
    out.u32(stored);
  }
  return framed(out);
}

/** The file before has changed while it was read. */
export function encodeNote(): Uint8Array {
  const out = new ByteWriter(8);
  out.u8(TYPE.changed);
  return framed(out);
}

/** Takes pieces of a manifest and gives its records. Throws MalformedBytes for what is none. */
export class ManifestReader {
  #left: Uint8Array = new Uint8Array(0);

  *take(piece: Uint8Array): Generator<ManifestRecord> {
    let bytes = this.#left.length === 0 ? piece : joined(this.#left, piece);
    for (;;) {
      if (bytes.length < 4) break;
      const length = new ByteReader(bytes).u32();
      if (length > RECORD_BYTES_MAX) throw new MalformedBytes(`a record of ${length} bytes in a manifest`);
      if (bytes.length < 4 + length) break;
      const record = decodeRecord(new ByteReader(bytes.subarray(4, 4 + length)));
      bytes = bytes.subarray(4 + length);
      yield record;
    }
    this.#left = new Uint8Array(bytes);
  }

  /** Nothing more comes. Throws MalformedBytes when it ends within a record. */
  end(): void {
    if (this.#left.length > 0) throw new MalformedBytes('a manifest that is cut short');
  }
}

/** Sorts as a tree is walked: a directory, then what is below it, then what comes after it. */
export function pathOrder(a: string, b: string): number {
  const [left, right] = [a.replaceAll('/', '\0'), b.replaceAll('/', '\0')];
  if (left === right) return 0;
  return left < right ? -1 : 1;
}

function decodeRecord(reader: ByteReader): ManifestRecord {
  switch (reader.u8()) {
    case TYPE.entry:
      return { type: 'entry', entry: decodeEntry(reader) };
    case TYPE.refs: {
      const count = reader.u16();
      if (count > REFS_MAX) throw new MalformedBytes(`${count} references in a record`);
      const refs: ChunkRef[] = [];
      for (let i = 0; i < count; i++) {
        const address = new Uint8Array(reader.raw(ADDRESS_BYTES));
        const ref = { address, block: reader.u32(), slot: reader.u16(), size: reader.u32(), stored: reader.u32() };
        if (ref.size > CHUNK_MAX) throw new MalformedBytes(`a chunk of ${ref.size} bytes`);
        refs.push(ref);
      }
      return { type: 'refs', refs };
    }
    case TYPE.attribute:
      return { type: 'attribute', attribute: decodeAttribute(reader) };
    case TYPE.changed:
      return { type: 'changed' };
    default:
      throw new MalformedBytes('a record of an unknown type in a manifest');
  }
}

function decodeAttribute(reader: ByteReader): Attribute {
  const name = readBytesText(reader);
  if (name === '' || name.length > ATTRIBUTE_NAME_MAX || name.includes('\0')) {
    throw new MalformedBytes('an attribute without a name that could be');
  }
  const length = reader.u32();
  if (length > ATTRIBUTE_BYTES_MAX) throw new MalformedBytes(`an attribute of ${length} bytes`);
  return { name, value: new Uint8Array(reader.raw(length)) };
}

function decodeEntry(reader: ByteReader): Entry {
  const path = pathOf(reader);
  const kind = KINDS[reader.u8()];
  if (kind === undefined) throw new MalformedBytes('an entry of an unknown kind');
  const mode = reader.u16() & 0o7777;
  const [uid, gid] = [reader.u32(), reader.u32()];
  const [mtimeNs, ctimeNs, ino] = [readU64(reader), readU64(reader), readU64(reader)];
  const size = Number(readU64(reader));
  if (!Number.isSafeInteger(size)) throw new MalformedBytes('a size that cannot be');
  const isSparse = reader.u8() === 1;
  const target = kind === 'hardlink' ? pathOf(reader) : readBytesText(reader);
  return { path, kind, mode, uid, gid, mtimeNs, ctimeNs, ino, size, isSparse, target };
}

/** A path that stays below the volume: whoever restores it need not be afraid of it. */
function pathOf(reader: ByteReader): string {
  const path = readBytesText(reader);
  if (path === '') return path;
  const isClean = path.split('/').every((part) => part !== '' && part !== '.' && part !== '..');
  if (!isClean || path.includes('\0')) throw new MalformedBytes(`a path that leads astray: ${JSON.stringify(path)}`);
  return path;
}

function bytesText(out: ByteWriter, text: string): void {
  out.u16(text.length);
  const bytes = new Uint8Array(text.length);
  for (let i = 0; i < text.length; i++) bytes[i] = text.charCodeAt(i);
  out.raw(bytes);
}

function readBytesText(reader: ByteReader): string {
  const length = reader.u16();
  if (length > PATH_BYTES_MAX) throw new MalformedBytes(`a path of ${length} bytes`);
  return String.fromCharCode(...reader.raw(length));
}

function u64(out: ByteWriter, value: bigint): void {
  const unsigned = BigInt.asUintN(64, value);
  out.u32(Number(unsigned >> 32n));
  out.u32(Number(unsigned & 0xffff_ffffn));
}

function readU64(reader: ByteReader): bigint {
  const high = BigInt(reader.u32());
  return BigInt.asIntN(64, (high << 32n) | BigInt(reader.u32()));
}

function framed(body: ByteWriter): Uint8Array {
  const out = new ByteWriter(body.length + 4);
  out.u32(body.length);
  out.raw(body.finish());
  return out.finish();
}

function joined(a: Uint8Array, b: Uint8Array): Uint8Array {
  const both = new Uint8Array(a.length + b.length);
  both.set(a);
  both.set(b, a.length);
  return both;
}
