import { join } from 'node:path';
import type { Entry, LogStore } from '../raft/index.js';
import type { MeshError } from '../structs/errors.js';
import { assert } from '../util/assert.js';
import type { Disk } from './disk.js';
import { nodeDisk, storageError } from './disk.js';
import type { SegmentHeader } from './raft-log-format.js';
import { decodeRecord, encodeBatch, encodeHeader, HEADER_BYTES, payloadOf, recordBytes } from './raft-log-format.js';
import { LogIndex } from './raft-log-index.js';
import type { Segment } from './raft-log-recovery.js';
import { discard, holdsFrom, recoverLog, segmentName } from './raft-log-recovery.js';

/** A new segment begins beyond this size; whole segments are what compaction frees. */
const SEGMENT_BYTES = 16 * 1024 * 1024;
/** Space is filled with zeros this far ahead: a sync then has no new blocks to enter in the file system's journal. */
const FILL_BYTES = 256 * 1024;
/** Entries just written are kept, for they are about to be applied and sent to others. */
const RECENT_BYTES_MAX = 4 * 1024 * 1024;

/** Opens the log in a folder, which is made if need be. Throws MeshError (see recoverLog). */
export async function openRaftLog(
  folder: string,
  options: { disk?: Disk; segmentBytes?: number } = {},
): Promise<LogStore> {
  const { disk = nodeDisk, segmentBytes = SEGMENT_BYTES } = options;
  try {
    disk.makeDir(folder);
    const { index, segments, torn } = recoverLog(disk, folder);
    const log = new SegmentLog({ folder, disk, segmentBytes, index, segments });
    // Records that survived behind a torn one would come to life again behind a new one: a fresh segment voids them.
    if (segments.length === 0 || torn) await log.roll({ firstIndex: index.last + 1, reset: false });
    return log;
  } catch (error) {
    throw storageError('open the raft log in', folder, error);
  }
}

/**
 * The log as segment files. A refused write leaves the log as it was: `repair` goes on in a new segment which takes
 * precedence over whatever the failed write left, for after a failed sync the page cache may show what no disk holds.
 */
class SegmentLog implements LogStore {
  readonly #folder: string;
  readonly #disk: Disk;
  readonly #segmentBytes: number;
  readonly #filling: Uint8Array;
  #index: LogIndex;
  #segments: Segment[];
  #recent: Entry[] = [];
  #recentBytes = 0;
  #broken: MeshError | null = null;
  #sequence: number;
  /** A reset has begun and is not durable yet: the next segment must make everything before it void. */
  #resetting = false;
  /** A write is under way: there is one at a time. */
  #busy = false;

  constructor(parts: { folder: string; disk: Disk; segmentBytes: number; index: LogIndex; segments: Segment[] }) {
    this.#folder = parts.folder;
    this.#disk = parts.disk;
    this.#segmentBytes = parts.segmentBytes;
    this.#filling = new Uint8Array(Math.min(FILL_BYTES, parts.segmentBytes));
    this.#index = parts.index;
    this.#segments = parts.segments;
    this.#sequence = parts.segments.at(-1)?.sequence ?? 0;
  }

  firstIndex(): number {
    return this.#index.first;
  }
  lastIndex(): number {
    return this.#index.last;
  }
  term(index: number): number | undefined {
    return this.#index.term(index);
  }
  configIndexes(): readonly number[] {
    return this.#index.configs;
  }

