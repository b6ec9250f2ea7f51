import { readFileSync } from 'node:fs';
import { type PerformanceEntry, PerformanceObserver, performance } from 'node:perf_hooks';

/** How long others had to wait for the thread. */
export interface TurnFacts {
  readonly turns: number;
  /** Turns longer than ten milliseconds; what the garbage collector took, or other programs of the machine, left out. */
  readonly ours: number;
  /** Turns longer than ten milliseconds for a pause of the collector alone. */
  readonly collectors: number;
  /** The longest without the collector, and with it, in milliseconds. */
  readonly longestMs: number;
  readonly longestWithGcMs: number;
  /** When those of our own code were, in milliseconds of `performance.now()`. */
  readonly longTurns: readonly { readonly from: number; readonly to: number }[];
}

const LONG_MS = 10;

/**
 * Times each turn of the event loop from now on, until `end` is called. What the garbage collector takes is told apart: it may
 * strike whoever happens to run. So is the time for which the thread was ready and the processor busy with others, where the
 * system tells it (Linux).
 */
export function watchTurns(): { end(): Promise<TurnFacts> } {
  const pauses: { from: number; to: number }[] = [];
  const turns: Turn[] = [];
  const observer = new PerformanceObserver((list) => {
    for (const entry of list.getEntries() as PerformanceEntry[]) {
      pauses.push({ from: entry.startTime, to: entry.startTime + entry.duration });
    }
  });
  observer.observe({ entryTypes: ['gc'] });
  let watching = true;
  let last = performance.now();
  let lastWaited = waitedMs();
  const look = (): void => {
    const waited = waitedMs();
    turns.push({ from: last, to: performance.now(), waited: waited - lastWaited });
    lastWaited = waited;
    last = performance.now();
    if (watching) setImmediate(look);
  };
  setImmediate(look);
  return {
    async end() {
      // The observer is told of pauses a turn later.
      await new Promise((resolve) => setTimeout(resolve, 20));
      watching = false;
      observer.disconnect();
      return factsOf(turns, pauses);
    },
  };
}

interface Turn {
  readonly from: number;
  readonly to: number;
  /** Milliseconds without a processor. */
  readonly waited: number;
}

/** How long this thread has waited for a processor, in milliseconds; 0 where nobody knows. */
function waitedMs(): number {
  try {
    return Number(readFileSync(`/proc/self/task/${process.pid}/schedstat`, 'utf8').split(' ')[1]) / 1e6;
  } catch {
    return 0;
  }
}

function factsOf(turns: readonly Turn[], pauses: { from: number; to: number }[]): TurnFacts {
  pauses.sort((a, b) => a.from - b.from);
  const facts = { turns: turns.length, ours: 0, collectors: 0, longestMs: 0, longestWithGcMs: 0 };
  const longTurns: { from: number; to: number }[] = [];
  let at = 0;
  for (const { from, to, waited } of turns) {
    while (at < pauses.length && (pauses[at]?.to ?? 0) <= from) at++;
    let paused = 0;
    for (let i = at; i < pauses.length; i++) {
      const pause = pauses[i] as { from: number; to: number };
      if (pause.from >= to) break;
      paused += Math.min(to, pause.to) - Math.max(from, pause.from);
    }
    const whole = to - from - waited;
    facts.longestMs = Math.max(facts.longestMs, whole - paused);
    facts.longestWithGcMs = Math.max(facts.longestWithGcMs, whole);
    if (whole - paused > LONG_MS) {
      facts.ours++;
      longTurns.push({ from, to });
    } else if (whole > LONG_MS) facts.collectors++;
  }
  return { ...facts, longTurns };
}
