import { type MeshClock, untilBeatMs } from './clock.js';

/** How often a link is tried, and how long it may be silent. */
export interface Pace {
  readonly everyMs: number;
  readonly deadMs: number;
}

/** For links that nothing hurries. */
export const CALM: Pace = { everyMs: 5_000, deadMs: 15_000 };

/** A timer that comes later than this was held up by this very machine: others are not to blame for its silence. */
const LATE_MS = 1_000;
/** How long the other side then gets to answer. */
const SECOND_CHANCE_MS = 1_500;
/** So often since the last word: between two timers this process has read what had come, however late they were. */
const CHANCES_MAX = 2;
/** Silence after which a side asks, in periods: the one that sets the beat, and the other, which asks when a beat is missing. */
const PATIENCE = { leader: 1, follower: 1.4 };
/** A side that says how often it asks is dead after so many of these periods. */
const SILENT_PERIODS = 2.2;
/** A timer of the system may come by so much before its time. */
const EARLY_MS = 20;
/** Even a quiet link is measured from time to time. */
const MEASURE_EVERY = 8;
const SAMPLES = 9;
/** A slow way is not a dead one. */
const RTT_ALLOWANCE = 4;
const RTT_ALLOWANCE_MAX_MS = 5_000;
/** The other side may ask for less, not for so little that nobody would notice a loss. */
const ASKED_EVERY_MAX_MS = 10_000;

export interface HeartbeatOptions {
  clock: MeshClock;
  pace: Pace;
  /** Asks when both sides would ask equally often: the one that dialled. */
  leads: boolean;
  /** Sends a ping with this number, saying how often such come. */
  ping(id: number, everyMs: number): void;
  dead(silentMs: number): void;
}

/**
 * Decides whether the other end of a link is alive: who hears nothing for a while asks, and who gets no answer gives up. One
 * side's question is a sign of life to the other, so that a quiet link carries one question and one answer a period.
 */
export class Heartbeat {
  readonly #options: HeartbeatOptions;
  #pace: Pace;
  #heardAtMs: number;
  #chances = 0;
  #dueAtMs = 0;
  #cancel: (() => void) | undefined;
  #pingId = 0;
  #pingedAtMs = 0;
  #answered = true;
  #ticks = 0;
  /** What the other side said about its own pings; Infinity = nothing yet. */
  #theirEveryMs = Number.POSITIVE_INFINITY;
  /** How often the other side wants to be asked at most. */
  #askedEveryMs = 0;
  readonly #samples: number[] = [];
  #medianMs: number | null = null;
  /** The shortest round trip so far: what the way itself takes, without what waits on it. 0 before the first. */
  bestRttMs = 0;

  constructor(options: HeartbeatOptions) {
    this.#options = options;
    this.#pace = options.pace;
    this.#heardAtMs = options.clock.monotonicMs();
    this.#ask();
    this.#schedule();
  }

  /** Median of the latest round trips; null before the first. */
  get rttMs(): number | null {
    return this.#medianMs;
  }

  /** Milliseconds since anything came. */
  get silentMs(): number {
    return this.#options.clock.monotonicMs() - this.#heardAtMs;
  }

  heard(): void {
    this.#heardAtMs = this.#options.clock.monotonicMs();
    this.#chances = 0;
  }

