import type { Entry, EntryType } from '../raft/index.js';
import { MeshError } from '../structs/errors.js';
import { crc32c } from './crc32c.js';

/**
 * A segment file, all numbers big-endian:
 *
 *     header, 32 bytes:  "MNRAFT"  version u16 │ first index u64 │ term before it u64 │ flags u32 │ crc32c u32
 *     record, 32 bytes:  crc32c u32 │ length u32 │ term u64 │ index u64 │ batch u32 │ type u8, 0 0 0
 *     its payload, filled up to a multiple of 8 with zeros; after the last record zeros to the end of the file.
 *
 * `batch` counts the records before this one that were written by the same write: those became durable together, and
 * everything before them was durable before they were written. So a damaged record that is followed by a record of a
 * later batch was once whole: that is no torn write, it is a lost acknowledged entry.
 */
const MAGIC = 0x4d4e_5241;
const MAGIC_END = 0x4654;
const VERSION = 1;
export const HEADER_BYTES = 32;
const RECORD_BYTES = 32;
const FLAG_RESET = 1;
/** More than any command: a larger length is damage. */
const PAYLOAD_BYTES_MAX = 1 << 30;

const TYPES: readonly EntryType[] = ['command', 'noop', 'config'];

export interface SegmentHeader {
  readonly firstIndex: number;
  readonly prevTerm: number;
  /** The log begins here: whatever earlier segments hold is void (a snapshot took its place). */
  readonly reset: boolean;
}

/** Where a record lies and what it is. */
export interface RecordInfo {
  readonly position: number;
  readonly length: number;
  readonly term: number;
  readonly index: number;
  readonly type: EntryType;
  /** Index of the first record of the same write. */
  readonly batchFirst: number;
}

export function recordBytes(payloadLength: number): number {
  return RECORD_BYTES + Math.ceil(payloadLength / 8) * 8;
}

function view(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

// Two halves: DataView's own 64-bit access goes through BigInt, an allocation for each number.
function setUint53(data: DataView, at: number, value: number): void {
  data.setUint32(at, Math.floor(value / 2 ** 32));
  data.setUint32(at + 4, value >>> 0);
}

function getUint53(data: DataView, at: number): number {
  return data.getUint32(at) * 2 ** 32 + data.getUint32(at + 4);
}

export function encodeHeader(header: SegmentHeader): Uint8Array {
  const bytes = new Uint8Array(HEADER_BYTES);
  const data = view(bytes);
  data.setUint32(0, MAGIC);
  data.setUint16(4, MAGIC_END);
  data.setUint16(6, VERSION);
  setUint53(data, 8, header.firstIndex);
  setUint53(data, 16, header.prevTerm);
  data.setUint32(24, header.reset ? FLAG_RESET : 0);
  data.setUint32(28, crc32c(bytes, 0, 28));
  return bytes;
}

/** Throws MeshError: E_NOT_SUPPORTED for another version's file, E_STORAGE for a damaged or foreign one. */
export function decodeHeader(bytes: Uint8Array, path: string): SegmentHeader {
  const data = view(bytes);
  if (bytes.length < HEADER_BYTES || data.getUint32(0) !== MAGIC || data.getUint16(4) !== MAGIC_END) {
    throw new MeshError('E_STORAGE', `${path} is no raft log: restore the data directory from a backup`);
  }
  const version = data.getUint16(6);
  if (version !== VERSION) {
    throw new MeshError(
      'E_NOT_SUPPORTED',
      `${path} has format version ${version}, this program reads version ${VERSION}: start the version of meshnomad that wrote it`,
    );
  }
  if (data.getUint32(28) !== crc32c(bytes, 0, 28)) {
    throw new MeshError('E_STORAGE', `the head of ${path} is damaged: restore the data directory from a backup`);
  }
  return {
    firstIndex: getUint53(data, 8),
    prevTerm: getUint53(data, 16),
    reset: (data.getUint32(24) & FLAG_RESET) !== 0,
  };
}

/** The bytes of one write. */
export function encodeBatch(entries: readonly Entry[]): Uint8Array {
  const total = entries.reduce((sum, { data }) => sum + recordBytes(data.length), 0);
  const bytes = new Uint8Array(total);
  const data = view(bytes);
  let at = 0;
  for (const [batch, entry] of entries.entries()) {
    const { length } = entry.data;
    data.setUint32(at + 4, length);
    setUint53(data, at + 8, entry.term);
    setUint53(data, at + 16, entry.index);
    data.setUint32(at + 24, batch);
    data.setUint8(at + 28, TYPES.indexOf(entry.type));
    bytes.set(entry.data, at + RECORD_BYTES);
    data.setUint32(at, crc32c(bytes, at + 4, at + RECORD_BYTES + length));
    at += recordBytes(length);
  }
  return bytes;
}

/** The record at a position of `bytes`, or undefined when there is no whole, undamaged one. */
export function decodeRecord(bytes: Uint8Array, position: number): RecordInfo | undefined {
  if (position + RECORD_BYTES > bytes.length) return undefined;
  const data = view(bytes);
  const length = data.getUint32(position + 4);
  const index = getUint53(data, position + 16);
  const type = TYPES[data.getUint8(position + 28)];
  if (index === 0 || type === undefined || length > PAYLOAD_BYTES_MAX) return undefined;
  const end = position + RECORD_BYTES + length;
  if (end > bytes.length || data.getUint32(position) !== crc32c(bytes, position + 4, end)) return undefined;
  const batchFirst = index - data.getUint32(position + 24);
  return { position, length, term: getUint53(data, position + 8), index, type, batchFirst };
}

/** The payload of a record, without a copy. */
export function payloadOf(bytes: Uint8Array, record: RecordInfo): Uint8Array {
  const start = record.position + RECORD_BYTES;
  return bytes.subarray(start, start + record.length);
}

export type Tail =
  /** Nothing but zeros: the next record can be written there. */
  | { readonly kind: 'clean' }
  /** What a write left that was interrupted: it was never acknowledged. */
  | { readonly kind: 'torn' }
  /** A record that was acknowledged is damaged: `found` was written after it had become durable. */
  | { readonly kind: 'damaged'; readonly found: number };

/** What follows the last whole record of the newest segment, where the record `expected` should be. */
export function inspectTail(bytes: Uint8Array, position: number, expected: number): Tail {
  let dirty = false;
  for (let at = position; at < bytes.length && !dirty; at++) dirty = bytes[at] !== 0;
  if (!dirty) return { kind: 'clean' };
  for (let at = position; at + RECORD_BYTES <= bytes.length; at += 8) {
    const record = decodeRecord(bytes, at);
    if (record !== undefined && record.batchFirst > expected) return { kind: 'damaged', found: record.index };
  }
  return { kind: 'torn' };
}
