import type { JobType, RestartPolicy, TaskLifecycle } from '../structs/job.js';
import { assertNever } from '../util/assert.js';
import { type Millis, toMillis } from '../util/clock.js';
import { formatDuration } from '../util/duration.js';
import type { Random } from '../util/random.js';

// Decides whether a task that ended is started again, as Nomad's restart policy does: `attempts` restarts per
// `interval`; past them the task fails (mode "fail") or waits for the interval's end (mode "delay").

/** Failures counted in the current interval, and when it began. */
export interface RestartCounts {
  count: number;
  intervalStartMs: Millis;
}

/** How an attempt to run the task ended. */
export type AttemptEnd =
  | { kind: 'exited'; success: boolean }
  | { kind: 'start-failed'; recoverable: boolean }
  /** What it ran in was restarted under it: that is no failure of its own. */
  | { kind: 'lost' }
  /** A person asked for a restart: it is not a failure and counts for nothing. */
  | { kind: 'requested' };

export type RestartDecision =
  | { kind: 'restart'; delayMs: Millis; reason: string }
  /** The task's work is done. */
  | { kind: 'complete'; reason: string }
  | { kind: 'fail'; reason: string };

export const REASON_WITHIN_POLICY = 'Restart within policy';
const REASON_LOST = 'Its engine, or this machine, was restarted';
/** A restart is delayed by up to this part more, so that the tasks of a node do not all start at one instant. */
const JITTER = 0.25;

/** True when a task of this kind is started again even after it succeeded. */
export function restartsOnSuccess(jobType: JobType, lifecycle: TaskLifecycle | null): boolean {
  if (lifecycle) return lifecycle.Sidecar;
  return jobType === 'service' || jobType === 'system';
}

/** Decides what follows the end of an attempt; returns the counts to keep with it. */
export function decideRestart(input: {
  policy: RestartPolicy;
  onSuccess: boolean;
  counts: RestartCounts;
  end: AttemptEnd;
  nowMs: Millis;
  random: Random;
}): { decision: RestartDecision; counts: RestartCounts } {
  const { policy, onSuccess, end, nowMs } = input;
  if (end.kind === 'requested') {
    return { decision: { kind: 'restart', delayMs: 0, reason: '' }, counts: input.counts };
  }
  if (end.kind === 'lost') {
    return { decision: { kind: 'restart', delayMs: 0, reason: REASON_LOST }, counts: input.counts };
  }
  const success = end.kind === 'exited' && end.success;
  if (success && !onSuccess) {
    const reason = 'Restart unnecessary as task terminated successfully';
    return { decision: { kind: 'complete', reason }, counts: input.counts };
  }
  if (policy.Attempts === 0) {
    const reason = 'Policy allows no restarts';
    return { decision: success ? { kind: 'complete', reason } : { kind: 'fail', reason }, counts: input.counts };
  }
  const counts = countFailure(input.counts, toMillis(policy.Interval), nowMs);
  if (end.kind === 'start-failed' && !end.recoverable) {
    return { decision: { kind: 'fail', reason: 'Error was unrecoverable' }, counts };
  }
  if (counts.count <= policy.Attempts) {
    const delayMs = toMillis(policy.Delay) * (1 + JITTER * input.random.next());
    return { decision: { kind: 'restart', delayMs, reason: REASON_WITHIN_POLICY }, counts };
  }
  return { decision: exceeded(policy, counts, nowMs), counts };
}

/** A failure in a new interval opens that interval with a count of nought, as Nomad counts. */
function countFailure(counts: RestartCounts, intervalMs: Millis, nowMs: Millis): RestartCounts {
  if (nowMs > counts.intervalStartMs + intervalMs) return { count: 0, intervalStartMs: nowMs };
  return { count: counts.count + 1, intervalStartMs: counts.intervalStartMs };
}

function exceeded(policy: RestartPolicy, counts: RestartCounts, nowMs: Millis): RestartDecision {
  switch (policy.Mode) {
    case 'fail': {
      const interval = formatDuration(policy.Interval);
      const reason = `Exceeded allowed attempts ${policy.Attempts} in interval ${interval} and mode is "fail"`;
      return { kind: 'fail', reason };
    }
    case 'delay': {
      const delayMs = Math.max(0, counts.intervalStartMs + toMillis(policy.Interval) - nowMs);
      return { kind: 'restart', delayMs, reason: 'Exceeded allowed attempts, applying a delay' };
    }
    default:
      return assertNever(policy.Mode);
  }
}
