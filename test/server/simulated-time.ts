import type { Timers } from '../../lib/server/timers.js';

/** A clock with timers that only moves when told to. */
export interface SimulatedTime {
  now(): number;
  timers: Timers;
  /** Lets `ms` pass, firing what is due on the way; after each firing everything that follows from it settles. */
  advance(ms: number): Promise<void>;
  /** Lets `ms` pass without firing anything: the machine is suspended. What was due fires late, at the next advance. */
  sleep(ms: number): void;
}

/** Lets promises that are already settled run on: the in-memory consensus answers in microtasks. */
export async function settle(): Promise<void> {
  for (let i = 0; i < 5; i++) await new Promise((resolve) => setImmediate(resolve));
}

export function createSimulatedTime(startMs = Date.UTC(2026, 0, 1)): SimulatedTime {
  let nowMs = startMs;
  let order = 0;
  const waiting = new Set<{ due: number; order: number; fn: () => void }>();
  const next = () => [...waiting].sort((a, b) => a.due - b.due || a.order - b.order)[0];
  return {
    now: () => nowMs,
    timers: {
      setTimeout(ms, fn) {
        const timer = { due: nowMs + ms, order: order++, fn };
        waiting.add(timer);
        return () => waiting.delete(timer);
      },
      soon: queueMicrotask,
    },
    sleep(ms) {
      nowMs += ms;
    },
    async advance(ms) {
      const end = nowMs + ms;
      await settle();
      for (let timer = next(); timer && timer.due <= end; timer = next()) {
        waiting.delete(timer);
        nowMs = Math.max(nowMs, timer.due);
        timer.fn();
        await settle();
      }
      nowMs = end;
      await settle();
    },
  };
}
