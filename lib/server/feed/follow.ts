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
  readonly now: () => number;
  /** Hears of every word of a leader. */
  readonly onHeard: (heard: Heard) => void;
  readonly log: Log;
}

/** What a leader said of itself: so much it had applied, no earlier than then. */
export interface Heard {
  readonly atMs: number;
  readonly index: number;
}

/** Finds the feed of whoever leads, and keeps connections to servers that have it. */
export class FeedFinder {
  readonly #options: FollowOptions;
  readonly #streams = new Map<string, Duplex>();
  /** Whose feed was found last. */
  #publisher = '';
  #leader = '';
  #turn = 0;

  constructor(options: FollowOptions) {
    this.#options = options;
  }

  /** Who leads, by what was said at the latest look; '' when nobody was named. */
  get leader(): string {
    return this.#leader;
  }

  /** Asks around once; called again and again while the feed is to be followed. That may end while others are asked. */
  async look(mayFollow: () => boolean): Promise<void> {
    const { servers, follower } = this.#options;
    const known = servers().filter((id) => id !== this.#options.id);
    // The last one, and someone else in turn: who will lead next must publish before it does.
    const next = known[this.#turn++ % Math.max(1, known.length)];
    const asked = [...new Set([this.#publisher, next])].filter((id) => id !== undefined && known.includes(id));
    const said = (await Promise.all(asked.map((id) => this.#describe(id as string)))).filter((one) => one !== null);
    // One that has not heard yet that another leads names the old one: who says so of itself knows best.
    const named = said.find(({ id, Leader }) => Leader === id) ?? said.find(({ Leader }) => known.includes(Leader));
    const leader = named === undefined || named.id === named.Leader ? named : await this.#describe(named.Leader);
    this.#leader = leader?.Leader === leader?.id ? (leader?.id ?? '') : '';
    // Without a leader whoever has a feed is as good; a leader's will be there in a moment.
    const best = leader ?? said.find(({ Feed }) => Feed !== null);
    if (!best?.Feed || !mayFollow()) return;
    this.#publisher = best.Feed.Node;
    this.#connect(best.Feed.Node, known);
    follower.follow(best.Feed);
  }

  /** What a server says; null when it says nothing. */
  async #describe(id: string) {
    const { peers, now, onHeard, log } = this.#options;
    const atMs = now();
    try {
      const said = await peers.serverCaller(id).call('Feed.Describe', { Follow: true }, { timeoutMs: ASK_MS });
      if (said.Leader === id) onHeard({ atMs, index: said.Index });
      return { id, ...said };
    } catch (error) {
      log.debug('a server could not be asked for its feed', { server: id, error: (error as Error).message });
      return null;
    }
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
