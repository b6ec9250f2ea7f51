import type { Deployment, DeploymentState, DeploymentStatusUpdate } from '../../structs/deployment.js';
import type { Evaluation } from '../../structs/evaluation.js';
import type { Job, UpdateStrategy } from '../../structs/job.js';
import { type Millis, toNanos } from '../../util/clock.js';
import { isActive } from './filters.js';

/** Status texts of a roll-out, as `deployment status` prints them. */
export const DEPLOYMENT_TEXT = {
  running: 'Deployment is running',
  promotion: 'Deployment is running but requires manual promotion',
  autoPromotion: 'Deployment is running pending automatic promotion',
  successful: 'Deployment completed successfully',
  stopped: 'Cancelled because job is stopped',
  newer: 'Cancelled due to newer version of job',
} as const;

/** Whether a roll-out makes no progress at the moment. */
export function isHeld(deployment: Deployment | null): boolean {
  return deployment !== null && deployment.Status !== 'running' && deployment.Status !== 'successful';
}

/** Whether a group's part in a roll-out is done, as far as health goes. */
export function isHealthy(state: DeploymentState | undefined): boolean {
  if (!state) return true;
  if (state.DesiredCanaries > 0 && !state.Promoted) return false;
  return state.HealthyAllocs >= Math.max(state.DesiredTotal, state.DesiredCanaries);
}

/** A group's part in a roll-out that begins. */
export function newState(strategy: UpdateStrategy | null): DeploymentState {
  return {
    AutoRevert: strategy?.AutoRevert ?? false,
    AutoPromote: strategy?.AutoPromote ?? false,
    ProgressDeadline: strategy?.ProgressDeadline ?? 0,
    RequireProgressBy: '0001-01-01T00:00:00Z',
    Promoted: false,
    PlacedCanaries: null,
    DesiredCanaries: 0,
    DesiredTotal: 0,
    PlacedAllocs: 0,
    HealthyAllocs: 0,
    UnhealthyAllocs: 0,
  };
}

/** Cancels a roll-out that the job has left behind; `current` is the one of this very version, unless it has succeeded. */
export function settleDeployment(
  job: Job | null,
  deployment: Deployment | null,
  updates: DeploymentStatusUpdate[],
): { current: Deployment | null; old: Deployment | null } {
  if (!deployment) return { current: null, old: null };
  const cancel = (why: string): void => {
    if (!isActive(deployment)) return;
    updates.push({ DeploymentID: deployment.ID, Status: 'cancelled', StatusDescription: why });
  };
  if (!job || job.Stop) {
    cancel(DEPLOYMENT_TEXT.stopped);
    return { current: null, old: deployment };
  }
  if (deployment.JobCreateIndex !== job.CreateIndex || deployment.JobVersion !== job.Version) {
    cancel(DEPLOYMENT_TEXT.newer);
    return { current: null, old: deployment };
  }
  if (deployment.Status === 'successful') return { current: null, old: deployment };
  return { current: deployment, old: null };
}

/** A new roll-out of the groups that begin one, or the current one with their states. */
export function rollOut(
  { job, evaluation, now, newId }: { job: Job; evaluation: Evaluation; now: Millis; newId: () => string },
  current: Deployment | null,
  results: ReadonlyMap<string, { readonly state: DeploymentState; readonly startsDeployment: boolean }>,
): Deployment {
  const states: Record<string, DeploymentState> = { ...current?.TaskGroups };
  for (const [name, { state, startsDeployment }] of results) {
    if (startsDeployment || states[name]) states[name] = state;
  }
  const waiting = Object.values(states).filter(({ DesiredCanaries, Promoted }) => DesiredCanaries > 0 && !Promoted);
  const text =
    waiting.length === 0
      ? DEPLOYMENT_TEXT.running
      : waiting.every(({ AutoPromote }) => AutoPromote)
        ? DEPLOYMENT_TEXT.autoPromotion
        : DEPLOYMENT_TEXT.promotion;
  if (current) return { ...current, TaskGroups: states, StatusDescription: text, ModifyTime: toNanos(now) };
  return {
    ID: newId(),
    Namespace: job.Namespace,
    JobID: job.ID,
    JobVersion: job.Version,
    JobModifyIndex: job.ModifyIndex,
    JobSpecModifyIndex: job.JobModifyIndex,
    JobCreateIndex: job.CreateIndex,
    IsMultiregion: false,
    TaskGroups: states,
    Status: 'running',
    StatusDescription: text,
    EvalPriority: evaluation.Priority,
    CreateIndex: 0,
    ModifyIndex: 0,
    CreateTime: toNanos(now),
    ModifyTime: toNanos(now),
  };
}
