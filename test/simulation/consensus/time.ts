import type { Timers } from '../../../lib/server/timers.js';
import { Heap } from '../../../lib/util/heap.js';

interface Event {
  readonly at: number;
  readonly order: number;
  readonly fn: () => void;
  cancelled: boolean;
}

/** What is queued at one instant runs to its end before the next event: a chain of promises this long at most. */
const TURNS = 12;

/** Simulated time: what happens next is decided by the queue alone, so that a seed tells the whole story. */
export class SimTime {
  nowMs = 0;
  events = 0;
  #order = 0;
  readonly #queue = new Heap<Event>((a, b) => a.at < b.at || (a.at === b.at && a.order < b.order));

  after(ms: number, fn: () => void): () => void {
    const event = { at: this.nowMs + Math.max(0, ms), order: this.#order++, fn, cancelled: false };
    this.#queue.push(event);
    return () => {
      event.cancelled = true;
    };
  }

  /** Lets time pass, until a condition holds if one is given; returns whether it does. */
  async run(ms: number, until: () => boolean = () => false): Promise<boolean> {
    const end = this.nowMs + ms;
    for (;;) {
      if (until()) return true;
      const event = this.#queue.peek();
      if (event === undefined || event.at > end) break;
      this.#queue.pop();
      if (event.cancelled) continue;
      this.nowMs = event.at;
      this.events++;
      event.fn();
      for (let i = 0; i < TURNS; i++) await null;
    }
    this.nowMs = end;
    return until();
  }
}

/** One run of a program: ends with a crash, may be suspended. Nothing reaches it, or comes of it, in either state. */
export class SimProcess {
  readonly time: SimTime;
  dead = false;
  suspendedUntilMs = 0;
  readonly timers: Timers;

  constructor(time: SimTime) {
    this.time = time;
    this.timers = {
      setTimeout: (ms, fn) => time.after(ms, () => this.enter(fn)),
      soon: (fn) => void time.after(0, () => this.enter(fn)),
    };
  }

  /** Runs something in the process: later while it is suspended, never when it is dead. */
  enter(fn: () => void): void {
    if (this.dead) return;
    const waitMs = this.suspendedUntilMs - this.time.nowMs;
    if (waitMs > 0) this.time.after(waitMs, () => this.enter(fn));
    else fn();
  }
}
