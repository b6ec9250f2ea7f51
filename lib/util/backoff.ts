import type { Random } from './random.js';

/** Delay before attempt n (from 0): doubles from baseMs up to maxMs, less up to half of it at random so that peers spread out. */
export function backoffMs(options: { attempt: number; baseMs: number; maxMs: number; random: Random }): number {
  const full = Math.min(options.maxMs, options.baseMs * 2 ** Math.min(options.attempt, 30));
  return full - (full / 2) * options.random.next();
}
