import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Duplex, PassThrough } from 'node:stream';
import type { Entry, SnapshotMeta } from '../../lib/raft/index.js';
import type { Cores } from '../../lib/storage/cores.js';
import { openCores } from '../../lib/storage/cores.js';
import { EntryChain } from '../../lib/storage/entry-chain.js';
import { FeedFollower, type FeedTarget } from '../../lib/storage/feed-follower.js';
import { FeedPublisher } from '../../lib/storage/feed-publisher.js';
import { createLog, type Log, type LogRecord } from '../../lib/util/log.js';

export interface Cleanup {
  teardown(fn: () => unknown): void;
}

export function tempFolder(t: Cleanup, name = 'feed'): string {
  const folder = mkdtempSync(join(tmpdir(), `meshnomad-${name}-`));
  t.teardown(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}

/** A state machine that remembers every command: two of them are equal or they are not. */
export class Diary implements FeedTarget {
  lines: string[] = [];

  apply(entry: Entry): void {
    if (entry.type === 'command') this.lines.push(`${entry.index} ${new TextDecoder().decode(entry.data)}`);
  }

  stream(): () => AsyncIterable<Uint8Array> {
    const captured = JSON.stringify(this.lines);
    return async function* () {
      for (let at = 0; at < captured.length; at += 1000) yield Buffer.from(captured.slice(at, at + 1000));
    };
  }

  async restore(stream: AsyncIterable<Uint8Array>): Promise<void> {
    const pieces: Uint8Array[] = [];
    for await (const piece of stream) pieces.push(piece);
    this.lines = JSON.parse(Buffer.concat(pieces).toString()) as string[];
  }
}

export const MEMBERS = { voters: ['a', 'b', 'c'], learners: [] };

/** What is logged, for a look. */
export function recordedLog(): { log: Log; records: LogRecord[] } {
  const records: LogRecord[] = [];
  return { log: createLog((record) => records.push(record)), records };
}

/** What a voter is to its feed: commands are committed as soon as they are written. */
export class Voter {
  readonly diary = new Diary();
  readonly chain = new EntryChain();
  readonly folder: string;
  term = 1;
  cores!: Cores;
  publisher!: FeedPublisher;
  readonly logged = recordedLog();

  constructor(folder: string) {
    this.folder = folder;
  }

  async open(limits: { segmentBytes?: number } = {}): Promise<this> {
    const { log } = this.logged;
    this.cores = await openCores(join(this.folder, 'cores'), { log });
    this.publisher = await FeedPublisher.open({
      folder: this.folder,
      cores: this.cores,
      node: this.folder,
      chain: this.chain,
      capture: () => ({ meta: this.meta, stream: this.diary.stream() }),
      log,
      limits,
    });
    return this;
  }

  get meta(): SnapshotMeta & { digest: string } {
    const { index, term, digestText } = this.chain;
    return { index, term, membership: MEMBERS, digest: digestText };
  }

  write(text: string, type: Entry['type'] = 'command'): void {
    this.apply({ index: this.chain.index + 1, term: this.term, type, data: new TextEncoder().encode(text) });
  }

  apply(entry: Entry): void {
    this.diary.apply(entry);
    this.chain.applied(entry);
  }

  async close(): Promise<void> {
    await this.publisher.close();
    await this.cores.close();
  }
}

/** A server that holds the state and has no vote. */
export class Standby {
  readonly diary = new Diary();
  readonly chain = new EntryChain();
  readonly logged = recordedLog();
  readonly cores: Cores;
  readonly follower: FeedFollower;

  private constructor(folder: string, cores: Cores) {
    this.cores = cores;
    this.follower = new FeedFollower({
      folder,
      cores,
      target: this.diary,
      chain: this.chain,
      log: this.logged.log,
    });
  }

  static async open(folder: string): Promise<Standby> {
    return new Standby(folder, await openCores(join(folder, 'cores'), { log: recordedLog().log }));
  }

  /** Is told where the voter's feed is. */
  async follow(voter: Voter): Promise<void> {
    await until('the feed to begin', () => voter.publisher.address !== null);
    this.follower.follow(voter.publisher.address);
  }

  async close(): Promise<void> {
    await this.follower.close();
    await this.cores.close();
  }
}

/** Two ends of a pipe. */
export function pipePair(): [Duplex, Duplex] {
  const there = new PassThrough();
  const back = new PassThrough();
  return [Duplex.from({ readable: back, writable: there }), Duplex.from({ readable: there, writable: back })];
}

/** Connects two stores; returns how to cut the connection. */
export function connect(asks: Cores, answers: Cores): () => void {
  const [a, b] = pipePair();
  asks.replicate(a, 'asks');
  answers.replicate(b, 'answers');
  return () => {
    a.destroy();
    b.destroy();
  };
}

/** Waits for a condition; says what it waited for when that does not come. */
export async function until(
  what: string,
  condition: () => boolean | Promise<boolean>,
  limitMs = 60_000,
): Promise<void> {
  const end = performance.now() + limitMs;
  while (!(await condition())) {
    if (performance.now() > end) throw new Error(`waited ${limitMs} ms for ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}
