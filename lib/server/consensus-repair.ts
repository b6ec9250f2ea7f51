import { backoffMs } from '../util/backoff.js';
import type { Random } from '../util/random.js';
import type { Timers } from './timers.js';

const FIRST_MS = 500;
const MAX_MS = 10_000;

/** When a disk that refused is tried again: soon at first, then less and less often. */
export class RepairPlan {
  readonly #timers: Timers;
  readonly #random: Random;
  #attempts = 0;
  #cancel = (): void => {};

  constructor(options: { timers: Timers; random: Random }) {
    this.#timers = options.timers;
    this.#random = options.random;
  }

  /** Nothing was tried since the disk was well. */
  get isFirst(): boolean {
    return this.#attempts === 0;
  }

  later(work: () => void): void {
    const attempt = this.#attempts++;
    const ms = backoffMs({ attempt, baseMs: FIRST_MS, maxMs: MAX_MS, random: this.#random });
    this.#cancel = this.#timers.setTimeout(ms, work);
  }

  /** The disk is well. */
  succeeded(): void {
    this.#attempts = 0;
  }

  cancel(): void {
    this.#cancel();
  }
}
