import type { Millis } from '../util/clock.js';

// Which ended allocations to remove from this node. Pure.

/** An ended allocation whose directory is still here. */
export interface EndedAlloc {
  id: string;
  finishedAtMs: Millis;
}

/** Oldest first: those over the count, or all of them when the disk is too full. */
export function selectToCollect(input: {
  ended: readonly EndedAlloc[];
  /** All allocations with a directory here, ended or not. */
  total: number;
  maxAllocs: number;
  /** The disk or its inodes are used beyond the limit: everything that can go goes. */
  diskOverLimit: boolean;
}): string[] {
  const oldestFirst = [...input.ended].sort((a, b) => a.finishedAtMs - b.finishedAtMs);
  const tooMany = Math.max(0, input.total - input.maxAllocs);
  const count = input.diskOverLimit ? oldestFirst.length : tooMany;
  return oldestFirst.slice(0, count).map(({ id }) => id);
}
