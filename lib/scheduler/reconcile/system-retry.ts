import type { Allocation } from '../../structs/allocation.js';
import type { Job } from '../../structs/job.js';
import { type Millis, NANOS_PER_MS, type Nanos, toMillis, toNanos } from '../../util/clock.js';
import { FOLLOWUP_NEAR_MS, isOlder } from './filters.js';
import { EVENTS_MAX, lastEventAt, RESCHEDULE_WINDOW_MS } from './reschedule.js';

// When a failed allocation of a system job is placed again on its node. Job files cannot say so (system jobs have no
// `reschedule`), and elsewhere it cannot go: without a delay a task that fails at once is placed many times a second.

/** The wait after the first failure; each further one doubles it. */
const FIRST_DELAY_NS: Nanos = 30_000 * NANOS_PER_MS;
const DELAY_MAX_NS: Nanos = 3_600_000 * NANOS_PER_MS;
/** One that ran at least this long, and as long as the next delay, begins with the first delay again. */
const GOOD_RUN_MIN_NS: Nanos = 600_000 * NANOS_PER_MS;

/** Who asks when a node's failed one may be placed again. */
export interface RetryContext {
  readonly job: Job;
  readonly now: Millis;
  readonly evalId: string;
  /** The node whose change is the reason to look; '' when there is another reason. */
  readonly changedNodeId: string;
  /** What is missing gets the version that ran there, not the newest. */
  readonly keepsVersion: boolean;
}

/**
 * Until when the last allocation of a node holds up the next; null when it is placed now. A new version, a change of the node
 * and a forced evaluation wait for nothing.
 */
export function retryWait(last: Allocation, context: RetryContext): Millis | null {
  const { job, now, evalId } = context;
  if (job.Type !== 'system' || last.ClientStatus !== 'failed' || last.DesiredStatus !== 'run') return null;
  if (isOlder(last, job) && !context.keepsVersion) return null;
  if (last.DesiredTransition.ForceReschedule === true || last.DesiredTransition.Migrate === true) return null;
  if (last.NodeID === context.changedNodeId || last.FollowupEvalID === evalId) return null;
  const at = failedAt(last, now) + toMillis(retryDelay(last, now));
  return at - now <= RESCHEDULE_WINDOW_MS ? null : at;
}

/** Whether the follow-up of one that waits until `at` cannot be relied on, if it has one: it may be shared, and cancelled. */
export function needsFollowup({ FollowupEvalID }: Allocation, at: Millis, now: Millis): boolean {
  return FollowupEvalID === '' || at - now <= FOLLOWUP_NEAR_MS;
}

/** What is known of earlier failures on the node, for the one that takes the place of `last`; null without a failure. */
export function trackRetry(last: Allocation, job: Job, now: Millis): Allocation['RescheduleTracker'] {
  if (job.Type !== 'system' || last.ClientStatus !== 'failed' || isOlder(last, job)) return null;
  const event = {
    RescheduleTime: toNanos(now),
    PrevAllocID: last.ID,
    PrevNodeID: last.NodeID,
    Delay: retryDelay(last, now),
  };
  return { Events: [...(last.RescheduleTracker?.Events ?? []).slice(-(EVENTS_MAX - 1)), event], LastReschedule: 'ok' };
}

function retryDelay(last: Allocation, now: Millis): Nanos {
  const before = last.RescheduleTracker?.Events.at(-1);
  if (!before) return FIRST_DELAY_NS;
  const next = Math.min(before.Delay * 2, DELAY_MAX_NS);
  const ranNs = toNanos(failedAt(last, now)) - last.CreateTime;
  return ranNs >= Math.max(next, GOOD_RUN_MIN_NS) ? FIRST_DELAY_NS : next;
}

/** The end by its client's clock, held between placement and now: a clock that is wrong must neither spin nor wait for ever. */
function failedAt(last: Allocation, now: Millis): Millis {
  return Math.max(toMillis(last.CreateTime), Math.min(lastEventAt(last), now));
}
