import { setImmediate, setTimeout } from 'node:timers/promises';
import type { Entry, SnapshotMeta } from '../raft/index.js';
import { MeshError } from '../structs/errors.js';
import type { FeedAddress } from '../structs/rpc-feed.js';
import type { Log } from '../util/log.js';
import type { Cores } from './cores.js';
import type { EntryChain } from './entry-chain.js';
import { chainDigest } from './entry-chain.js';
import { FeedCopies } from './feed-copies.js';
import type { EntriesBlock } from './feed-format.js';
import { FeedSource, NotWanted } from './feed-source.js';

const RETRY_MS = 3000;
/** A long replay gives others a turn after so many entries. */
const ENTRIES_A_TURN = 500;

/** Whose state is kept up to date. */
export interface FeedTarget {
  /** Replaces the state by a snapshot's; the old one stays when it rejects. */
  restore(stream: AsyncIterable<Uint8Array>, meta: SnapshotMeta): Promise<void>;
  /** Applies a committed entry of any type. Throws MeshError for what this version cannot apply. */
  apply(entry: Entry): void;
}

export interface FeedFollowerOptions {
  /** For the list of what is copied. */
  readonly folder: string;
  readonly cores: Cores;
  readonly target: FeedTarget;
  /** Holds where the target is. */
  readonly chain: EntryChain;
  readonly log: Log;
}

/** What a follower is doing. */
export type FollowerState =
  | { readonly kind: 'idle' }
  | { readonly kind: 'following'; readonly node: string }
  /** From a snapshot, at the beginning or because history was found to differ. */
  | { readonly kind: 'restoring'; readonly node: string; readonly index: number }
  /** `isOwn`: what is here of the feed cannot be read; to have the same again of others would not help. */
  | { readonly kind: 'failed'; readonly node: string; readonly why: string; readonly isOwn: boolean };

/** The history of a feed and the own one are not the same. */
class Differs extends Error {}

/**
 * Keeps a state up to date from the feed of a voter. Nothing is applied before the digest over all history agrees; when it
 * does not, the state is thrown away for a snapshot of the feed that is followed now, with a loud word in the log. Feeds may
 * be changed at any time: the next one is taken up at the index that was reached.
 */
export class FeedFollower {
  readonly #options: FeedFollowerOptions;
  readonly #copies: FeedCopies;
  #wanted: FeedAddress | null = null;
  #source: FeedSource | null = null;
  #loop: Promise<void> | null = null;
  #state: FollowerState = { kind: 'idle' };
  /** The state cannot be built upon: a snapshot must replace it, even an older one. */
  #distrusted = false;
  /** The index of the snapshot that the state began from. */
  #restoredAt = 0;
  #pause = new AbortController();
  #closed = false;

  constructor(options: FeedFollowerOptions) {
    this.#options = options;
    this.#copies = new FeedCopies(options.folder, options.cores);
  }

  get state(): FollowerState {
    return this.#state;
  }

  /** Where the state is: what a snapshot of it carries. Null before there is any. */
  get meta(): (SnapshotMeta & { readonly digest: string }) | null {
    const { chain } = this.#options;
    return chain.index === 0 || this.#distrusted ? null : chain.meta;
  }