  entries(from: number, to: number, bytesMax: number): readonly Entry[] {
    assert(from >= this.#index.first && to <= this.#index.last, `raft log: entries ${from} to ${to} are not there`);
    const recentFrom = this.#index.last + 1 - this.#recent.length;
    const found: Entry[] = [];
    let bytes = 0;
    let index = from;
    while (index <= to) {
      const portion: readonly Entry[] =
        index >= recentFrom
          ? this.#recent.slice(index - recentFrom, to - recentFrom + 1)
          : this.#readFrom(index, Math.min(to, recentFrom - 1), bytesMax - bytes);
      for (const entry of portion) {
        bytes += entry.data.length;
        if (bytes > bytesMax && found.length > 0) return found;
        found.push(entry);
      }
      index += portion.length;
    }
    return found;
  }

  /** Reads entries that lie one after the other in one segment: at least one, then up to `bytesMax`. */
  #readFrom(from: number, to: number, bytesMax: number): Entry[] {
    const first = this.#index.place(from);
    let end = first.position + recordBytes(first.length);
    let last = from;
    while (last < to) {
      const next = this.#index.place(last + 1);
      if (next.segment !== first.segment || next.position !== end) break;
      if (end + recordBytes(next.length) - first.position > bytesMax) break;
      end += recordBytes(next.length);
      last++;
    }
    const segment = this.#segments.find(({ sequence }) => sequence === first.segment);
    assert(segment !== undefined, `raft log: segment ${first.segment} is open`);
    const bytes = new Uint8Array(end - first.position);
    try {
      segment.file.read(bytes, first.position);
    } catch (error) {
      throw storageError('read', segment.path, error);
    }
    const found: Entry[] = [];
    for (let at = 0, index = from; index <= last; index++) {
      const record = decodeRecord(bytes, at);
      if (record?.index !== index) {
        throw storageError('read', segment.path, new Error(`entry ${index} has become unreadable; check the disk`));
      }
      found.push({ term: record.term, index, type: record.type, data: payloadOf(bytes, record) });
      at += recordBytes(record.length);
    }
    return found;
  }

  async append(entries: readonly Entry[]): Promise<void> {
    const first = entries[0];
    if (first === undefined) return;
    assert(
      first.index <= this.#index.last + 1 && first.index > this.#index.first - 1,
      'raft log: entries leave no gap',
    );
    await this.#exclusively('write', async () => {
      if (first.index <= this.#index.last) await this.roll({ firstIndex: first.index, reset: false });
      else if (this.#active.end >= this.#segmentBytes) await this.roll({ firstIndex: first.index, reset: false });
      const segment = this.#active;
      const batch = encodeBatch(entries);
      segment.file.write(batch, segment.end);
      this.#fillAhead(segment, segment.end + batch.length);
      await segment.file.sync();
      for (const { term, type, data } of entries) {
        const place = { segment: segment.sequence, position: segment.end, length: data.length, term, type };
        this.#index.push(place);
        segment.end += recordBytes(data.length);
      }
    });
    this.#remember(entries);
  }

