import { setTimeout } from 'node:timers/promises';
import { MeshError } from '../structs/errors.js';
import type { Core, Cores } from './cores.js';
import type { Announcement, FeedBlock } from './feed-format.js';
import { decodeFeedBlock } from './feed-format.js';

/** A block that is not there after so long may never come: whoever waits looks around. */
const PATIENCE_MS = 1000;

/** Somebody's segment of a feed, as far as it is here; the rest is fetched when it is asked for. */
export class FeedSource {
  readonly #core: Core;
  #stopFetching = (): void => {};

  private constructor(core: Core) {
    this.#core = core;
  }

  static async open(cores: Cores, key: Uint8Array, secret: Uint8Array): Promise<FeedSource> {
    return new FeedSource(await cores.other(key, secret));
  }

  /** What the segment begins with. `isWanted`: see block(). */
  async announcement(isWanted: () => boolean): Promise<Announcement> {
    const newest = await this.#newest(isWanted);
    const announced =
      newest.block.type === 'snapshot' ? newest.block : await this.block(newest.block.announcedAt, isWanted);
    if (announced.type !== 'snapshot') throw new MeshError('E_STORAGE', 'the feed points to a snapshot that is none');
    return announced.announcement;
  }

  /** A block; waits for it to be published or to arrive, and asks now and then whether it still should. */
  async block(at: number, isWanted: () => boolean): Promise<FeedBlock> {
    return decodeFeedBlock(await this.#get(at, isWanted));
  }

  async #newest(isWanted: () => boolean): Promise<{ at: number; block: FeedBlock }> {
    // Its length is known with the first block, and is whatever it was when that was read.
    if (this.#core.length === 0) await this.#get(0, isWanted);
    const at = this.#core.length - 1;
    return { at, block: await this.block(at, isWanted) };
  }

  /** The bytes of the snapshot. Throws E_STORAGE when it is not whole. */
  async *snapshot({ chunks, bytes }: Announcement, isWanted: () => boolean): AsyncIterable<Uint8Array> {
    const stop = this.#core.fetch(0, chunks);
    let total = 0;
    try {
      for (let at = 0; at < chunks; at++) {
        const chunk = await this.#get(at, isWanted);
        total += chunk.length;
        yield chunk;
      }
    } finally {
      stop();
    }
    if (total !== bytes)
      throw new MeshError('E_STORAGE', `a snapshot in the feed has ${total} bytes instead of ${bytes}`);
  }

  /** The block that holds the entry, or the one to come when it is not published yet. Looks from the end, where it mostly is. */
  async find(index: number, isWanted: () => boolean): Promise<number> {
    const newest = await this.#newest(isWanted);
    const isBefore = async (at: number): Promise<boolean> => {
      const block = at === newest.at ? newest.block : await this.block(at, isWanted);
      return block.type === 'entries' && block.firstIndex + block.entries.length - 1 < index;
    };
    let low = newest.block.announcedAt + 1;
    let high = newest.at + 1;
    for (let step = 1; high - step > low; step *= 2) {
      if (!(await isBefore(high - step))) continue;
      low = high - step + 1;
      break;
    }
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (await isBefore(middle)) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  /** Has blocks from here on fetched as they come. */
  fetchFrom(at: number): void {
    this.#stopFetching();
    this.#stopFetching = this.#core.fetch(at);
  }

  async #get(at: number, isWanted: () => boolean): Promise<Uint8Array> {
    const block = this.#core.get(at);
    // Whatever comes of it later is of no interest once this has returned.
    block.catch(() => {});
    for (;;) {
      const still = new AbortController();
      const pause = setTimeout(PATIENCE_MS, null, { signal: still.signal, ref: false }).catch(() => null);
      const found = await Promise.race([block, pause]).finally(() => still.abort());
      if (found !== null) return found;
      if (!isWanted()) throw new NotWanted('another feed is better');
    }
  }

  /** Gives back the place of what is here. */
  async drop(): Promise<void> {
    await this.#core.clear(0, this.#core.length);
  }

  async close(): Promise<void> {
    this.#stopFetching();
    await this.#core.close();
  }
}

/** Waiting was given up. */
export class NotWanted extends Error {}
