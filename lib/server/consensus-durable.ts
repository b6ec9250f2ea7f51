import type { HardState, Ready, SnapshotMeta } from '../raft/index.js';
import type { EntryChain } from '../storage/index.js';
import type { Log } from '../util/log.js';
import type { Stores } from './consensus-stores.js';
import { restoreSnapshot } from './consensus-stores.js';
import type { StateMachine } from './ports.js';
import { RecentTimes } from './recent-times.js';

/** Writes what raft wants to be durable, each thing before what would be wrong without it. All reject with E_STORAGE. */
export class DurableSide {
  readonly #stores: Stores;
  readonly #fsm: StateMachine;
  readonly #chain: EntryChain;
  readonly #now: () => number;
  readonly #log: Log;
  readonly #syncTimes = new RecentTimes();
  /** A leader's snapshot is taking the place of state and log. */
  #installing = false;

  constructor(parts: { stores: Stores; fsm: StateMachine; chain: EntryChain; now: () => number; log: Log }) {
    this.#chain = parts.chain;
    this.#stores = parts.stores;
    this.#fsm = parts.fsm;
    this.#now = parts.now;
    this.#log = parts.log;
  }

  /** Median time of the latest writes of entries; null before the first. */
  get syncMs(): number | null {
    return this.#syncTimes.median;
  }

  /** Term and vote before entries: an entry of a term that is not on disk would outlive its vote. */
  async write(ready: Ready): Promise<void> {
    await this.#saveVote(ready.hardState);
    const began = this.#now();
    await this.#stores.log.append(ready.entries);
    if (ready.entries.length > 0) this.#syncTimes.add(this.#now() - began);
  }

  async #saveVote(hardState: HardState | null): Promise<void> {
    const { stable, log } = this.#stores;
    if (hardState === null) return;
    const before = stable.load();
    if (before.term === hardState.term && before.vote === hardState.vote) return;
    // The hint must not run ahead of the entries that this very write is about to make durable.
    await stable.save({ ...hardState, commit: Math.min(hardState.commit, log.lastIndex()) });
  }

  /**
   * The leader's snapshot, which is stored already, takes the place of state and log. The term first, for the log is then of
   * its term; the log last, for until the state is restored from the snapshot it may be needed. A crash on the way: see
   * restoreSnapshot.
   */
  async install(meta: SnapshotMeta, hardState: HardState | null): Promise<void> {
    const { log, snapshots } = this.#stores;
    this.#installing = true;
    await this.#saveVote(hardState);
    this.#chain.willBeReplaced();
    await this.#fsm.restore(snapshots.open(meta), meta.index);
    await log.reset(meta);
    this.#installing = false;
    this.#log.info('took over the state of the leader', { index: meta.index, term: meta.term });
  }

  /**
   * After a refusal: makes the log writable again. Was a snapshot being installed, state and log may be of different minds:
   * then both begin again at the newest snapshot, which is returned, as after a restart.
   */
  async repair(): Promise<SnapshotMeta | null> {
    await this.#stores.log.repair();
    if (!this.#installing) return null;
    this.#chain.willBeReplaced();
    const meta = await restoreSnapshot(this.#stores, this.#fsm, this.#log);
    this.#installing = false;
    return meta;
  }

  /** Frees the data directory. `applied` is what others may know to be committed, when that is certain. */
  async close(applied: number | null): Promise<void> {
    const { stable, log, lock } = this.#stores;
    try {
      // The hint lets the next start see whether acknowledged entries were lost in between.
      if (applied !== null) await stable.save({ ...stable.load(), commit: applied });
    } catch (error) {
      this.#log.warn('the commit hint could not be written', { error: (error as Error).message });
    }
    await log.close();
    lock.release();
  }
}
