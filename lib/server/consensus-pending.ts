import type { Raft } from '../raft/index.js';
import type { MeshError } from '../structs/errors.js';
import { HEARTBEAT_TICKS } from './consensus-clock.js';
import { noLeader } from './consensus-errors.js';

const READ_AGAIN_TICKS = 2 * HEARTBEAT_TICKS;

interface Write {
  readonly term: number;
  readonly resolve: (outcome: { index: number; result: unknown }) => void;
  readonly reject: (error: MeshError) => void;
}

/** Proposals that wait to be committed and applied, by their index. */
export class PendingWrites {
  readonly #writes = new Map<number, Write>();

  wait(index: number, term: number): Promise<{ index: number; result: unknown }> {
    return new Promise((resolve, reject) => this.#writes.set(index, { term, resolve, reject }));
  }

  /** What waits for an index, which is now applied. */
  take(index: number): Write | undefined {
    const write = this.#writes.get(index);
    if (write !== undefined) this.#writes.delete(index);
    return write;
  }

  /** Rejects all beyond an index. */
  rejectAfter(index: number, error: MeshError): void {
    for (const [at, write] of this.#writes) {
      if (at <= index) continue;
      this.#writes.delete(at);
      write.reject(error);
    }
  }

  /** Rejects all up to an index: a snapshot took the place of their entries. */
  rejectUpTo(index: number, error: MeshError): void {
    for (const [at, write] of this.#writes) {
      if (at > index) continue;
      this.#writes.delete(at);
      write.reject(error);
    }
  }
}

interface Read {
  readonly resolve: (index: number) => void;
  readonly reject: (error: MeshError) => void;
  readonly sinceMs: number;
}

/**
 * Reads on their way to being linearizable:
 *
 *     fresh ──asked together──▶ asked ──raft names an index──▶ waiting ──applied──▶ answered
 */
export class PendingReads {
  #fresh: Read[] = [];
  readonly #asked = new Map<number, readonly Read[]>();
  #waiting: { index: number; reads: readonly Read[] }[] = [];
  #context: number | null = null;
  readonly #contextsFrom: () => number;
  #ticksToRetry = READ_AGAIN_TICKS;

  /** Questions are numbered from there. An answer to one that this server asked before it was started again must be nobody's: it is old. */
  constructor(contextsFrom: () => number) {
    this.#contextsFrom = contextsFrom;
  }

  wait(nowMs: number): Promise<number> {
    return new Promise((resolve, reject) => this.#fresh.push({ resolve, reject, sinceMs: nowMs }));
  }

  /** Asks for one index for all that came since the last time, if there is a leader to ask. */
  ask(raft: Raft): void {
    if (this.#fresh.length === 0) return;
    const context = (this.#context ?? this.#contextsFrom()) + 1;
    if (!raft.readIndex(context).ok) return;
    this.#context = context;
    this.#asked.set(context, this.#fresh);
    this.#fresh = [];
  }

  /** Asks again for all that has no answer: questions and answers get lost, and leaders forget. */
  askAgain(raft: Raft): void {
    for (const context of this.#asked.keys()) if (!raft.readIndex(context).ok) return;
  }

  /** Time passes: what has waited for too long is rejected, what waits is asked again now and then. */
  tick(raft: Raft, time: { nowMs: number; patienceMs: number }): void {
    if ((this.#asked.size === 0 && this.#fresh.length === 0) || --this.#ticksToRetry > 0) return;
    this.#ticksToRetry = READ_AGAIN_TICKS;
    this.#rejectOlder(time.nowMs - time.patienceMs, noLeader(`none answered for ${time.patienceMs / 1000} s`));
    // Its own questions a leader keeps itself.
    if (raft.role !== 'leader') this.askAgain(raft);
    this.ask(raft);
  }

  /** Raft names the index for a question. */
  named(context: number, index: number): void {
    const reads = this.#asked.get(context);
    if (reads === undefined) return;
    this.#asked.delete(context);
    this.#waiting.push({ index, reads });
  }

  /** Lets those go for which enough is applied. */
  applied(index: number): void {
    if (this.#waiting.length === 0) return;
    const ready = this.#waiting.filter((waiting) => waiting.index <= index);
    if (ready.length === 0) return;
    this.#waiting = this.#waiting.filter((waiting) => waiting.index > index);
    for (const { reads } of ready) for (const read of reads) read.resolve(index);
  }

  /** Rejects those without an index that began before a time. */
  #rejectOlder(thanMs: number, error: MeshError): void {
    const old = (read: Read): boolean => read.sinceMs < thanMs;
    for (const read of this.#fresh.filter(old)) read.reject(error);
    this.#fresh = this.#fresh.filter((read) => !old(read));
    for (const [context, reads] of this.#asked) {
      if (!reads.every(old)) continue;
      this.#asked.delete(context);
      for (const read of reads) read.reject(error);
    }
  }

  rejectAll(error: MeshError): void {
    const reads = [...this.#fresh, ...[...this.#asked.values()].flat(), ...this.#waiting.flatMap(({ reads }) => reads)];
    this.#fresh = [];
    this.#asked.clear();
    this.#waiting = [];
    for (const read of reads) read.reject(error);
  }
}
