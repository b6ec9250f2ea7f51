import { isNewSpec } from '../state/job-spec.js';
import type { Allocation } from '../structs/allocation.js';
import type { Deployment, DeploymentState } from '../structs/deployment.js';
import { groupOf } from '../structs/group-of.js';
import type { Job, ReschedulePolicy } from '../structs/job.js';
import { type Millis, toNanos } from '../util/clock.js';

// What the leader makes of a running deployment: pure, so that its rules can be read and tested in one place.

export type DeploymentVerdict =
  /** Nothing to do; look again at `dueMs` (undefined: when something changes). */
  | { kind: 'wait'; dueMs: Millis | undefined; retry: string[] }
  /** All canaries are healthy and may take over by themselves. */
  | { kind: 'promote' }
  /** It has failed; `revert` says whether a group wants to go back to the last stable version. */
  | { kind: 'fail'; reason: string; revert: boolean };

export const DEPLOYMENT_REASONS = {
  unhealthy: 'Failed due to unhealthy allocations',
  deadline: 'Failed due to progress deadline',
  byUser: 'Deployment marked as failed',
  paused: 'Deployment is paused',
  resumed: 'Deployment is running',
} as const;

/**
 * Judges a running deployment, by those of its allocations that are in question (its unhealthy ones, its canaries). `retry`
 * names unhealthy, failed allocations whose replacement the deployment still allows: the scheduler leaves them alone until
 * they are marked. No deadline ends before `heardMs`: until then what became of the allocations while nobody led may not have
 * been reported.
 */
export function judgeDeployment(
  deployment: Deployment,
  job: Job | undefined,
  allocs: readonly Allocation[],
  { now, heardMs = 0 }: { now: Millis; heardMs?: Millis },
): DeploymentVerdict {
  if (deployment.Status !== 'running') return { kind: 'wait', dueMs: undefined, retry: [] };
  const retry: string[] = [];
  for (const alloc of allocs) {
    if (alloc.DeploymentStatus?.Healthy !== false) continue;
    const group = deployment.TaskGroups[alloc.TaskGroup];
    if (!group) continue;
    if (group.ProgressDeadline === 0 || isExhausted(alloc, job, now)) {
      return { kind: 'fail', reason: DEPLOYMENT_REASONS.unhealthy, revert: group.AutoRevert };
    }
    if (mayRetry(alloc)) retry.push(alloc.ID);
  }
  if (mayPromote(deployment, allocs)) return { kind: 'promote' };
  let dueMs: Millis | undefined;
  for (const group of Object.values(deployment.TaskGroups)) {
    const required = deadlineMs(group, allocs);
    if (required === undefined) continue;
    const deadline = Math.max(required, heardMs);
    if (deadline <= now) {
      // The whole roll-out ends: every group that is not there yet may ask to go back, also one with time left.
      const revert = Object.values(deployment.TaskGroups).some((other) => other.AutoRevert && !isThere(other, allocs));
      return { kind: 'fail', reason: DEPLOYMENT_REASONS.deadline, revert };
    }
    dueMs = Math.min(dueMs ?? deadline, deadline);
  }
  return { kind: 'wait', dueMs, retry };
}

/** The version to go back to: the newest stable one before the deployment's. */
function revertTarget(versions: readonly Job[], deployment: Deployment): Job | undefined {
  return versions.find((job) => job.Stable && job.Version < deployment.JobVersion);
}

/** What becomes of the job of a failed deployment. */
export interface GoingBack {
  /** The version to go back to; null: the job stays as it is. */
  readonly to: Job | null;
  /** What the deployment's description says. */
  readonly description: string;
}

/** Where to go back to, if that is asked: to register what the job is already would change nothing. */
export function goingBack(
  reason: string,
  revert: boolean,
  { job, versions, deployment }: { job: Job | undefined; versions: readonly Job[]; deployment: Deployment },
): GoingBack {
  if (!revert || !job || job.Stop) return { to: null, description: reason };
  const target = revertTarget(versions, deployment);
  if (!target) return { to: null, description: `${reason} - no stable job version to auto revert to` };
  if (!isNewSpec(job, target)) {
    const why = 'as current job has same specification';
    return { to: null, description: `${reason} - not rolling back to stable job version ${target.Version} ${why}` };
  }
  return { to: target, description: `${reason} - rolling back to job version ${target.Version}` };
}

/** Whether the group needs no more progress: all its allocations are healthy, or its canaries, which wait for promotion. */
function isThere(group: DeploymentState, allocs: readonly Allocation[]): boolean {
  if (group.HealthyAllocs >= group.DesiredTotal) return true;
  return awaitsPromotion(group) && healthyCanaries(group, allocs) >= group.DesiredCanaries;
}

/** When the group must have made progress, or undefined when it need not any more, or has not begun. */
function deadlineMs(group: DeploymentState, allocs: readonly Allocation[]): Millis | undefined {
  if (group.ProgressDeadline === 0 || isThere(group, allocs)) return undefined;
  const at = Date.parse(group.RequireProgressBy);
  return at > 0 ? at : undefined;
}

const awaitsPromotion = (group: DeploymentState): boolean => group.DesiredCanaries > 0 && !group.Promoted;

/** Healthy canaries of a group. */
export function healthyCanaries(group: DeploymentState, allocs: readonly Allocation[]): number {
  const canaries = new Set(group.PlacedCanaries ?? []);
  return allocs.filter(({ ID, DeploymentStatus }) => canaries.has(ID) && DeploymentStatus?.Healthy === true).length;
}

function mayPromote(deployment: Deployment, allocs: readonly Allocation[]): boolean {
  const waiting = Object.values(deployment.TaskGroups).filter(awaitsPromotion);
  if (waiting.length === 0) return false;
  return waiting.every((group) => group.AutoPromote && healthyCanaries(group, allocs) >= group.DesiredCanaries);
}

function mayRetry(alloc: Allocation): boolean {
  return (
    alloc.DesiredStatus === 'run' &&
    alloc.ClientStatus === 'failed' &&
    alloc.NextAllocation === '' &&
    alloc.DesiredTransition.Reschedule !== true
  );
}

/** Whether an unhealthy allocation has no attempt left: nothing that comes can make its deployment succeed. */
function isExhausted(alloc: Allocation, job: Job | undefined, now: Millis): boolean {
  if (alloc.DesiredStatus !== 'run' || alloc.NextAllocation !== '') return false;
  const group = groupOf(alloc.Job ?? job, alloc.TaskGroup);
  const policy = group?.ReschedulePolicy;
  if (!policy) return false;
  return !policy.Unlimited && recentAttempts(alloc, policy, now) >= policy.Attempts;
}

function recentAttempts(alloc: Allocation, policy: ReschedulePolicy, now: Millis): number {
  const since = toNanos(now) - policy.Interval;
  return (alloc.RescheduleTracker?.Events ?? []).filter(({ RescheduleTime }) => RescheduleTime > since).length;
}
