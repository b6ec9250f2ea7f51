import { Turns } from '../util/turns.js';

/** Where the server's watchers get their timers from: the system in an agent, simulated time in tests. */
export interface Timers {
  /** Calls `fn` once after `ms` milliseconds; the returned function cancels it and may be called at any time. */
  setTimeout(ms: number, fn: () => void): () => void;
  /** Calls `fn` once the present turn is over: answers that are ready go out first. */
  soon(fn: () => void): void;
}

/** The longest delay a Node timer takes; a longer one would fire at once. Who waits longer looks again then. */
const DELAY_MAX_MS = 2 ** 31 - 1;

/** Once so much of a turn is gone, who else waits for one gets the next: sockets and heartbeats come in between. */
const TURN_MS = 3;

/**
 * What is called soon is called in its order, as much in one turn as is little. Each on its own would rest often enough; but an
 * evaluation, a write and a list that rest together would also go on together, and hold the thread for the sum of their parts.
 */
export function createSoon(parts: {
  now: () => number;
  immediate: (fn: () => void) => void;
}): (fn: () => void) => void {
  const { now, immediate } = parts;
  const waiting: (() => void)[] = [];
  let began: number | null = null;
  const next = (): void => {
    if (began === null) {
      began = now();
      // The first of the next turn.
      immediate(() => {
        began = null;
      });
    } else if (now() - began >= TURN_MS) {
      immediate(next);
      return;
    }
    waiting.shift()?.();
  };
  return (fn) => {
    waiting.push(fn);
    immediate(next);
  };
}

/** Timers of the system. They do not keep the process alive. */
export const systemTimers: Timers = {
  setTimeout(ms, fn) {
    const timer = setTimeout(fn, Math.min(Math.max(0, ms), DELAY_MAX_MS));
    timer.unref();
    return () => clearTimeout(timer);
  },
  soon: createSoon({ now: () => performance.now(), immediate: (fn) => void setImmediate(fn) }),
};

/** Of the system: whatever goes through much in this process shares the thread out by these. */
export const systemTurns = new Turns(systemTimers.soon);

/** One timer that is always set to the earliest time asked for: the shell around a machine that says when it is due. */
export interface Alarm {
  /** Rings at `dueMs` (epoch), or never when undefined; replaces what was set before. */
  set(dueMs: number | undefined): void;
}

/** An alarm that calls `ring`, which is expected to set it again. */
export function createAlarm(options: { timers: Timers; now: () => number; ring: () => void }): Alarm {
  let cancel: (() => void) | undefined;
  let setFor: number | undefined;
  return {
    set(dueMs) {
      if (dueMs === setFor) return;
      cancel?.();
      cancel = undefined;
      setFor = dueMs;
      if (dueMs === undefined) return;
      cancel = options.timers.setTimeout(Math.max(0, dueMs - options.now()), () => {
        cancel = undefined;
        setFor = undefined;
        options.ring();
      });
    },
  };
}