  /**
   * Follows this feed from now on; null: none. Another server's feed is changed to at once; newer segments of the same feed
   * when the one that is read leads there, or has nothing more.
   */
  follow(address: FeedAddress | null): void {
    if (this.#closed) return;
    const isSame = address?.Node === this.#wanted?.Node && address?.Secret === this.#wanted?.Secret;
    this.#wanted = address;
    if (!isSame) {
      this.#pause.abort();
      void this.#source?.close();
    }
    this.#loop ??= this.#run().finally(() => {
      this.#loop = null;
    });
  }

  async #run(): Promise<void> {
    while (this.#wanted !== null && !this.#closed) {
      const address = this.#wanted;
      try {
        await this.#followFeed(address);
      } catch (error) {
        if (error instanceof NotWanted || !this.#isWanted(address)) continue;
        if (error instanceof Differs && this.#distrust(address, error)) continue;
        const why = (error as Error).message;
        this.#state = { kind: 'failed', node: address.Node, why, isOwn: !(error instanceof MeshError) };
        this.#options.log.warn('the state feed cannot be followed, it is tried again', {
          node: address.Node,
          error: why,
        });
        this.#pause = new AbortController();
        await setTimeout(RETRY_MS, null, { ref: false, signal: this.#pause.signal }).catch(() => {});
      }
    }
    this.#state = { kind: 'idle' };
  }

  #isWanted(address: FeedAddress): boolean {
    return !this.#closed && this.#wanted?.Node === address.Node && this.#wanted.Secret === address.Secret;
  }

  /** Returns false when the fault is the feed's own: its snapshot and its entries contradict each other. */
  #distrust(address: FeedAddress, error: Differs): boolean {
    const { index } = this.#options.chain;
    if (index === this.#restoredAt) return false;
    this.#options.log.error('the state here differs from the feed: it is rebuilt from a snapshot', {
      node: address.Node,
      index,
      error: error.message,
    });
    this.#distrusted = true;
    return true;
  }

  /** Reads segment after segment. Ends only by throwing: when another feed is wanted the source is closed under it. */
  async #followFeed(address: FeedAddress): Promise<void> {
    let key = this.#firstSegment(address);
    for (;;) {
      await this.#copies.use({ Key: key, Secret: address.Secret });
      const source = await FeedSource.open(
        this.#options.cores,
        Buffer.from(key, 'hex'),
        Buffer.from(address.Secret, 'hex'),
      );
      this.#source = source;
      try {
        key = await this.#readSegment(source, address, key);
      } finally {
        this.#source = null;
        await source.close();
      }
    }
  }

  /** The newest one that begins no later than the own state ends; the newest of all when there is none. */
  #firstSegment({ Segments }: FeedAddress): string {
    const { index } = this.#options.chain;
    const fitting = index === 0 || this.#distrusted ? undefined : Segments.find(({ Index }) => Index <= index);
    const segment = fitting ?? Segments[0];
    if (segment === undefined) throw new NotWanted('the feed has no segment');
    return segment.Key;
  }

  /** Applies a segment to its end; returns the key of the next. */
  async #readSegment(source: FeedSource, address: FeedAddress, key: string): Promise<string> {
    // One that has nothing more to say is left when there is a newer one.
    const isWanted = (): boolean => this.#isWanted(address) && this.#wanted?.Segments[0]?.Key === key;
    const from = await this.#enter(source, address, isWanted);
    source.fetchFrom(from);
    let sinceTurn = 0;
    for (let at = from; ; at++) {
      const block = await source.block(at, isWanted);
      if (!this.#isWanted(address)) throw new NotWanted('another feed is wanted');
      if (block.type === 'next') return Buffer.from(block.key).toString('hex');
      if (block.type === 'snapshot') continue;
      this.#apply(block);
      sinceTurn += block.entries.length;
      if (sinceTurn < ENTRIES_A_TURN) continue;
      sinceTurn = 0;
      await setImmediate();
    }
  }

  /** The block to go on with, after a restore from the segment's snapshot where one is needed. */
  async #enter(source: FeedSource, address: FeedAddress, isWanted: () => boolean): Promise<number> {
    const { target, chain, log } = this.#options;
    const node = address.Node;
    const announcement = await source.announcement(isWanted);
    const { index, term, membership, digest, bytes, chunks } = announcement;
    if (!this.#distrusted && chain.index > 0 && chain.index >= index) {
      this.#state = { kind: 'following', node };
      return await source.find(chain.index + 1, isWanted);
    }
    this.#state = { kind: 'restoring', node, index };
    log.info('the state is restored from a snapshot of the feed', { node, index, bytes });
    const meta = { index, term, membership, digest };
    chain.willBeReplaced();
    try {
      await target.restore(source.snapshot(announcement, isWanted), meta);
    } catch (error) {
      chain.stays();
      throw error;
    }
    chain.restored(meta);
    this.#restoredAt = index;
    this.#distrusted = false;
    this.#state = { kind: 'following', node };
    return chunks + 1;
  }

  #apply({ entries, after }: EntriesBlock): void {
    const { chain, target } = this.#options;
    const last = entries.at(-1) as Entry;
    if (last.index < chain.index) return;
    const fresh = entries.filter(({ index }) => index > chain.index);
    const digests: Uint8Array[] = [];
    let digest = chain.digest;
    for (const entry of fresh) {
      digest = chainDigest(digest, entry);
      digests.push(digest);
    }
    if (Buffer.compare(digest, after) !== 0) throw new Differs(`the digests at entry ${last.index} are not the same`);
    fresh.forEach((entry, i) => {
      target.apply(entry);
      chain.applied(entry, digests[i] as Uint8Array);
    });
  }

  /** Follows nothing any more; resolves when the state is left alone. */
  async stop(): Promise<void> {
    this.follow(null);
    await this.#loop;
  }

  /** Stops for good; the state stays as it is. */
  async close(): Promise<void> {
    this.#closed = true;
    this.#pause.abort();
    await this.#source?.close();
    await this.#loop;
  }
}
