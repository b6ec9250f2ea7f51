import type { NodeKey } from '../structs/mesh.js';
import type { Millis } from '../util/clock.js';

/** A question to one member: is it there? */
export interface Probe {
  readonly seq: number;
  readonly key: NodeKey;
  readonly startedAt: Millis;
  /** When the direct way is asked a second time, and others are asked to try. */
  indirectAt: Millis;
  /** When there was no answer by any way. */
  deadline: Millis;
  /** Members asked to try; null = not yet. */
  asked: ReadonlySet<NodeKey> | null;
  /** Those of them who said that they heard nothing either. */
  readonly nacked: Set<NodeKey>;
}

/** A probe made for another. */
export interface Errand {
  readonly seq: number;
  readonly target: NodeKey;
  readonly origin: NodeKey;
  readonly originSeq: number;
  nackAt: Millis;
  nacked: boolean;
  /** An answer later than this is of no use. */
  endsAt: Millis;
}

/** What others may make this member do at once. */
const ERRANDS_MAX = 1_024;

/** Probes and errands that are under way. */
export class ProbeTable {
  readonly #probes = new Map<number, Probe>();
  readonly #byKey = new Map<NodeKey, Probe>();
  readonly #errands = new Map<number, Errand>();
  #seq = 0;

  nextSeq(): number {
    this.#seq = (this.#seq + 1) >>> 0;
    return this.#seq;
  }

  probes(): Iterable<Probe> {
    return this.#probes.values();
  }

  errands(): Iterable<Errand> {
    return this.#errands.values();
  }

  add(probe: Probe): void {
    this.#probes.set(probe.seq, probe);
    this.#byKey.set(probe.key, probe);
  }

  get(seq: number): Probe | undefined {
    return this.#probes.get(seq);
  }

  of(key: NodeKey): Probe | undefined {
    return this.#byKey.get(key);
  }

  end(probe: Probe): void {
    this.#probes.delete(probe.seq);
    if (this.#byKey.get(probe.key) === probe) this.#byKey.delete(probe.key);
  }

  /** False when there are too many already. */
  addErrand(errand: Errand): boolean {
    if (this.#errands.size >= ERRANDS_MAX) return false;
    this.#errands.set(errand.seq, errand);
    return true;
  }

  takeErrand(seq: number): Errand | undefined {
    const errand = this.#errands.get(seq);
    this.#errands.delete(seq);
    return errand;
  }

  /** Time in which this process was asleep counts for nobody. */
  postpone(byMs: Millis): void {
    for (const probe of this.#probes.values()) {
      probe.indirectAt += byMs;
      probe.deadline += byMs;
    }
    for (const errand of this.#errands.values()) {
      errand.nackAt += byMs;
      errand.endsAt += byMs;
    }
  }

  /** When something is to be done next. */
  dueAt(): Millis {
    let due = Number.POSITIVE_INFINITY;
    for (const probe of this.#probes.values())
      due = Math.min(due, probe.asked === null ? probe.indirectAt : probe.deadline);
    for (const errand of this.#errands.values()) due = Math.min(due, errand.nacked ? errand.endsAt : errand.nackAt);
    return due;
  }
}
