import { MeshError } from '../structs/errors.js';
import type { FeedAddress } from '../structs/rpc-feed.js';
import { assert } from '../util/assert.js';
import type { Log } from '../util/log.js';
import type { Cores } from './cores.js';
import type { EntryChain } from './entry-chain.js';
import { entryBytes } from './feed-format.js';
import type { FeedRecord, KeptSegment } from './feed-record.js';
import { beginFeed, closeFeed, noteFeed, takeUpFeed } from './feed-record.js';
import type { Applied, CapturedState } from './feed-segment.js';
import { dropSegment, Segment } from './feed-segment.js';

/** Entries wait so long for company. */
const FLUSH_MS = 20;
/** So much at once goes out without waiting. */
const FLUSH_BYTES = 64 * 1024;
/** When more waits, the disk does not keep up: it is let go, and a snapshot takes its place. */
const WAITING_BYTES_MAX = 64 * 1024 * 1024;
/** Larger ones do not fit into a block; a snapshot carries them. */
const ENTRY_BYTES_MAX = 8 * 1024 * 1024;
/** Entries of so many bytes between two snapshots, or as much as the last one has if that is more: as for raft's own. */
const SEGMENT_BYTES = 8 * 1024 * 1024;
const RETRY_MS = 2000;

export interface FeedPublisherOptions {
  /** For the record of which cores are its own. */
  readonly folder: string;
  readonly cores: Cores;
  /** This server's id. */
  readonly node: string;
  /** What this server applies. */
  readonly chain: EntryChain;
  /** The state as it is now, at chain.index; called synchronously. */
  readonly capture: () => CapturedState;
  readonly log: Log;
  readonly limits?: { readonly segmentBytes?: number };
}

/** What an operator may want to know. */
export interface FeedStats {
  /** Entries up to here are in the feed. */
  readonly publishedIndex: number;
  readonly waitingBytes: number;
  readonly segment: number;
  readonly blocks: number;
  readonly snapshotIndex: number;
}

/** Applied entries on their way into a segment. */
class Queue {
  #entries: Applied[] = [];
  bytes = 0;

  get isEmpty(): boolean {
    return this.#entries.length === 0;
  }

  push(applied: Applied): void {
    this.#entries.push(applied);
    this.bytes += entryBytes(applied.entry);
  }

  takeAll(): readonly Applied[] {
    const all = this.#entries;
    this.#entries = [];
    this.bytes = 0;
    return all;
  }
}

/**
 * Publishes what this server applies: committed entries, and from time to time a snapshot, with which a new segment begins.
 * Everything happens behind the back of whoever applies; nothing is ever acknowledged on the strength of it. What fails is
 * tried again, and what is lost or wrong is begun anew with a snapshot. Two segments are kept.
 */
export class FeedPublisher {
  readonly #options: FeedPublisherOptions;
  readonly #stopListening: () => void;
  #record: FeedRecord;
  /** Null: what comes has nothing to follow on. */
  #segment: Segment | null;
  /** One that cannot be gone on with; its readers are to be told where the next is. */
  #broken: Segment | null = null;
  readonly #waiting = new Queue();
  /** A segment that is being begun, and what was applied since its state was captured. */
  #coming: { segment: Segment | null; readonly since: Queue; isVoid: boolean } | null = null;
  #creating: Promise<void> = Promise.resolve();
  #bytes = 0;
  #pump: Promise<void> | null = null;
  #timer: NodeJS.Timeout | undefined;
  #closed = false;

  /** Opens the feed of this server and goes on with it. Entries applied from the call on are in it. */
  static async open(options: FeedPublisherOptions): Promise<FeedPublisher> {
    const { chain, cores, folder, log } = options;
    // From now on nothing is missed, however long the cores take to open.
    const since = { index: chain.index, digest: chain.digest };
    const heard: Applied[] = [];
    const stop = chain.listen((entry, digest) => heard.push({ entry, digest }));
    let record: FeedRecord;
    let segment: Segment | null = null;
    try {
      const taken = await takeUpFeed(folder);
      record = taken.record;
      if (taken.stale !== null) await dropAll(cores, taken.stale).catch(() => {});
    } catch (error) {
      stop();
      throw error;
    }
    try {
      segment = await Segment.open(cores, record);
      const end = segment?.position;
      if (end?.index === since.index && Buffer.compare(end.digest, since.digest) !== 0) {
        throw new MeshError('E_STORAGE', `it does not agree with the state at index ${since.index}`);
      }
    } catch (error) {
      log.error('the state feed cannot be used and is begun anew', { error: (error as Error).message });
      await dropAll(cores, record).catch(() => {});
      record = await beginFeed(folder, record);
      segment = null;
    } finally {
      stop();
    }
    return new FeedPublisher(options, { record, segment, heard, since: since.index });
  }

