import type { Entry, EntryType, Membership } from '../raft/index.js';
import { MeshError } from '../structs/errors.js';

/**
 * A feed is a chain of segments, each a core of its own: the chunks of a snapshot │ its announcement │ entries … │ where the
 * next segment is. Every block but the chunks begins, numbers big-endian: version u8, type u8, place of the announcement u64.
 *
 *     entries:   digest before (32), digest after (32), first index u64, count u32 │ each: term u64, type u8, length u32, data
 *     snapshot:  the announcement as JSON
 *     next:      the key of the next segment (32)
 */
const VERSION = 1;
const HEAD_BYTES = 10;
const ENTRIES_HEAD_BYTES = HEAD_BYTES + 76;
const ENTRY_HEAD_BYTES = 13;
const TYPE = { entries: 1, snapshot: 2, next: 3 } as const;
const ENTRY_TYPES: readonly EntryType[] = ['command', 'noop', 'config'];

/** A run of committed entries, with the digests of all before the first and up to the last (entry-chain.ts). */
export interface EntriesBlock {
  readonly type: 'entries';
  readonly announcedAt: number;
  readonly before: Uint8Array;
  readonly after: Uint8Array;
  readonly firstIndex: number;
  readonly entries: readonly Entry[];
}

/** What the snapshot at the beginning of a segment is: its chunks are all blocks before this one. */
export interface Announcement {
  readonly index: number;
  readonly term: number;
  readonly membership: Membership;
  readonly digest: string;
  readonly chunks: number;
  readonly bytes: number;
}

export interface SnapshotBlock {
  readonly type: 'snapshot';
  readonly announcedAt: number;
  readonly announcement: Announcement;
}

/** This segment is done: the history goes on in another core, whose snapshot is of an entry in this one. */
export interface NextBlock {
  readonly type: 'next';
  readonly announcedAt: number;
  readonly key: Uint8Array;
}

export type FeedBlock = EntriesBlock | SnapshotBlock | NextBlock;

/** What an entry adds to a block. */
export function entryBytes(entry: Entry): number {
  return ENTRY_HEAD_BYTES + entry.data.length;
}

export function encodeEntriesBlock(block: Omit<EntriesBlock, 'type'>): Uint8Array {
  const { announcedAt, before, after, firstIndex, entries } = block;
  const size = entries.reduce((sum, entry) => sum + entryBytes(entry), ENTRIES_HEAD_BYTES);
  const bytes = Buffer.allocUnsafe(size);
  writeHead(bytes, TYPE.entries, announcedAt);
  bytes.set(before, HEAD_BYTES);
  bytes.set(after, HEAD_BYTES + 32);
  bytes.writeBigUInt64BE(BigInt(firstIndex), HEAD_BYTES + 64);
  bytes.writeUInt32BE(entries.length, HEAD_BYTES + 72);
  let at = ENTRIES_HEAD_BYTES;
  for (const { term, type, data } of entries) {
    bytes.writeBigUInt64BE(BigInt(term), at);
    bytes[at + 8] = ENTRY_TYPES.indexOf(type);
    bytes.writeUInt32BE(data.length, at + 9);
    bytes.set(data, at + ENTRY_HEAD_BYTES);
    at += ENTRY_HEAD_BYTES + data.length;
  }
  return bytes;
}

export function encodeSnapshotBlock(announcement: Announcement): Uint8Array {
  const body = Buffer.from(JSON.stringify(announcement));
  const bytes = Buffer.allocUnsafe(HEAD_BYTES + body.length);
  writeHead(bytes, TYPE.snapshot, announcement.chunks);
  bytes.set(body, HEAD_BYTES);
  return bytes;
}

export function encodeNextBlock({ announcedAt, key }: Omit<NextBlock, 'type'>): Uint8Array {
  const bytes = Buffer.allocUnsafe(HEAD_BYTES + 32);
  writeHead(bytes, TYPE.next, announcedAt);
  bytes.set(key, HEAD_BYTES);
  return bytes;
}

