import type { Allocation, RescheduleEvent } from '../../structs/allocation.js';
import { groupOf } from '../../structs/group-of.js';
import type { ReschedulePolicy } from '../../structs/job.js';
import { type Millis, NANOS_PER_MS, type Nanos, toMillis, toNanos } from '../../util/clock.js';

/** Events remembered when a policy is unlimited. */
export const EVENTS_MAX = 5;
/** What is due this soon is done at once. */
export const RESCHEDULE_WINDOW_MS = 1000;

/** When a failed allocation may be placed again. */
export interface NextReschedule {
  readonly eligible: boolean;
  readonly at: Millis;
}

const NEVER: NextReschedule = { eligible: false, at: 0 };

/** The policy of the allocation's group in the job it ran. */
export function policyOf(alloc: Allocation): ReschedulePolicy | null {
  return groupOf(alloc.Job, alloc.TaskGroup)?.ReschedulePolicy ?? null;
}

/** When its last task ended, else when it was last changed. */
export function lastEventAt(alloc: Allocation): Millis {
  let last = Number.NEGATIVE_INFINITY;
  for (const name in alloc.TaskStates) {
    const at = Date.parse(alloc.TaskStates[name]?.FinishedAt ?? '');
    // Go's zero time is far before 1970.
    if (at > 0 && at > last) last = at;
  }
  return last > 0 ? last : toMillis(alloc.ModifyTime);
}

/** Whether and when a failed allocation is placed again, by its policy and what has been tried. */
export function nextReschedule(alloc: Allocation): NextReschedule {
  if (alloc.ClientStatus !== 'failed' || alloc.DesiredStatus !== 'run') return NEVER;
  return rescheduleAfter(alloc, lastEventAt(alloc));
}

/** Whether and when an allocation that was lost at this moment is placed again, by its policy and what has been tried. */
export function rescheduleAfter(alloc: Allocation, failedAt: Millis): NextReschedule {
  const policy = policyOf(alloc);
  if (!policy) return NEVER;
  const delay = nextDelay(alloc, policy);
  return {
    eligible: policy.Unlimited || hasAttemptsLeft(alloc, policy, { failedAt, delay }),
    at: failedAt + toMillis(delay),
  };
}

function hasAttemptsLeft(
  alloc: Allocation,
  policy: ReschedulePolicy,
  { failedAt, delay }: { failedAt: Millis; delay: Nanos },
): boolean {
  if (policy.Attempts <= 0) return false;
  const events = alloc.RescheduleTracker?.Events ?? [];
  if (events.length === 0) return true;
  const tried = events.filter(({ RescheduleTime }) => toNanos(failedAt) - RescheduleTime < policy.Interval).length;
  return tried < policy.Attempts && delay < policy.Interval;
}

/** The wait before the next placement: constant, doubled, or the sum of the last two; capped, and back to the first after a good run. */
export function nextDelay(alloc: Allocation, policy: ReschedulePolicy): Nanos {
  const events = alloc.RescheduleTracker?.Events ?? [];
  const last = events.at(-1);
  if (!last) return policy.Delay;
  let delay = grow(policy, events);
  if (policy.DelayFunction === 'constant') return policy.Delay;
  if (policy.MaxDelay > 0 && delay > policy.MaxDelay) {
    delay = policy.MaxDelay;
    if (toNanos(lastEventAt(alloc)) - last.RescheduleTime > delay) return policy.Delay;
  }
  return delay;
}

function grow(policy: ReschedulePolicy, events: readonly RescheduleEvent[]): Nanos {
  const last = events.at(-1)?.Delay ?? policy.Delay;
  const before = events.at(-2)?.Delay;
  switch (policy.DelayFunction) {
    case 'exponential':
      return last * 2;
    case 'fibonacci':
      // After a reset the series starts anew: the base follows the cap.
      if (before === undefined || (before === policy.MaxDelay && last === policy.Delay)) return last;
      return last + before;
    default:
      return policy.Delay;
  }
}

/** The history of a replacement: what its predecessor had tried, as far as the policy looks back, and now this. */
export function trackReschedule(previous: Allocation, now: Millis): NonNullable<Allocation['RescheduleTracker']> {
  const policy = policyOf(previous);
  const old = previous.RescheduleTracker?.Events ?? [];
  const kept =
    policy && !policy.Unlimited && policy.Interval > 0
      ? old.filter(({ RescheduleTime }) => now * NANOS_PER_MS - RescheduleTime < policy.Interval)
      : old.slice(-(EVENTS_MAX - 1));
  const event: RescheduleEvent = {
    RescheduleTime: toNanos(now),
    PrevAllocID: previous.ID,
    PrevNodeID: previous.NodeID,
    Delay: policy ? nextDelay(previous, policy) : 0,
  };
  return { Events: [...kept, event], LastReschedule: 'ok' };
}
