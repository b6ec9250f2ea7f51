import type { Membership, SnapshotMeta } from '../raft/index.js';
import type { Log } from '../util/log.js';
import type { Snapshotter } from './consensus-snapshots.js';
import type { Stores } from './consensus-stores.js';
import type { HandedOver, Replica } from './ports.js';

/** Let in, but not heard of since: the word came late, and the server is outside after all. */
const SILENCE_MS_MAX = 30_000;

export interface JoiningOptions {
  readonly id: string;
  /** Absent: a server that is outside of the group has no state. */
  readonly replica: Replica | undefined;
  readonly stores: Stores;
  readonly snapshotter: Snapshotter;
  readonly now: () => number;
  readonly log: Log;
}

/**
 * The way of a server from outside of the group into it. Outside, the state comes from a feed and raft is told nothing. With
 * the first word of a leader the feed is left, the state as it is then becomes the snapshot that raft goes on from, and only
 * then raft is told. What the log held before is not needed: the group has decided without it.
 */
export class Joining {
  readonly #options: JoiningOptions;
  /** When the group was last heard, since it let this server in. */
  #heardMs: number | null = null;
  #working = false;

  constructor(options: JoiningOptions) {
    this.#options = options;
  }

  /** Raft must be told nothing now. */
  isOutside({ voters, learners }: Membership): boolean {
    const { id, replica, now } = this.#options;
    if (replica === undefined || voters.includes(id) || learners.includes(id)) return false;
    return this.#working || this.#heardMs === null || now() - this.#heardMs > SILENCE_MS_MAX;
  }

  /** The group was heard while this server takes part in it. */
  heard(): void {
    this.#heardMs = this.#options.now();
  }

  /**
   * The group was heard while this server is outside of it. `idle` waits for the writes of raft, `replaced` hears what takes
   * the place of log and state; it is null when both stay as they are.
   */
  async letIn(host: {
    applied: () => number;
    idle: () => Promise<void>;
    replaced: (meta: SnapshotMeta | null) => void;
  }): Promise<void> {
    const { replica, log } = this.#options;
    if (this.#working || replica === undefined) return;
    this.#working = true;
    try {
      const handed = await replica.handOver();
      await host.idle();
      const isNews = handed !== null && handed.meta.index !== host.applied();
      if (isNews) await this.#keep(handed);
      this.heard();
      host.replaced(isNews ? handed.meta : null);
      if (isNews) log.info('goes on in the group from the state of the feed', { index: handed.meta.index });
    } finally {
      this.#working = false;
    }
  }

  /** The snapshot first: until the log begins after it, a crash leaves what was there before. See restoreSnapshot. */
  async #keep({ meta, stream }: HandedOver): Promise<void> {
    const { stores, snapshotter } = this.#options;
    const { snapshots, stable, log } = stores;
    await snapshotter.whileIdle(() => snapshots.save(meta, stream));
    const state = stable.load();
    if (state.term < meta.term) await stable.save({ term: meta.term, vote: '', commit: state.commit });
    await log.reset(meta);
  }
}
