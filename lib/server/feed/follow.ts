import type { Duplex } from 'node:stream';
import type { Cores, FeedFollower } from '../../storage/index.js';
import { byteStream } from '../../transport/byte-stream.js';
import type { Log } from '../../util/log.js';
import type { ServerPeers } from '../ports.js';

const ASK_MS = 3000;
/** Blocks come from so many servers at once: from the leader, and from others that have them already. */
const SOURCES_MAX = 3;

export interface FollowOptions {
  readonly id: string;
  readonly cores: Cores;
  readonly follower: FeedFollower;
  readonly peers: Pick<ServerPeers, 'serverCaller'>;
  /** The other servers of the mesh. */
  readonly servers: () => readonly string[];
  readonly log: Log;
}

/** Finds the feed of whoever leads, and keeps connections to servers that have it. */
export class FeedFinder {
  readonly #options: FollowOptions;
  readonly #streams = new Map<string, Duplex>();
  #leader = '';
  #turn = 0;

  constructor(options: FollowOptions) {
    this.#options = options;
  }

  /** Asks around once; called again and again while the feed is to be followed. That may end while others are asked. */
  async look(mayFollow: () => boolean): Promise<void> {
    const { servers, follower, log } = this.#options;
    const known = servers().filter((id) => id !== this.#options.id);
    // The last leader, and someone else in turn: who will lead next must publish before it does.
    const asked = [...new Set([this.#leader, known[this.#turn++ % Math.max(1, known.length)]])];
    let isFound = false;
    for (const id of asked) {
      if (id === undefined || !known.includes(id)) continue;
      try {
        const said = await this.#describe(id);
        if (isFound) continue;
        const leads = said.Leader === id || !known.includes(said.Leader);
        const best = leads ? said : await this.#describe(said.Leader);
        if (best.Feed === null) continue;
        if (!mayFollow()) return;
        this.#leader = best.Feed.Node;
        this.#connect(best.Feed.Node, known);
        follower.follow(best.Feed);
        isFound = true;
      } catch (error) {
        log.debug('a server could not be asked for its feed', { server: id, error: (error as Error).message });
      }
    }
  }

  #describe(id: string) {
    return this.#options.peers.serverCaller(id).call('Feed.Describe', { Follow: true }, { timeoutMs: ASK_MS });
  }

  #connect(leader: string, known: readonly string[]): void {
    const { cores, peers } = this.#options;
    const wanted = [leader, ...known.filter((id) => id !== leader)].slice(0, SOURCES_MAX);
    for (const [id, stream] of this.#streams) if (!wanted.includes(id)) stream.destroy();
    for (const id of wanted) {
      if (this.#streams.has(id)) continue;
      const messages = peers.serverCaller(id).stream('Feed.Replicate', {});
      this.#streams.set(id, messages);
      // It is made anew at the next look.
      messages.once('close', () => this.#streams.delete(id));
      cores.replicate(byteStream(messages), 'asks');
    }
  }

  /** Leaves all connections. */
  stop(): void {
    for (const stream of this.#streams.values()) stream.destroy();
  }
}
