import type { Membership } from '../raft/index.js';
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
  /** The group has put this server out, which its own log may not say. */
  #expelled = false;

  constructor(options: JoiningOptions) {
    this.#options = options;
  }

  /** Raft must be told nothing now. */
  isOutside({ voters, learners }: Membership): boolean {
    const { id, replica, now } = this.#options;
    const isMember = voters.includes(id) || learners.includes(id);
    if (replica === undefined || (isMember && !this.#expelled)) return false;
    return this.#working || this.#heardMs === null || now() - this.#heardMs > SILENCE_MS_MAX;
  }

  /** Who keeps the state while this server is outside of the group; null while raft does. */
  replicaOf(membership: Membership): Replica | null {
    const { replica } = this.#options;
    return replica !== undefined && this.isOutside(membership) ? replica : null;
  }

  /** The group was heard while this server takes part in it. */
  heard(): void {
    this.#heardMs = this.#options.now();
  }

  /** The group has put this server out: nobody tells a server that, for whoever is out is told nothing. */
  expel(): void {
    this.#expelled = this.#options.replica !== undefined;
    this.#heardMs = null;
  }

  /**
   * The group was heard while this server is outside of it. `idle` waits for the writes of raft; `goOn` lets raft begin again
   * from what is stored, with the state at this index, or where it was.
   */
  async letIn(host: { idle: () => Promise<void>; goOn: (applied: number | null) => void }): Promise<void> {
    const { replica, log } = this.#options;
    if (this.#working || replica === undefined) return;
    this.#working = true;
    try {
      const handed = await replica.handOver();
      await host.idle();
      if (handed !== null) await this.#keep(handed);
      this.heard();
      this.#expelled = false;
      host.goOn(handed?.meta.index ?? null);
      if (handed !== null) log.info('goes on in the group from the state of the feed', { index: handed.meta.index });
    } finally {
      this.#working = false;
    }
  }

  /**
   * What was committed takes the place of a log that does not hold it, as a leader's snapshot would. The snapshot first: until
   * the log begins after it, a crash leaves what was there before; see restoreSnapshot.
   */
  async #keep({ meta, stream }: HandedOver): Promise<void> {
    const { stores, snapshotter } = this.#options;
    const { snapshots, stable, log } = stores;
    if (log.term(meta.index) === meta.term) return;
    await snapshotter.whileIdle(() => snapshots.save(meta, stream));
    const state = stable.load();
    if (state.term < meta.term) await stable.save({ term: meta.term, vote: '', commit: state.commit });
    await log.reset(meta);
    snapshotter.installed(meta);
  }
}
