import { MeshError } from '../../structs/errors.js';
import type { Timers } from '../timers.js';
import type { Heard } from './follow.js';

/** How often it is looked whether the state has come as far as a read needs. */
const POLL_MS = 10;
/** A read waits so long for the feed. */
const PATIENCE_MS = 5_000;
const BEHIND =
  'the state feed is behind what is decided: a stale answer can be had here, another one from other servers';

export interface ReplicaClockOptions {
  /** Milliseconds that never go back. */
  readonly now: () => number;
  readonly timers: Timers;
  /** How far the state is that may be shown; 0 while none may. */
  readonly applied: () => number;
}

/**
 * How old the state is that a server outside of the group shows. The leader says now and then how far it has applied; once the
 * state here has come as far, it is no older than that word.
 */
export class ReplicaClock {
  readonly #options: ReplicaClockOptions;
  #contactMs: number;
  #heardMs = Number.NEGATIVE_INFINITY;
  /** The oldest word that the state has not come up to. */
  #pending: Heard | null = null;

  constructor(options: ReplicaClockOptions) {
    this.#options = options;
    this.#contactMs = options.now();
  }

  /** A leader said how far it is. */
  heard(word: Heard): void {
    this.#settle();
    this.#heardMs = this.#options.now();
    this.#pending ??= word;
    this.#settle();
  }

  #settle(): void {
    if (this.#pending === null || this.#options.applied() < this.#pending.index) return;
    this.#contactMs = Math.max(this.#contactMs, this.#pending.atMs);
    this.#pending = null;
  }

  /** Since a leader said anything. */
  silentMs(): number {
    return this.#options.now() - this.#heardMs;
  }

  /** The state here is no older. */
  lastContactMs(): number {
    this.#settle();
    return Math.max(0, this.#options.now() - this.#contactMs);
  }

  /** Resolves when the state has come so far; rejects with E_TIMEOUT when it does not come to it. */
  async reaches(index: number): Promise<void> {
    const { now, timers, applied } = this.#options;
    const endMs = now() + PATIENCE_MS;
    while (applied() < index) {
      if (now() > endMs) throw new MeshError('E_TIMEOUT', BEHIND);
      await new Promise<void>((resolve) => void timers.setTimeout(POLL_MS, resolve));
    }
  }
}
