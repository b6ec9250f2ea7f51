import { randomBytes } from 'node:crypto';
import type { Disk } from './disk.js';
import { nodeDisk } from './disk.js';
import { readSmallFile, replaceSmallFile } from './small-file.js';

export interface KeptSegment {
  readonly number: number;
  readonly key: string;
  /** Of its snapshot. */
  readonly index: number;
}

/** Which cores a feed is made of, and whether they can be trusted to be as they were left. */
export interface FeedRecord {
  /** Names the cores; another one means other cores. */
  readonly generation: number;
  /** The segment that is written to; 0 before the first. */
  readonly segment: number;
  /** The one before it, which is kept. */
  readonly before: KeptSegment | null;
  /** Encrypts the blocks; only servers are told. */
  readonly secret: Uint8Array;
}

const NAME = 'feed.json';

interface Stored {
  v: 1;
  generation: number;
  segment: number;
  before: KeptSegment | null;
  secret: string;
  /** Where it was written: in a copy it is another. Former versions wrote none, and synced nothing either. */
  place?: string;
  closed: boolean;
}

/**
 * Takes up the feed of a folder. Hypercore does not sync: when the power or the disk went away, blocks may be missing that others have
 * copied already, and other blocks in their places would be a forgery. So unless the feed was closed, with all of it synced, and lies
 * where it was closed, the next generation begins, which is durable when this resolves: nothing is published under a name that could
 * be given again. `stale`: the generation before, when its place is to be given back. Rejects when the disk does not take it.
 */
export async function takeUpFeed(
  folder: string,
  disk: Disk = nodeDisk,
): Promise<{ record: FeedRecord; stale: FeedRecord | null }> {
  const stored = read(folder, disk);
  const before = stored === null ? null : { ...stored, secret: Buffer.from(stored.secret, 'hex') };
  const goesOn = stored !== null && isSound(stored, folder, disk);
  const record = goesOn && before !== null ? before : nextGeneration(before?.generation ?? 0);
  await write(folder, record, { closed: false, disk });
  return { record, stale: goesOn ? null : before };
}

const isSound = ({ closed, place }: Stored, folder: string, disk: Disk): boolean =>
  closed && place === placeOf(folder, disk);

/** The feed in the folder: one to go on with, for somebody may follow it; one that can only be given back; or none. */
export function feedIn(folder: string): 'sound' | 'stale' | 'none' {
  const stored = read(folder, nodeDisk);
  if (stored === null || stored.segment === 0) return 'none';
  return isSound(stored, folder, nodeDisk) ? 'sound' : 'stale';
}

/** A new generation with a secret of its own, written down durably. */
export async function beginFeed(folder: string, after: FeedRecord): Promise<FeedRecord> {
  const record = nextGeneration(after.generation);
  await write(folder, record, { closed: false, disk: nodeDisk });
  return record;
}

/** Writes down what has changed. */
export function noteFeed(folder: string, record: FeedRecord): Promise<void> {
  return write(folder, record, { closed: false, disk: nodeDisk });
}

/** Nothing is under way any more and all of it is synced: what is there may be trusted at the next start. */
export function closeFeed(folder: string, record: FeedRecord): Promise<void> {
  return write(folder, record, { closed: true, disk: nodeDisk });
}

function nextGeneration(generation: number): FeedRecord {
  return { generation: generation + 1, segment: 0, before: null, secret: randomBytes(32) };
}

function read(folder: string, disk: Disk): Stored | null {
  try {
    const stored = JSON.parse(readSmallFile(disk, folder, NAME) ?? '') as Stored;
    const isWhole = stored.v === 1 && stored.generation > 0 && Number.isSafeInteger(stored.segment);
    return isWhole && /^[0-9a-f]{64}$/.test(stored.secret) ? stored : null;
  } catch {
    // Not there, or damaged: a new feed begins, and nothing that counts is lost.
    return null;
  }
}

async function write(
  folder: string,
  { generation, segment, before, secret }: FeedRecord,
  { closed, disk }: { closed: boolean; disk: Disk },
): Promise<void> {
  disk.makeDir(folder);
  const key = Buffer.from(secret).toString('hex');
  const stored: Stored = { v: 1, generation, segment, before, secret: key, place: placeOf(folder, disk), closed };
  await replaceSmallFile(disk, folder, NAME, JSON.stringify(stored));
}

function placeOf(folder: string, disk: Disk): string {
  return disk.place?.(folder) ?? '';
}
