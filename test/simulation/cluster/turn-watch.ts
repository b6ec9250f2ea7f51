import { readFileSync } from 'node:fs';
import { Session } from 'node:inspector';

/** How long others had to wait for the thread. */
export interface TurnFacts {
  readonly turns: number;
  /** Turns longer than ten milliseconds; what the garbage collector took, or other programs of the machine, left out. */
  readonly ours: number;
  /** Turns longer than ten milliseconds for the collector alone. */
  readonly collectors: number;
  /** The longest without the collector, and with it, in milliseconds. */
  readonly longestMs: number;
  readonly longestWithGcMs: number;
  /** When those of our own code were, in milliseconds of `performance.now()`, and how long each ran besides the collector. */
  readonly longTurns: readonly LongTurn[];
}

export interface LongTurn {
  readonly from: number;
  readonly to: number;
  readonly ranMs: number;
}

const LONG_MS = 10;

/**
 * Times each turn of the event loop from now on, until `end` is called. What the garbage collector takes is told apart, its pauses and the
 * steps that it takes as one allocates: it may strike whoever happens to run. Where the system tells it (Linux), only the time on the
 * processor counts: on a busy machine a thread also waits for it, and the collector's threads for each other.
 */
export function watchTurns(): { end(): Promise<TurnFacts> } {
  const collector = watchCollector();
  const turns: Turn[] = [];
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
      watching = false;
      return factsOf(turns, await collector.end());
    },
  };
}

/** The collector at work in this thread: when, in milliseconds of `performance.now()`, and for how long on a processor. */
interface Pause {
  readonly from: number;
  readonly to: number;
  readonly ran: number;
}

/** Of what V8 traces of itself, its steps of marking are told to no PerformanceObserver. */
const COLLECTS = /^V8\.GC/;

function watchCollector(): { end(): Promise<Pause[]> } {
  const session = new Session();
  session.connect();
  const pauses: Pause[] = [];
  // It is traced by the machine's clock.
  const offsetMs = Number(process.hrtime.bigint()) / 1e6 - performance.now();
  session.on('NodeTracing.dataCollected', ({ params }) => {
    for (const { name, ph, tid, ts, dur, tdur } of params.value as unknown as Traced[]) {
      if (ph !== 'X' || tid !== process.pid || !COLLECTS.test(name)) continue;
      const from = ts / 1000 - offsetMs;
      pauses.push({ from, to: from + dur / 1000, ran: tdur / 1000 });
    }
  });
  session.post('NodeTracing.start', { traceConfig: { includedCategories: ['v8'] } });
  return {
    async end() {
      const whole = new Promise((resolve) => session.once('NodeTracing.tracingComplete', resolve));
      session.post('NodeTracing.stop');
      await whole;
      session.disconnect();
      return apart(pauses);
    },
  };
}

/** An event of V8's trace; times in microseconds. */
interface Traced {
  readonly name: string;
  readonly ph: string;
  readonly tid: number;
  readonly ts: number;
  readonly dur: number;
  /** Of the processor. */
  readonly tdur: number;
}

/** In their order, without those that are part of another. */
function apart(pauses: Pause[]): Pause[] {
  const found: Pause[] = [];
  for (const pause of pauses.sort((a, b) => a.from - b.from || b.to - a.to)) {
    if (pause.from >= (found.at(-1)?.to ?? Number.NEGATIVE_INFINITY)) found.push(pause);
  }
  return found;
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

function factsOf(turns: readonly Turn[], pauses: readonly Pause[]): TurnFacts {
  const facts = { turns: turns.length, ours: 0, collectors: 0, longestMs: 0, longestWithGcMs: 0 };
  const longTurns: LongTurn[] = [];
  let at = 0;
  for (const { from, to, ran } of turns) {
    const paused = { wall: 0, ran: 0 };
    for (let pause = pauses[at]; pause && pause.from < to; pause = pauses[++at]) {
      if (pause.from < from) continue;
      paused.wall += pause.to - pause.from;
      paused.ran += pause.ran;
    }
    const whole = Math.min(to - from, ran);
    const own = Math.min(to - from - paused.wall, ran - paused.ran);
    facts.longestMs = Math.max(facts.longestMs, own);
    facts.longestWithGcMs = Math.max(facts.longestWithGcMs, whole);
    if (own > LONG_MS) {
      facts.ours++;
      longTurns.push({ from, to, ranMs: own });
    } else if (whole > LONG_MS) facts.collectors++;
  }
  return { ...facts, longTurns };
}