  get #active(): Segment {
    const active = this.#segments.at(-1);
    assert(active !== undefined, 'raft log: there is always a segment to write to');
    return active;
  }

  #fillAhead(segment: Segment, end: number): void {
    if (end <= segment.filledTo) return;
    segment.file.write(this.#filling, end);
    segment.filledTo = end + this.#filling.length;
  }

  #remember(entries: readonly Entry[]): void {
    for (const entry of entries) {
      this.#recent.push(entry);
      this.#recentBytes += entry.data.length;
    }
    if (this.#recentBytes <= RECENT_BYTES_MAX) return;
    // The older half goes in one piece: shifting one by one would move the array each time.
    let gone = 0;
    while (this.#recentBytes > RECENT_BYTES_MAX / 2 && gone < this.#recent.length - entries.length) {
      this.#recentBytes -= this.#recent[gone]?.data.length ?? 0;
      gone++;
    }
    this.#recent = this.#recent.slice(gone);
  }

  /**
   * Begins a new segment: what earlier ones hold from its first index on is void. That is so from the moment its name
   * may be on disk, hence memory forgets first: should this fail half-way, the next segment takes over at the same place.
   */
  async roll(options: { firstIndex: number; reset: boolean; prevTerm?: number }): Promise<void> {
    const { firstIndex, prevTerm = this.#index.term(firstIndex - 1) ?? 0 } = options;
    this.#resetting ||= options.reset;
    this.#forget({ firstIndex, prevTerm, reset: options.reset });
    const header = { firstIndex, prevTerm, reset: this.#resetting };
    const sequence = ++this.#sequence;
    const path = join(this.#folder, segmentName(sequence));
    const file = this.#disk.open(`${path}.tmp`, 'create');
    try {
      file.write(encodeHeader(header), 0);
      file.write(this.#filling, HEADER_BYTES);
      await file.sync();
      this.#disk.rename(`${path}.tmp`, path);
      await this.#disk.syncDir(this.#folder);
    } catch (error) {
      file.close();
      this.#tryRemove(`${path}.tmp`);
      throw error;
    }
    this.#resetting = false;
    this.#segments.push({
      sequence,
      path,
      file,
      header,
      end: HEADER_BYTES,
      filledTo: HEADER_BYTES + this.#filling.length,
    });
  }

  /** An attempt that failed for want of space must not take what is left of it. */
  #tryRemove(path: string): void {
    try {
      this.#disk.remove(path);
    } catch {
      // Removed when the log is opened again.
    }
  }

  #forget({ firstIndex, prevTerm, reset }: SegmentHeader): void {
    const kept = reset ? 0 : firstIndex - (this.#index.last + 1 - this.#recent.length);
    if (reset) this.#index = new LogIndex({ index: firstIndex - 1, term: prevTerm });
    else this.#index.truncateFrom(firstIndex);
    this.#forgetRecent(kept);
  }

  /** Keeps the oldest `kept` of the recent entries. */
  #forgetRecent(kept: number): void {
    if (kept >= this.#recent.length) return;
    this.#recent = this.#recent.slice(0, Math.max(0, kept));
    this.#recentBytes = this.#recent.reduce((sum, { data }) => sum + data.length, 0);
  }

  async compact(index: number): Promise<void> {
    try {
      // All at once and nowhere near the end of the log, so a write may be under way meanwhile.
      const keep = Math.max(0, this.#index.last - index);
      this.#index.compactTo(index);
      if (this.#recent.length > keep) {
        this.#recent = this.#recent.slice(this.#recent.length - keep);
        this.#recentBytes = this.#recent.reduce((sum, { data }) => sum + data.length, 0);
      }
      this.#removeVoid();
    } catch (error) {
      throw storageError('compact the raft log in', this.#folder, error);
    }
  }

  async reset(boundary: { index: number; term: number }): Promise<void> {
    await this.#exclusively('reset', async () => {
      await this.roll({ firstIndex: boundary.index + 1, prevTerm: boundary.term, reset: true });
      this.#removeVoid();
    });
  }

  /** Removes segments of which nothing is needed, oldest first: a crash between leaves no hole. */
  #removeVoid(): void {
    const all = this.#segments;
    for (const [i, segment] of all.entries()) {
      const later = all.slice(i + 1);
      if (later.length === 0 || holdsFrom(segment, later, this.#index.first)) continue;
      discard(this.#disk, segment);
      this.#segments = this.#segments.filter((kept) => kept !== segment);
    }
  }

  async repair(): Promise<void> {
    if (this.#broken === null) return;
    try {
      await this.roll({ firstIndex: this.#index.last + 1, reset: false });
      this.#broken = null;
    } catch (error) {
      throw storageError('repair the raft log in', this.#folder, error);
    }
  }

  /** One write at a time, none after a failure: what the disk then holds is unknown until repair() went around it. */
  async #exclusively(doing: string, work: () => Promise<void>): Promise<void> {
    if (this.#broken !== null) throw this.#broken;
    assert(!this.#busy, 'raft log: one write at a time');
    this.#busy = true;
    try {
      await work();
    } catch (error) {
      this.#broken = storageError(`${doing} the raft log in`, this.#folder, error);
      throw this.#broken;
    } finally {
      this.#busy = false;
    }
  }

  async close(): Promise<void> {
    this.#broken ??= storageError('write', this.#folder, new Error('the log is closed'));
    for (const segment of this.#segments) segment.file.close();
    this.#segments = [];
  }
}
