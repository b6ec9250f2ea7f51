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
  /** When those of our own code were, in milliseconds of `performance.now()`, and how long each ran besides the pauses of the collector. */
  readonly longTurns: readonly LongTurn[];
}

export interface LongTurn {
  readonly from: number;
  readonly to: number;
  readonly ranMs: number;
  readonly pausedMs: number;
}

const LONG_MS = 10;

/**
 * Times each turn of the event loop from now on, until `end` is called. What the garbage collector takes is told apart: it may
 * strike whoever happens to run. Where the system tells it (Linux), only the time on the processor counts: on a busy machine a
 * thread also waits for it, and the collector's threads for each other.
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
  let lastRan = ranMs();
  const look = (): void => {
    const ran = ranMs();
    turns.push({ from: last, to: performance.now(), ran: ran - lastRan });
    lastRan = ran;
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
  /** Milliseconds on a processor. */
  readonly ran: number;
}

/** How long this thread has been on a processor, in milliseconds; as the clock says where nobody knows. */
function ranMs(): number {
  try {
    return Number(readFileSync(`/proc/self/task/${process.pid}/schedstat`, 'utf8').split(' ')[0]) / 1e6;
  } catch {
    return performance.now();
  }
}

function factsOf(turns: readonly Turn[], pauses: { from: number; to: number }[]): TurnFacts {
  pauses.sort((a, b) => a.from - b.from);
  const facts = { turns: turns.length, ours: 0, collectors: 0, longestMs: 0, longestWithGcMs: 0 };
  const longTurns: LongTurn[] = [];
  let at = 0;
  for (const { from, to, ran } of turns) {
    while (at < pauses.length && (pauses[at]?.to ?? 0) <= from) at++;
    let paused = 0;
    for (let i = at; i < pauses.length; i++) {
      const pause = pauses[i] as { from: number; to: number };
      if (pause.from >= to) break;
      paused += Math.min(to, pause.to) - Math.max(from, pause.from);
    }
    const whole = Math.min(to - from, ran);
    facts.longestMs = Math.max(facts.longestMs, whole - paused);
    facts.longestWithGcMs = Math.max(facts.longestWithGcMs, whole);
    if (whole - paused > LONG_MS) {
      facts.ours++;
      longTurns.push({ from, to, ranMs: whole - paused, pausedMs: paused });
    } else if (whole > LONG_MS) facts.collectors++;
  }
  return { ...facts, longTurns };
}
