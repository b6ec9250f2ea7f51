import type { Rest } from '../../lib/scheduler/turns.js';

/** What comes of work that rests now and then, when nobody else wants the thread. */
export function atOnce<T>(work: Generator<Rest, T, void>): T {
  for (;;) {
    const { done, value } = work.next();
    if (done) return value;
  }
}
