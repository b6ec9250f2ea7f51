import type { Millis } from '../util/clock.js';

/** Time and timers of the mesh: the system's in an agent, simulated in tests, so that a thousand peers need no waiting. */
export interface MeshClock {
  /** Milliseconds since the epoch, as the machine believes: for certificates, and to notice a clock that jumped. */
  now(): Millis;
  /** Milliseconds that only go forward: for round trips and silence. May stand still while the machine sleeps. */
  monotonicMs(): number;
  /** Calls `fn` once after `ms`; the returned function cancels it and may be called at any time. */
  setTimeout(ms: number, fn: () => void): () => void;
}

/** Between two moments at which the timers of many links come together. */
const BEAT_MS = 250;

/**
 * How long to wait for at least `ms`, so that the timers of all links of this process that are about due run at one moment: to
 * be woken for each of them costs several times as much as to be woken once for all.
 */
export function untilBeatMs(clock: Pick<MeshClock, 'monotonicMs'>, ms: number): number {
  const now = clock.monotonicMs();
  return Math.ceil(Math.ceil((now + ms) / BEAT_MS) * BEAT_MS - now);
}

/** The system's own. Its timers do not keep the process alive. */
export const systemClock: MeshClock = {
  now: () => Date.now(),
  monotonicMs: () => performance.now(),
  setTimeout(ms, fn) {
    const timer = setTimeout(fn, Math.max(0, ms));
    timer.unref();
    return () => clearTimeout(timer);
  },
};