function writeHead(bytes: Buffer, type: number, announcedAt: number): void {
  bytes[0] = VERSION;
  bytes[1] = type;
  bytes.writeBigUInt64BE(BigInt(announcedAt), 2);
}

/** Throws MeshError: E_NOT_SUPPORTED for what a newer version wrote, E_STORAGE for what is no block of a feed. */
export function decodeFeedBlock(block: Uint8Array): FeedBlock {
  const bytes = Buffer.from(block.buffer, block.byteOffset, block.byteLength);
  if (bytes.length < HEAD_BYTES) throw damaged('it is too short');
  if ((bytes[0] as number) > VERSION) {
    throw new MeshError(
      'E_NOT_SUPPORTED',
      `the state feed has version ${bytes[0]}, newer than ${VERSION}, the newest this program knows: update meshnomad on this server`,
    );
  }
  const announcedAt = number(bytes, 2);
  const type = bytes[0] === VERSION ? bytes[1] : 0;
  if (type === TYPE.entries) return decodeEntries(bytes, announcedAt);
  if (type === TYPE.snapshot) return { type: 'snapshot', announcedAt, announcement: decodeAnnouncement(bytes) };
  if (type === TYPE.next && bytes.length === HEAD_BYTES + 32) {
    return { type: 'next', announcedAt, key: bytes.subarray(HEAD_BYTES) };
  }
  throw damaged(`it is of type ${bytes[0]}.${bytes[1]}`);
}

function decodeEntries(bytes: Buffer, announcedAt: number): EntriesBlock {
  if (bytes.length < ENTRIES_HEAD_BYTES) throw damaged('it is too short');
  const firstIndex = number(bytes, HEAD_BYTES + 64);
  const count = bytes.readUInt32BE(HEAD_BYTES + 72);
  const entries: Entry[] = [];
  let at = ENTRIES_HEAD_BYTES;
  for (let i = 0; i < count; i++) {
    if (at + ENTRY_HEAD_BYTES > bytes.length) throw damaged('it ends within an entry');
    const type = ENTRY_TYPES[bytes[at + 8] as number];
    const end = at + ENTRY_HEAD_BYTES + bytes.readUInt32BE(at + 9);
    if (type === undefined || end > bytes.length) throw damaged('an entry of it makes no sense');
    entries.push({
      term: number(bytes, at),
      index: firstIndex + i,
      type,
      data: bytes.subarray(at + ENTRY_HEAD_BYTES, end),
    });
    at = end;
  }
  if (count === 0 || at !== bytes.length) throw damaged('it is not filled by its entries');
  const before = bytes.subarray(HEAD_BYTES, HEAD_BYTES + 32);
  return {
    type: 'entries',
    announcedAt,
    before,
    after: bytes.subarray(HEAD_BYTES + 32, HEAD_BYTES + 64),
    firstIndex,
    entries,
  };
}

function decodeAnnouncement(bytes: Buffer): Announcement {
  let said: Partial<Announcement> | null;
  try {
    said = JSON.parse(bytes.toString('utf8', HEAD_BYTES)) as Partial<Announcement> | null;
  } catch {
    throw damaged('its announcement is not readable');
  }
  const { index, term, membership, digest, chunks, bytes: size } = said ?? {};
  const isNumber = (value: unknown): boolean => Number.isSafeInteger(value) && (value as number) >= 0;
  const isIds = (list: unknown): boolean => Array.isArray(list) && list.every((id) => typeof id === 'string');
  const isWhole =
    [index, term, chunks, size].every(isNumber) &&
    [membership?.voters, membership?.learners].every(isIds) &&
    typeof digest === 'string' &&
    /^[0-9a-f]{64}$/.test(digest);
  if (!isWhole) throw damaged('its announcement is not complete');
  return said as Announcement;
}

function number(bytes: Buffer, at: number): number {
  const value = bytes.readBigUInt64BE(at);
  if (value > BigInt(Number.MAX_SAFE_INTEGER)) throw damaged('a number of it is too large');
  return Number(value);
}

function damaged(why: string): MeshError {
  return new MeshError('E_STORAGE', `a block of the state feed cannot be read: ${why}`);
}
