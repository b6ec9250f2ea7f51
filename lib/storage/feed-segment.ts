import { setImmediate } from 'node:timers/promises';
import type { Entry, SnapshotMeta } from '../raft/index.js';
import { MeshError } from '../structs/errors.js';
import type { Core, Cores } from './cores.js';
import type { Announcement, FeedBlock } from './feed-format.js';
import {
  decodeFeedBlock,
  encodeEntriesBlock,
  encodeNextBlock,
  encodeSnapshotBlock,
  entryBytes,
} from './feed-format.js';
import type { FeedRecord } from './feed-record.js';

/** Small records share a block: each costs a signature and a round of its own. */
const BLOCK_BYTES = 64 * 1024;
/** Appended at once: then others get a turn. */
const BATCH_BLOCKS = 16;

/** An applied entry and the digest of everything up to it. */
export interface Applied {
  readonly entry: Entry;
  readonly digest: Uint8Array;
}

/** A state as it was at an index. The stream reads what was captured, later. */
export interface CapturedState {
  readonly meta: SnapshotMeta & { readonly digest: string };
  readonly stream: () => AsyncIterable<Uint8Array>;
}

/** How far a feed has come. */
export interface FeedPosition {
  readonly index: number;
  readonly digest: Uint8Array;
}

/** The own segment that is written to: a snapshot, and the entries after it. */
export class Segment {
  readonly number: number;
  readonly announcement: Announcement;
  readonly #core: Core;
  #position: FeedPosition;

  private constructor(number: number, parts: { core: Core; announcement: Announcement; position: FeedPosition }) {
    this.number = number;
    this.announcement = parts.announcement;
    this.#core = parts.core;
    this.#position = parts.position;
  }

  /** Begins a segment with a state. Rejects when the disk does not take it. */
  static async create(cores: Cores, record: FeedRecord, number: number, state: CapturedState): Promise<Segment> {
    const core = await own(cores, record, number);
    // The remains of an attempt that failed: the same number again would be a forgery.
    if (core.length > 0) throw new MeshError('E_STORAGE', `segment ${number} of the state feed was begun before`);
    const { index, term, membership, digest } = state.meta;
    let bytes = 0;
    let batch: Uint8Array[] = [];
    for await (const chunk of blocksOf(state.stream())) {
      bytes += chunk.length;
      batch.push(chunk);
      if (batch.length < BATCH_BLOCKS) continue;
      await core.append(batch);
      batch = [];
      await setImmediate();
    }
    if (batch.length > 0) await core.append(batch);
    const announcement = { index, term, membership, digest, chunks: core.length, bytes };
    await core.append([encodeSnapshotBlock(announcement)]);
    return new Segment(number, { core, announcement, position: positionOf(announcement) });
  }

  /** Goes on with a segment. Null when there is none; rejects with E_STORAGE when it is not whole, or done. */
  static async open(cores: Cores, record: FeedRecord): Promise<Segment | null> {
    const number = record.segment;
    if (number === 0) return null;
    const core = await own(cores, record, number);
    const block = async (at: number): Promise<FeedBlock> => {
      const bytes = at < 0 ? null : await core.local(at);
      if (bytes === null) throw new MeshError('E_STORAGE', `block ${at} of segment ${number} is missing`);
      return decodeFeedBlock(bytes);
    };
    const last = await block(core.length - 1);
    const announced = await block(last.announcedAt);
    if (announced.type !== 'snapshot' || last.type === 'next') {
      throw new MeshError('E_STORAGE', `segment ${number} cannot be gone on with`);
    }
    const { announcement } = announced;
    if (last.type === 'snapshot')
      return new Segment(number, { core, announcement, position: positionOf(announcement) });
    const position = { index: last.firstIndex + last.entries.length - 1, digest: last.after };
    return new Segment(number, { core, announcement, position });
  }

  /** Where the entries end. */
  get position(): FeedPosition {
    return this.#position;
  }
  get key(): Uint8Array {
    return this.#core.key;
  }
  get blocks(): number {
    return this.#core.length;
  }

  /** Appends entries; those that it has already are passed over. Returns the bytes. Rejects when they leave a gap. */
  async append(applied: readonly Applied[]): Promise<number> {
    const fresh = applied.filter(({ entry }) => entry.index > this.#position.index);
    if (fresh[0] !== undefined && fresh[0].entry.index !== this.#position.index + 1) {
      throw new MeshError('E_STORAGE', `entry ${this.#position.index + 1} is missing`);
    }
    const announcedAt = this.announcement.chunks;
    let bytes = 0;
    let batch: Uint8Array[] = [];
    let position = this.#position;
    for (const run of cutIntoBlocks(fresh)) {
      const entries = run.map(({ entry }) => entry);
      const { digest, entry } = run.at(-1) as Applied;
      const firstIndex = position.index + 1;
      const block = encodeEntriesBlock({ announcedAt, before: position.digest, after: digest, firstIndex, entries });
      position = { index: entry.index, digest };
      batch.push(block);
      bytes += block.length;
      if (batch.length < BATCH_BLOCKS) continue;
      await this.#core.append(batch);
      this.#position = position;
      batch = [];
      await setImmediate();
    }
    if (batch.length > 0) await this.#core.append(batch);
    this.#position = position;
    return bytes;
  }

  /** Tells those who read this segment where it goes on. */
  async end(next: Segment): Promise<void> {
    await this.#core.append([encodeNextBlock({ announcedAt: this.announcement.chunks, key: next.key })]);
  }

  async close(): Promise<void> {
    await this.#core.close();
  }
}

/** Gives back the place of a segment that nobody shall read any more. */
export async function dropSegment(cores: Cores, record: FeedRecord, number: number): Promise<void> {
  if (number < 1) return;
  const core = await own(cores, record, number);
  await core.clear(0, core.length);
  await core.close();
}

function own(cores: Cores, { generation, secret }: FeedRecord, number: number): Promise<Core> {
  return cores.own(`feed-${generation}-${number}`, secret);
}

function positionOf({ index, digest }: Announcement): FeedPosition {
  return { index, digest: Buffer.from(digest, 'hex') };
}

/** Pieces of any size as blocks of one size. */
async function* blocksOf(stream: AsyncIterable<Uint8Array>): AsyncIterable<Uint8Array> {
  let gathered: Uint8Array[] = [];
  let size = 0;
  for await (const piece of stream) {
    for (let at = 0; at < piece.length; ) {
      const part = piece.subarray(at, at + BLOCK_BYTES - size);
      gathered.push(part);
      size += part.length;
      at += part.length;
      if (size < BLOCK_BYTES) continue;
      yield Buffer.concat(gathered);
      gathered = [];
      size = 0;
    }
  }
  if (size > 0) yield Buffer.concat(gathered);
}

function* cutIntoBlocks(applied: readonly Applied[]): Iterable<readonly Applied[]> {
  let from = 0;
  let bytes = 0;
  for (let i = 0; i < applied.length; i++) {
    const size = entryBytes((applied[i] as Applied).entry);
    if (i > from && bytes + size > BLOCK_BYTES) {
      yield applied.slice(from, i);
      from = i;
      bytes = 0;
    }
    bytes += size;
  }
  if (from < applied.length) yield applied.slice(from);
}