  /** An answer: `wishMs` = how often the other side would like to be asked at most. */
  pong(id: number, wishMs: unknown): void {
    if (typeof wishMs === 'number' && wishMs >= 0) this.#askedEveryMs = Math.min(wishMs, ASKED_EVERY_MAX_MS);
    if (this.#answered || id !== this.#pingId) return;
    this.#answered = true;
    const rttMs = this.#options.clock.monotonicMs() - this.#pingedAtMs;
    this.bestRttMs = this.#samples.length === 0 ? rttMs : Math.min(this.bestRttMs, rttMs);
    this.#samples.push(rttMs);
    if (this.#samples.length > SAMPLES) this.#samples.shift();
    this.#medianMs = [...this.#samples].sort((a, b) => a - b)[this.#samples.length >> 1] as number;
  }

  /** The other side says how often it asks: its silence is noticed by that measure. */
  expectEvery(ms: unknown): void {
    if (typeof ms !== 'number' || ms <= 0) return;
    const everyMs = Math.max(ms, 1_000);
    const isBrisker = everyMs < this.#theirEveryMs;
    this.#theirEveryMs = everyMs;
    if (isBrisker) this.#schedule();
  }

  pace(pace: Pace): void {
    if (pace.everyMs === this.#pace.everyMs && pace.deadMs === this.#pace.deadMs) return;
    const isBrisker = pace.everyMs < this.#pace.everyMs;
    this.#pace = pace;
    // The other side goes by what it was told last, and where there is traffic nothing else is asked for a while.
    if (isBrisker) this.#ask();
    this.#schedule();
  }

  /** Something is wrong around here: asks now, and gives up soon when nothing comes. */
  hurry(): void {
    const latest =
      this.#options.clock.monotonicMs() - this.#deadMs() + SECOND_CHANCE_MS + (this.rttMs ?? 0) * RTT_ALLOWANCE;
    this.#heardAtMs = Math.min(this.#heardAtMs, latest);
    this.#ask();
    this.#schedule();
  }

  stop(): void {
    this.#cancel?.();
    this.#cancel = undefined;
  }

  #everyMs(): number {
    return Math.max(this.#pace.everyMs, this.#askedEveryMs);
  }

  #deadMs(): number {
    const { everyMs, deadMs } = this.#pace;
    const own = Math.max(deadMs, (deadMs / everyMs) * this.#everyMs());
    const expected = Math.min(own, Math.max(3_000, this.#theirEveryMs * SILENT_PERIODS));
    return expected + Math.min((this.rttMs ?? 0) * RTT_ALLOWANCE, RTT_ALLOWANCE_MAX_MS);
  }

  #periodMs(): number {
    return Math.min(this.#everyMs(), this.#deadMs() / SILENT_PERIODS);
  }

  #schedule(): void {
    this.#cancel?.();
    const waitMs = Math.max(10, Math.min(this.#beatMs(), this.#deadMs() - this.silentMs));
    this.#dueAtMs = this.#options.clock.monotonicMs() + waitMs;
    this.#cancel = this.#options.clock.setTimeout(waitMs, () => this.#tick());
  }

  /** Until it is to be looked at next, while nothing is wrong: whatever is heard meanwhile spares a question. */
  #beatMs(): number {
    const leftMs = this.#patienceMs - this.silentMs;
    // Whoever waits for an answer already asks again after a period.
    return untilBeatMs(this.#options.clock, leftMs > EARLY_MS ? leftMs : this.#periodMs() - EARLY_MS);
  }

  get #patienceMs(): number {
    return this.#periodMs() * (this.#leads ? PATIENCE.leader : PATIENCE.follower);
  }

  /** The side that asks more often sets the beat; the other one asks only when a beat is missing. */
  get #leads(): boolean {
    const everyMs = this.#everyMs();
    return everyMs < this.#theirEveryMs || (everyMs === this.#theirEveryMs && this.#options.leads);
  }

  #tick(): void {
    const now = this.#options.clock.monotonicMs();
    if (now - this.#dueAtMs > LATE_MS && this.#chances < CHANCES_MAX) {
      this.#chances++;
      this.#heardAtMs = Math.max(this.#heardAtMs, now - this.#deadMs() + SECOND_CHANCE_MS);
    }
    if (this.silentMs >= this.#deadMs()) {
      this.#options.dead(this.silentMs);
      return;
    }
    if (this.silentMs >= this.#patienceMs - EARLY_MS || this.#ticks++ % MEASURE_EVERY === 0) this.#ask();
    this.#schedule();
  }

  #ask(): void {
    this.#answered = false;
    this.#pingId = (this.#pingId + 1) >>> 0;
    this.#pingedAtMs = this.#options.clock.monotonicMs();
    this.#options.ping(this.#pingId, this.#everyMs());
  }
}
