import type { NodeKey } from '../structs/mesh.js';
import type { Millis } from '../util/clock.js';

/** So many silent members, with nobody heard meanwhile, are enough to blame oneself. */
const SILENT_ENOUGH = 3;

/**
 * "All vanished at once" means that this member's own link is down. Silence is held against a member only when somebody else
 * was heard meanwhile; with one other member alone there is nobody else, and its silence counts.
 */
export class Isolation {
  /** Did not answer while nobody else was heard either: to be asked again when somebody is. */
  readonly #silent = new Set<NodeKey>();
  #isolated = false;
  // The latest sender, and the latest one other than it.
  #last: { key: NodeKey; at: Millis } = { key: '', at: Number.NEGATIVE_INFINITY };
  #lastOther: { key: NodeKey; at: Millis } = { key: '', at: Number.NEGATIVE_INFINITY };

  get isolated(): boolean {
    return this.#isolated;
  }

  /** A datagram came. Returns who has to be asked again, and whether this ended an isolation. */
  heard(from: NodeKey, now: Millis): { again: NodeKey[]; ended: boolean } {
    if (this.#last.key !== from) this.#lastOther = this.#last;
    this.#last = { key: from, at: now };
    const ended = this.#isolated;
    this.#isolated = false;
    if (this.#silent.size === 0) return { again: [], ended };
    const again = [...this.#silent].filter((key) => key !== from);
    this.#silent.clear();
    return { again, ended };
  }

  /** Whether the silence of `key` since then is its own: with others about, one of them must have been heard. */
  isTelling(key: NodeKey, options: { since: Millis; others: number }): boolean {
    if (options.others <= 1) return true;
    if (this.#isolated) return false;
    const witness = this.#last.key === key ? this.#lastOther : this.#last;
    return witness.at >= options.since;
  }

  /** A silence that tells nothing. True when it was one too many: this member is isolated from now on. */
  hold(key: NodeKey, others: number): boolean {
    this.#silent.add(key);
    if (this.#isolated || this.#silent.size < Math.min(SILENT_ENOUGH, others)) return false;
    this.#isolated = true;
    return true;
  }

  forget(key: NodeKey): void {
    this.#silent.delete(key);
  }
}
