import type { Millis } from '../util/clock.js';
import type { ZoneOffset } from '../util/cron.js';

/** How many of each kind are kept; 0 = none for that reason. All 0 = everything is kept. */
export interface KeepPolicy {
  readonly Last: number;
  readonly Hourly: number;
  readonly Daily: number;
  readonly Weekly: number;
  readonly Monthly: number;
  readonly Yearly: number;
}

export const KEEP_ALL: KeepPolicy = { Last: 0, Hourly: 0, Daily: 0, Weekly: 0, Monthly: 0, Yearly: 0 };

const HOUR_MS = 3_600_000;
const DAY_MS = 24 * HOUR_MS;
/** The first of January 1970 was a Thursday; weeks begin on Monday. */
const DAYS_BEFORE_1970_IN_WEEK = 3;

type Bucket = (localMs: Millis, offsetMs: Millis) => number;

const BUCKETS: readonly [keyof KeepPolicy, Bucket][] = [
  // When it began: where clocks are put back, two hours of a night have one name.
  ['Hourly', (ms, offset) => Math.floor(ms / HOUR_MS) * HOUR_MS - offset],
  ['Daily', (ms) => Math.floor(ms / DAY_MS)],
  ['Weekly', (ms) => Math.floor((Math.floor(ms / DAY_MS) + DAYS_BEFORE_1970_IN_WEEK) / 7)],
  ['Monthly', (ms) => new Date(ms).getUTCFullYear() * 12 + new Date(ms).getUTCMonth()],
  ['Yearly', (ms) => new Date(ms).getUTCFullYear()],
];

/**
 * The ids of the snapshots that stay. Of each hour (day, week, …) the newest one counts, from now backwards, as many as the policy
 * says; hours without a snapshot count for nothing. The newest of all always stays. `snapshots` are in the order in which they were
 * made: one of a clock that was far ahead, and is right again, is not newer than what came after it.
 */
export function keptSnapshots(
  snapshots: readonly { readonly id: string; readonly at: Millis }[],
  policy: KeepPolicy,
  offset: ZoneOffset,
): Set<string> {
  const newestFirst = snapshots.toReversed();
  if (Object.values(policy).every((count) => count === 0)) return new Set(newestFirst.map(({ id }) => id));
  const kept = new Set(newestFirst.slice(0, Math.max(1, policy.Last)).map(({ id }) => id));
  for (const [name, bucketOf] of BUCKETS) {
    const seen = new Set<number>();
    for (const { id, at } of newestFirst) {
      if (seen.size >= policy[name]) break;
      const bucket = bucketOf(at + offset(at), offset(at));
      if (seen.has(bucket)) continue;
      seen.add(bucket);
      kept.add(id);
    }
  }
  return kept;
}
