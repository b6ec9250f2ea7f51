import { randomBytes } from 'node:crypto';
import { mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { bootId } from './lock.js';

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
  boot: string;
  closed: boolean;
}

/**
 * Takes up the feed of a folder. Hypercore does not sync: after a power cut blocks may be missing that others have copied
 * already, and other blocks in their places would be a forgery. So unless the feed was closed, or the machine has not been
 * started anew since, the next generation begins.
 */
export function takeUpFeed(folder: string): FeedRecord {
  const stored = read(folder);
  const isSound = stored !== null && (stored.closed || (stored.boot !== '' && stored.boot === bootId()));
  const record = isSound
    ? { ...stored, secret: Buffer.from(stored.secret, 'hex') }
    : nextGeneration(stored?.generation ?? 0);
  write(folder, record, false);
  return record;
}

/** Whether there is a feed in the folder that somebody may follow. */
export function hasFeed(folder: string): boolean {
  return (read(folder)?.segment ?? 0) > 0;
}

/** A new generation with a secret of its own, written down. */
export function beginFeed(folder: string, after: FeedRecord): FeedRecord {
  const record = nextGeneration(after.generation);
  write(folder, record, false);
  return record;
}

/** Writes down what has changed. */
export function noteFeed(folder: string, record: FeedRecord): void {
  write(folder, record, false);
}

/** Nothing is under way any more: what is there may be trusted at the next start. */
export function closeFeed(folder: string, record: FeedRecord): void {
  write(folder, record, true);
}

function nextGeneration(generation: number): FeedRecord {
  return { generation: generation + 1, segment: 0, before: null, secret: randomBytes(32) };
}

function read(folder: string): Stored | null {
  try {
    const stored = JSON.parse(readFileSync(join(folder, NAME), 'utf8')) as Stored;
    const isWhole = stored.v === 1 && stored.generation > 0 && Number.isSafeInteger(stored.segment);
    return isWhole && /^[0-9a-f]{64}$/.test(stored.secret) ? stored : null;
  } catch {
    // Not there, or damaged: a new feed begins, and nothing that counts is lost.
    return null;
  }
}

function write(folder: string, { generation, segment, before, secret }: FeedRecord, closed: boolean): void {
  const key = Buffer.from(secret).toString('hex');
  const stored: Stored = { v: 1, generation, segment, before, secret: key, boot: bootId(), closed };
  const path = join(folder, NAME);
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  rmSync(`${path}.tmp`, { force: true });
  writeFileSync(`${path}.tmp`, JSON.stringify(stored), { mode: 0o600 });
  renameSync(`${path}.tmp`, path);
}
