import type { RestoreCommitCommand, RestoreStageCommand } from './commands.js';
import { type Decoded, SnapshotDecoder } from './snapshot-codec.js';

/** What is decoded is written in an epoch of its own, before all of the store's: once it is the state, no write changes it in place. */
export const AHEAD_EPOCH = 0;

/**
 * Reads the pieces of a snapshot as they are put aside, each with its entry of the log: for the last entry, which makes them the state,
 * nothing of any length is left. It is no part of the state: who has not seen all of them here (this server was started meanwhile)
 * reads them from the state.
 */
export class RestoreAhead {
  #id = '';
  #next = 0;
  #decoder: SnapshotDecoder | null = null;

  staged({ id, seq, text }: RestoreStageCommand): void {
    if (seq === 0) {
      this.#id = id;
      this.#next = 0;
      this.#decoder = new SnapshotDecoder(AHEAD_EPOCH);
    }
    // Of a restore that another has taken the place of.
    if (id !== this.#id) return;
    try {
      if (seq === this.#next++) this.#decoder?.take(text);
      else this.#decoder = null;
    } catch {
      // What is wrong with it is said when it is to become the state.
      this.#decoder = null;
    }
  }

  forget(id = this.#id): void {
    if (id === this.#id) this.#decoder = null;
  }

  /** All pieces of a restore that are wanted, once; null where they were not all seen. */
  take({ id, pieces }: RestoreCommitCommand): Decoded | null {
    const decoder = this.#decoder;
    if (decoder === null || id !== this.#id || pieces !== this.#next) return null;
    this.#decoder = null;
    return decoder.end();
  }
}