  private constructor(
    options: FeedPublisherOptions,
    opened: { record: FeedRecord; segment: Segment | null; heard: readonly Applied[]; since: number },
  ) {
    const { record, segment, heard, since } = opened;
    this.#options = options;
    this.#record = record;
    // What was applied between its end and now is not told again: then a new segment begins.
    this.#segment = segment !== null && segment.position.index >= since ? segment : null;
    for (const applied of heard) this.#take(applied);
    this.#stopListening = options.chain.listen((entry, digest) => this.#take({ entry, digest }));
    if (this.#segment === null) this.#wake(0);
  }

  /** Null until the first segment is there. */
  get address(): FeedAddress | null {
    if (this.#segment === null) return null;
    const kept = [keptSegment(this.#segment)];
    if (this.#record.before !== null) kept.push(this.#record.before);
    const Segments = kept.map(({ key, index }) => ({ Key: key, Index: index }));
    return { Node: this.#options.node, Secret: hex(this.#record.secret), Segments };
  }

  stats(): FeedStats {
    return {
      publishedIndex: this.#segment?.position.index ?? 0,
      waitingBytes: this.#waiting.bytes,
      segment: this.#segment?.number ?? 0,
      blocks: this.#segment?.blocks ?? 0,
      snapshotIndex: this.#segment?.announcement.index ?? 0,
    };
  }

  /** In the course of applying: it must cost next to nothing. */
  #take(applied: Applied): void {
    if (this.#segment !== null) this.#waiting.push(applied);
    this.#coming?.since.push(applied);
    const bytes = Math.max(this.#waiting.bytes, this.#coming?.since.bytes ?? 0);
    if (applied.entry.data.length > ENTRY_BYTES_MAX || bytes > WAITING_BYTES_MAX) this.#letGo();
    this.#wake(bytes >= FLUSH_BYTES ? 0 : FLUSH_MS);
  }

  /** What waits is given up; the next segment begins after it. */
  #letGo(): void {
    const old = this.#segment;
    if (old !== null) this.#retire(old);
    this.#segment = null;
    this.#waiting.takeAll();
    this.#coming?.since.takeAll();
    if (this.#coming !== null) this.#coming.isVoid = true;
    if (old === null) return;
    void this.#broken?.close().catch(() => {});
    this.#broken = old;
  }

  #wake(ms: number): void {
    if (this.#pump !== null || this.#closed || (this.#timer !== undefined && ms > 0)) return;
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => {
      this.#timer = undefined;
      this.#run();
    }, ms);
    this.#timer.unref();
  }

  #run(): void {
    if (this.#pump !== null) return;
    this.#pump = this.#work()
      .then(
        () => FLUSH_MS,
        (error: Error) => {
          this.#options.log.warn('the state feed could not be written, it is tried again', { error: error.message });
          // How much of it was written is not known: a snapshot makes sure.
          this.#letGo();
          return RETRY_MS;
        },
      )
      .then((pauseMs) => {
        this.#pump = null;
        if (this.#hasWork) this.#wake(pauseMs);
      });
  }

  get #hasWork(): boolean {
    return !this.#waiting.isEmpty || this.#coming?.segment != null || (this.#segment === null && this.#coming === null);
  }

  async #work(): Promise<void> {
    while (this.#hasWork && !this.#closed) {
      if (this.#segment !== null && !this.#waiting.isEmpty) await this.#publish(this.#segment);
      if (this.#coming?.segment != null) await this.#changeTo(this.#coming.segment, this.#coming);
      const isNeeded = this.#segment === null || this.#isDue(this.#segment);
      // While a snapshot takes the place of the state there is none to capture.
      if (this.#coming === null && isNeeded && !this.#options.chain.isBeingReplaced) this.#begin();
      // Small records are to find company.
      if (this.#waiting.bytes < FLUSH_BYTES && this.#coming?.segment == null) return;
    }
  }

  async #publish(segment: Segment): Promise<void> {
    const applied = this.#waiting.takeAll();
    const end = segment.position;
    // After a restart entries come again that are published already: the last of them must be the one that was published.
    const known = applied.find(({ entry }) => entry.index === end.index);
    if (known !== undefined && Buffer.compare(known.digest, end.digest) !== 0) {
      const { log, folder, cores } = this.#options;
      log.error('the state feed does not agree with the raft log and is begun anew', { index: end.index });
      this.#letGo();
      // Nobody is led from there to here: what they have is wrong.
      this.#broken = null;
      await segment.close();
      await dropAll(cores, this.#record);
      this.#record = await beginFeed(folder, this.#record);
      return;
    }
    this.#bytes += await segment.append(applied);
  }

  #isDue({ announcement }: Segment): boolean {
    return this.#bytes >= Math.max(this.#options.limits?.segmentBytes ?? SEGMENT_BYTES, announcement.bytes);
  }

  /** Captures the state and writes it into a new segment, while the present one goes on. */
  #begin(): void {
    const { capture, chain, cores, log } = this.#options;
    const state = capture();
    assert(state.meta.index === chain.index, 'feed: the captured state is the one that is applied');
    const coming: { segment: Segment | null; since: Queue; isVoid: boolean } = {
      segment: null,
      since: new Queue(),
      isVoid: false,
    };
    this.#coming = coming;
    this.#bytes = 0;
    // A number is used once, whatever becomes of the attempt.
    this.#record = { ...this.#record, segment: this.#record.segment + 1 };
    const record = this.#record;
    this.#creating = Segment.create(cores, record, record.segment, state).then(
      (segment) => {
        coming.segment = segment;
        this.#wake(0);
      },
      (error: Error) => {
        log.warn('no snapshot could be put into the state feed, it is tried again', { error: error.message });
        this.#coming = null;
        this.#wake(RETRY_MS);
        return dropSegment(cores, record, record.segment).catch(() => {});
      },
    );
  }

  /** A segment that is written no more; the one before it is not needed now. */
  #retire(old: Segment): void {
    const { cores } = this.#options;
    const record = this.#record;
    this.#record = { ...record, before: keptSegment(old) };
    if (record.before !== null) void dropSegment(cores, record, record.before.number).catch(() => {});
  }

  /** The new segment takes over as soon as it has all that was applied since its state was captured. */
  async #changeTo(next: Segment, coming: { readonly since: Queue; readonly isVoid: boolean }): Promise<void> {
    while (!coming.since.isEmpty) this.#bytes += await next.append(coming.since.takeAll());
    this.#coming = null;
    if (coming.isVoid) {
      await next.close();
      return;
    }
    const old = this.#segment;
    // All that waits is in the new segment; but who reads the old one must come as far as its snapshot there.
    const rest = this.#waiting.takeAll();
    this.#segment = next;
    if (old !== null) this.#retire(old);
    await noteFeed(this.#options.folder, this.#record);
    if (old !== null) {
      await old.append(rest);
      await old.end(next);
      await old.close();
    }
    await this.#closeBroken(next);
  }

  async #closeBroken(next: Segment): Promise<void> {
    const broken = this.#broken;
    this.#broken = null;
    try {
      await broken?.end(next);
      await broken?.close();
    } catch (error) {
      // Its readers will ask where the feed is.
      this.#options.log.debug('the end of a segment could not be written', { error: (error as Error).message });
    }
  }

  /** Publishes what waits and closes the cores; the next start goes on from there. */
  async close(): Promise<void> {
    if (this.#closed) return;
    this.#stopListening();
    clearTimeout(this.#timer);
    await this.#pump;
    if (this.#segment !== null && !this.#waiting.isEmpty) {
      this.#run();
      await this.#pump;
    }
    this.#closed = true;
    clearTimeout(this.#timer);
    await this.#creating;
    await this.#coming?.segment?.close();
    await this.#segment?.close();
    await this.#broken?.close();
    const { cores, folder, log } = this.#options;
    try {
      // Only what is on the disk for certain may be gone on with.
      await cores.sync();
      await closeFeed(folder, this.#record);
    } catch (error) {
      log.info('the state feed begins anew at the next start', { why: (error as Error).message });
    }
  }
}

/** Gives back the place of a feed that nobody follows any more; it must be closed. */
export async function dropFeed(folder: string, cores: Cores): Promise<void> {
  const { record, stale } = await takeUpFeed(folder);
  for (const one of [record, stale]) if (one !== null) await dropAll(cores, one);
  const next = await beginFeed(folder, record);
  await cores.sync();
  await closeFeed(folder, next);
}

/** The segment after the last one that was noted may have been begun. */
async function dropAll(cores: Cores, record: FeedRecord): Promise<void> {
  for (const number of [record.segment + 1, record.segment, record.before?.number ?? 0]) {
    await dropSegment(cores, record, number);
  }
}

function keptSegment({ number, key, announcement }: Segment): KeptSegment {
  return { number, key: hex(key), index: announcement.index };
}

function hex(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('hex');
}
