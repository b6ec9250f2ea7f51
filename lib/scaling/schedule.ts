import { nextLaunch } from '../util/cron.js';
import type { Schedule } from './policy.js';

/** Whether a schedule is in force at an instant; times are UTC. Both ends are found from the cron expressions alone. Pure. */
export function isInForce(schedule: Schedule, nowMs: number): boolean {
  const utc = (): number => 0;
  if (schedule.kind === 'duration') {
    const begun = nextLaunch(schedule.start, nowMs - schedule.durationMs, utc);
    return begun !== undefined && begun <= nowMs;
  }
  const ends = nextLaunch(schedule.end, nowMs, utc);
  if (ends === undefined) return false;
  const begins = nextLaunch(schedule.start, nowMs, utc);
  // Whichever comes next tells where we are: an end, inside; a start, outside.
  return begins === undefined || ends < begins;
}
