import type { Millis } from '../util/clock.js';

/** The client's clock: the system's in an agent, a hand-moved one in tests. */
export interface Timers {
  now(): Millis;
  /** Calls `fn` once after `ms`; the returned function cancels it. */
  after(ms: Millis, fn: () => void): () => void;
}

/** Longest delay that a Node timer can hold (2^31 − 1 ms). */
const TIMER_MAX_MS = 2_147_483_647;

/** Real timers over the given clock. */
export function systemTimers(now: () => Millis): Timers {
  return {
    now,
    after(ms, fn) {
      const timer = setTimeout(fn, Math.min(Math.max(0, ms), TIMER_MAX_MS));
      return () => clearTimeout(timer);
    },
  };
}

/** Settles after `ms`, or at once when one of the signals is aborted; says whether the time ran out. */
export function sleep(timers: Timers, ms: Millis, ...signals: AbortSignal[]): Promise<boolean> {
  if (signals.some((signal) => signal.aborted)) return Promise.resolve(false);
  return new Promise((resolve) => {
    // Taken off by hand: a signal that lives as long as the client must not collect what waited for it.
    const end = (inTime: boolean): void => {
      cancel();
      for (const signal of signals) signal.removeEventListener('abort', onAbort);
      resolve(inTime);
    };
    const onAbort = (): void => end(false);
    const cancel = timers.after(ms, () => end(true));
    for (const signal of signals) signal.addEventListener('abort', onAbort);
  });
}

/** Settles when one of them does. */
export async function orAborted(promise: Promise<unknown>, signal: AbortSignal): Promise<void> {
  if (signal.aborted) return;
  let wake = (): void => {};
  const aborted = new Promise<void>((resolve) => {
    wake = resolve;
    signal.addEventListener('abort', wake);
  });
  await Promise.race([promise, aborted]);
  signal.removeEventListener('abort', wake);
}

/** The zero time of Go, which Nomad's JSON uses for "has not happened". */
export const ZERO_TIME = '0001-01-01T00:00:00Z';

/** RFC 3339 as Nomad's JSON carries times. */
export function toRfc3339(ms: Millis): string {
  return new Date(ms).toISOString();
}
