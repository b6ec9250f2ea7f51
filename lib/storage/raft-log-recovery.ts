import { join } from 'node:path';
import { MeshError } from '../structs/errors.js';
import type { Disk, DiskFile } from './disk.js';
import type { SegmentHeader } from './raft-log-format.js';
import { decodeHeader, decodeRecord, HEADER_BYTES, inspectTail, recordBytes } from './raft-log-format.js';
import { LogIndex } from './raft-log-index.js';

/** A segment file that is open. */
export interface Segment {
  readonly sequence: number;
  readonly path: string;
  readonly file: DiskFile;
  readonly header: SegmentHeader;
  /** Where the next record goes. */
  end: number;
  /** Up to here the file is filled with zeros, so that a write changes no metadata. */
  filledTo: number;
}

export interface Recovered {
  readonly index: LogIndex;
  /** In order of age. */
  readonly segments: Segment[];
  /** The newest segment ends in the remains of an interrupted write: nothing may be written behind them. */
  readonly torn: boolean;
}

const NAME = /^log-(\d{10})\.seg$/;

export function segmentName(sequence: number): string {
  return `log-${String(sequence).padStart(10, '0')}.seg`;
}

/**
 * Reads the segments of a folder, oldest first. A later segment takes precedence: from its first index on it replaces
 * what earlier ones hold. Throws MeshError when an acknowledged entry is missing or damaged.
 */
export function recoverLog(disk: Disk, folder: string): Recovered {
  for (const name of disk.list(folder)) if (name.endsWith('.tmp')) disk.remove(join(folder, name));
  const names = disk.list(folder).filter((name) => NAME.test(name));
  const found = names.sort().map((name) => openSegment(disk, join(folder, name), Number(NAME.exec(name)?.[1])));
  const segments = found.filter((segment, i) => {
    const isVoid = found[i + 1] !== undefined && !holdsFrom(segment, found.slice(i + 1), 0);
    if (isVoid) discard(disk, segment);
    return !isVoid;
  });
  const { firstIndex = 1, prevTerm = 0 } = segments[0]?.header ?? {};
  const index = new LogIndex({ index: firstIndex - 1, term: prevTerm });
  let torn = false;
  for (const [i, segment] of segments.entries()) {
    const { firstIndex: from } = segment.header;
    if (from > index.last + 1) throw damaged(segment.path, index.last + 1, 'the segments before this one lack it');
    index.truncateFrom(from);
    const limit = takenOverAt(segments.slice(i + 1));
    torn = readSegment(segment, index, limit);
  }
  return { index, segments, torn };
}

function openSegment(disk: Disk, path: string, sequence: number): Segment {
  const file = disk.open(path, 'change');
  const head = new Uint8Array(HEADER_BYTES);
  const read = file.read(head, 0);
  const header = decodeHeader(head.subarray(0, read), path);
  return { sequence, path, file, header, end: HEADER_BYTES, filledTo: file.size() };
}

/** The first index that a later segment takes over; Infinity for the newest segment. */
function takenOverAt(later: readonly Segment[]): number {
  return Math.min(...later.map(({ header }) => header.firstIndex));
}

/** Whether a segment holds entries at or above `first` that no later segment has made void. */
export function holdsFrom(segment: Segment, later: readonly Segment[], first: number): boolean {
  const limit = takenOverAt(later);
  return limit > first && limit > segment.header.firstIndex && !later.some(({ header }) => header.reset);
}

/** Closes and removes a segment file. */
export function discard(disk: Disk, segment: Segment): void {
  segment.file.close();
  disk.remove(segment.path);
}

/** Adds a segment's records below `limit` to the index; returns whether an interrupted write follows them. */
function readSegment(segment: Segment, index: LogIndex, limit: number): boolean {
  const bytes = new Uint8Array(segment.file.size());
  segment.file.read(bytes, 0);
  while (index.last + 1 < limit) {
    const expected = index.last + 1;
    const record = decodeRecord(bytes, segment.end);
    if (record === undefined || record.index !== expected) break;
    if (record.term < (index.term(expected - 1) ?? 0)) throw damaged(segment.path, expected, 'its term goes back');
    const { length, term, type, position } = record;
    index.push({ segment: segment.sequence, position, length, term, type });
    segment.end += recordBytes(length);
  }
  if (limit !== Number.POSITIVE_INFINITY) {
    // What lies behind the limit is void; what lies before it was durable when the later segment began.
    if (index.last + 1 < limit) throw damaged(segment.path, index.last + 1, 'later segments follow');
    return false;
  }
  const tail = inspectTail(bytes, segment.end, index.last + 1);
  if (tail.kind === 'damaged') throw damaged(segment.path, index.last + 1, `entry ${tail.found} follows it undamaged`);
  return tail.kind === 'torn';
}

function damaged(path: string, index: number, why: string): MeshError {
  return new MeshError(
    'E_STORAGE',
    `entry ${index} of the raft log is damaged in ${path} (${why}): it was acknowledged once, so it is not cut off ` +
      'silently; restore the data directory from a backup or let this server join anew, and check the disk',
  );
}
