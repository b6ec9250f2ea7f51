import type { NodeKey } from '../structs/mesh.js';
import type { Millis } from '../util/clock.js';

/** Enough independent accusers in a mesh of any size. */
const ACCUSERS_ENOUGH = 3;
/** Beyond this a member's unsteadiness earns it no more time. */
const UNSTEADY_MAX = 3;

/**
 * How many accusers make a suspicion as short as it may be: a majority of those who are not known to be dead, the suspect left
 * out, and never one alone. So of two members the survivor always waits long: whether the other is dead or its own link,
 * nobody can tell it. (memberlist turns the long time off in small clusters; that kills at every hiccup.)
 */
export function accusersNeeded(witnesses: number): number {
  return Math.max(2, Math.min(ACCUSERS_ENOUGH, Math.floor(witnesses / 2) + 1));
}

/**
 * How long a suspicion lasts before it is believed: at first the longest time; each independent accuser takes from it, the
 * first ones most (Lifeguard): max − (max − min) · log(n + 1) / log(k + 1) with n of k confirmations beside the first accusation.
 */
export function suspicionTimeoutMs(options: {
  accusers: number;
  needed: number;
  minMs: Millis;
  maxMs: Millis;
}): Millis {
  const { accusers, needed, minMs, maxMs } = options;
  const part = Math.log(Math.max(1, accusers)) / Math.log(needed);
  return Math.max(minMs, maxMs - (maxMs - minMs) * part);
}

/**
 * The shortest and the longest time of a suspicion. A refutation has to travel, so it grows with log10 of the number of
 * members; and it doubles with each of the suspect's latest unsteadinesses: who comes and goes is given time, for itself and
 * for everybody who would have to hear of it.
 */
export function suspicionBoundsMs(options: { members: number; unsteady: number; baseMs: Millis; maxFactor: number }): {
  minMs: Millis;
  maxMs: Millis;
} {
  const { members, unsteady, baseMs, maxFactor } = options;
  const steadyMs = baseMs * Math.max(1, Math.log10(Math.max(1, members)));
  const minMs = steadyMs * 2 ** Math.min(UNSTEADY_MAX, unsteady);
  return { minMs, maxMs: Math.max(steadyMs * maxFactor, 2 * minMs) };
}

/** One member's case: who accuses it, and until when it may refute. */
export class Suspicion {
  readonly incarnation: number;
  /** Who accused it first. */
  readonly first: NodeKey;
  readonly #accusers: Set<NodeKey>;
  #since: Millis;

  constructor(options: { incarnation: number; by: NodeKey; now: Millis }) {
    this.incarnation = options.incarnation;
    this.first = options.by;
    this.#accusers = new Set([options.by]);
    this.#since = options.now;
  }

  get since(): Millis {
    return this.#since;
  }

  get accusers(): ReadonlySet<NodeKey> {
    return this.#accusers;
  }

  /** False when this one has accused it already, or enough others have. */
  confirm(by: NodeKey): boolean {
    if (this.#accusers.has(by) || this.#accusers.size >= ACCUSERS_ENOUGH) return false;
    this.#accusers.add(by);
    return true;
  }

  /** Time in which nobody could be heard does not count. */
  postpone(byMs: Millis): void {
    this.#since += byMs;
  }

  /** Others are heard again after none was: the case begins anew, on the word of the first accuser alone. */
  restart(now: Millis): void {
    this.#accusers.clear();
    this.#accusers.add(this.first);
    this.#since = now;
  }
}
