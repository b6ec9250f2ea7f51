import type { Raft } from '../raft/index.js';
import type { Timers } from './timers.js';

/** Ticks of silence before an election, at least; up to two thirds more, at random. With TICK_MS: 0.9 to 1.5 s. */
export const ELECTION_TICKS = 18;
/** With TICK_MS: a heartbeat each 200 ms. */
export const HEARTBEAT_TICKS = 4;
const TICK_MS = 50;
const TICK_MS_MAX = 500;
/** A timer that is late by more ticks than this means that the machine slept: the time is not held against anybody. */
const LATE_TICKS = 10;

/** How long a tick is for a group whose slowest voter answers after `rttMs`: an election then lasts nine times as long, or more. */
export function tickMsFor(rttMs: number): number {
  return Math.round(Math.min(TICK_MS_MAX, Math.max(TICK_MS, rttMs / 2)));
}

/**
 * How many ticks have passed when `elapsedMs` have. After a long gap only one: the process was suspended or starved, what
 * others sent meanwhile lies unread, and their silence proves nothing.
 */
export function ticksPassed(elapsedMs: number, tickMs: number): number {
  const ticks = Math.floor(elapsedMs / tickMs);
  return slept(ticks) ? 1 : ticks;
}

function slept(ticks: number): boolean {
  return ticks > LATE_TICKS;
}

/** Calls `tick` as often as time passes, while it runs. */
export class Ticker {
  readonly #timers: Timers;
  readonly #now: () => number;
  readonly #tick: () => void;
  #cancel: (() => void) | null = null;
  #countedToMs = 0;
  #tickMs = TICK_MS;

  constructor(options: { timers: Timers; now: () => number; tick: () => void }) {
    this.#timers = options.timers;
    this.#now = options.now;
    this.#tick = options.tick;
  }

  get tickMs(): number {
    return this.#tickMs;
  }

  /** From the next tick on; outside of the limits the nearest is taken. */
  set tickMs(ms: number) {
    this.#tickMs = Math.min(TICK_MS_MAX, Math.max(TICK_MS, ms));
  }

  get electionMs(): number {
    return ELECTION_TICKS * this.#tickMs;
  }

  run(wanted: boolean): void {
    if (wanted === (this.#cancel !== null)) return;
    if (!wanted) {
      this.#cancel?.();
      this.#cancel = null;
      return;
    }
    this.#countedToMs = this.#now();
    this.#wait();
  }

  #wait(): void {
    this.#cancel = this.#timers.setTimeout(this.#tickMs, () => {
      const elapsedMs = this.#now() - this.#countedToMs;
      const ticks = ticksPassed(elapsedMs, this.#tickMs);
      // What is left of a whole tick counts for the next one, unless the machine slept.
      this.#countedToMs += slept(Math.floor(elapsedMs / this.#tickMs)) ? elapsedMs : ticks * this.#tickMs;
      this.#wait();
      for (let i = 0; i < ticks && this.#cancel !== null; i++) this.#tick();
    });
  }
}

/** Alone, or in no group yet, there is nobody whose silence could mean anything. */
export function needsTicks(raft: Raft): boolean {
  const { voters, learners } = raft.membership;
  return voters.length > 0 && !(raft.isSoleVoter && learners.length === 0);
}
