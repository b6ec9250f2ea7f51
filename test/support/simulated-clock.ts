import { setImmediate as turn } from 'node:timers/promises';
import type { MeshClock } from '../../lib/transport/clock.js';
import { Heap } from '../../lib/util/heap.js';

/** A clock that only moves when told to; what happens at one instant is finished (promises and streams too) before the next. */
export interface SimulatedClock extends MeshClock {
  /** Lets this much time pass. */
  advance(ms: number): Promise<void>;
  /** Lets time pass until the condition holds, at most `limitMs`; answers how long that took, or throws. */
  until(condition: () => boolean, limitMs: number, what?: string): Promise<number>;
  /** The wall clock is set, or the machine slept: monotonic time stands still. */
  jump(ms: number): void;
}

interface Timer {
  atMs: number;
  order: number;
  fn: (() => void) | undefined;
}

export function createSimulatedClock(startMs = 1_800_000_000_000): SimulatedClock {
  const timers = new Heap<Timer>((a, b) => a.atMs < b.atMs || (a.atMs === b.atMs && a.order < b.order));
  let elapsedMs = 0;
  let jumpedMs = 0;
  let order = 0;

  /** Fires what is due at the next instant up to `endMs`; false when there is none. */
  function fireNext(endMs: number): boolean {
    for (let next = timers.peek(); next && !next.fn; next = timers.peek()) timers.pop();
    const next = timers.peek();
    if (!next || next.atMs > endMs) return false;
    elapsedMs = Math.max(elapsedMs, next.atMs);
    while ((timers.peek()?.atMs ?? Number.POSITIVE_INFINITY) <= elapsedMs) {
      const timer = timers.pop();
      const fn = timer?.fn;
      if (timer) timer.fn = undefined;
      fn?.();
    }
    return true;
  }

  return {
    now: () => startMs + jumpedMs + elapsedMs,
    monotonicMs: () => elapsedMs,
    setTimeout(ms, fn) {
      const timer: Timer = { atMs: elapsedMs + Math.max(0, ms), order: order++, fn };
      timers.push(timer);
      return () => {
        timer.fn = undefined;
      };
    },
    async advance(ms) {
      const endMs = elapsedMs + ms;
      await turn();
      while (fireNext(endMs)) await turn();
      elapsedMs = endMs;
    },
    async until(condition, limitMs, what = 'the condition') {
      const startedMs = elapsedMs;
      await turn();
      while (!condition()) {
        if (!fireNext(startedMs + limitMs)) throw new Error(`${what} did not come true within ${limitMs} ms`);
        await turn();
      }
      return elapsedMs - startedMs;
    },
    jump(ms) {
      jumpedMs += ms;
    },
  };
}
