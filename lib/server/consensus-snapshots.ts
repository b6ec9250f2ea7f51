import type { Raft, SnapshotMeta } from '../raft/index.js';
import type { EntryChain } from '../storage/index.js';
import type { Log } from '../util/log.js';
import type { Stores } from './consensus-stores.js';
import type { StateMachine } from './ports.js';

/** After a snapshot could not be written, so much more log is waited for before the next attempt. */
const RETRY_BYTES = 1024 * 1024;

/**
 * Takes a snapshot each time commands of a certain size were applied, or by the size of the last snapshot if that is more:
 * so a large state is not rewritten more often than its log is long, which matters on a memory card.
 */
export class Snapshotter {
  readonly #stores: Stores;
  readonly #fsm: StateMachine;
  readonly #log: Log;
  readonly #chain: EntryChain;
  readonly #everyBytes: number;
  #latest: SnapshotMeta | null;
  /** Bytes of applied entries, unpacked, that the latest snapshot lacks. */
  #bytes: number;
  #dueBytes: number;
  /** The one being written, or one that is done. */
  #work: Promise<void> = Promise.resolve();
  #busy = false;
  /** Indexes of snapshots on their way to others: the log is kept from there on, or they would arrive in vain. */
  readonly #held = new Map<string, number>();

  constructor(parts: {
    stores: Stores;
    fsm: StateMachine;
    log: Log;
    chain: EntryChain;
    everyBytes: number;
    latest: SnapshotMeta | null;
  }) {
    this.#chain = parts.chain;
    this.#stores = parts.stores;
    this.#fsm = parts.fsm;
    this.#log = parts.log;
    this.#everyBytes = parts.everyBytes;
    this.#latest = parts.latest;
    this.#bytes = 0;
    this.#dueBytes = this.#nextDue();
  }

  get latest(): SnapshotMeta | null {
    return this.#latest;
  }

  /** A snapshot is on its way to a member; until it is released the log is kept from there on. */
  hold(member: string, index: number): void {
    this.#held.set(member, index);
  }

  release(member: string): void {
    this.#held.delete(member);
  }

  /** Runs `receive` while no snapshot of one's own is written. */
  async whileIdle(receive: () => Promise<void>): Promise<void> {
    while (this.#busy) await this.#work.catch(() => {});
    this.#busy = true;
    this.#work = receive().finally(() => {
      this.#busy = false;
    });
    await this.#work;
  }

  /** The state was replaced by a snapshot of the leader. */
  installed(meta: SnapshotMeta): void {
    this.#latest = meta;
    this.#bytes = 0;
    this.#dueBytes = this.#nextDue();
  }

  #nextDue(): number {
    return Math.max(this.#everyBytes, this.#latest === null ? 0 : this.#stores.snapshots.bytes(this.#latest));
  }

  /** Entries of so many bytes were applied, up to `index`. Captures the state at once and writes it in the background. */
  applied(raft: Raft, position: { index: number; bytes: number }): void {
    this.#bytes += position.bytes;
    if (this.#bytes < this.#dueBytes || this.#busy) return;
    const term = this.#stores.log.term(position.index);
    if (term === undefined) return;
    const { digestText: digest } = this.#chain;
    const meta = { index: position.index, term, membership: raft.membershipAt(position.index), digest };
    const stream = this.#fsm.snapshot();
    this.#busy = true;
    this.#bytes = 0;
    this.#work = this.#take(raft, meta, stream());
  }

  async #take(raft: Raft, meta: SnapshotMeta, stream: AsyncIterable<Uint8Array>): Promise<void> {
    const { snapshots, log } = this.#stores;
    try {
      await snapshots.save(meta, stream);
      const before = this.#latest;
      // A leader's newer one was installed meanwhile.
      if (before !== null && before.index >= meta.index) return;
      this.#latest = meta;
      this.#dueBytes = this.#nextDue();
      // The log still reaches back to the snapshot before: should this one turn out damaged, nothing is lost.
      if (before !== null) {
        const index = Math.min(before.index, ...this.#held.values());
        await log.compact(index);
        raft.compacted(index);
      }
      this.#log.info('took a snapshot', { index: meta.index, bytes: snapshots.bytes(meta) });
    } catch (error) {
      this.#dueBytes = this.#bytes + RETRY_BYTES;
      this.#log.warn('no snapshot could be written, the log is kept', { error: (error as Error).message });
    } finally {
      this.#busy = false;
    }
  }

  /** Resolves when no snapshot is being written. */
  async idle(): Promise<void> {
    await this.#work.catch(() => {});
  }
}
