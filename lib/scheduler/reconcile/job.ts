import type { Allocation } from '../../structs/allocation.js';
import type { Deployment, DeploymentState, DeploymentStatusUpdate } from '../../structs/deployment.js';
import type { DesiredUpdates, Evaluation } from '../../structs/evaluation.js';
import type { Job, TaskGroup } from '../../structs/job.js';
import { type Millis, toNanos } from '../../util/clock.js';
import { isTerminal } from '../usage.js';
import { isActive, type NodeFate } from './filters.js';
import { followupEvals } from './followup.js';
import { type GroupResult, reconcileGroup, type UpdateKind } from './group.js';
import { noUpdates, type Reconciliation, STOP_REASON, type Stop } from './result.js';

/** Everything a reconciliation looks at. */
export interface ReconcileInput {
  /** The job as it should be; null when it is gone. */
  readonly job: Job | null;
  readonly evaluation: Evaluation;
  readonly allocs: readonly Allocation[];
  readonly deployment: Deployment | null;
  readonly nodeFate: (nodeId: string) => NodeFate;
  readonly updateKind: (alloc: Allocation, group: TaskGroup) => UpdateKind;
  readonly now: Millis;
  readonly newId: () => string;
}

/** Status texts of a roll-out, as `deployment status` prints them. */
export const DEPLOYMENT_TEXT = {
  running: 'Deployment is running',
  promotion: 'Deployment is running but requires manual promotion',
  autoPromotion: 'Deployment is running pending automatic promotion',
  successful: 'Deployment completed successfully',
  stopped: 'Cancelled because job is stopped',
  newer: 'Cancelled due to newer version of job',
} as const;

/** Compares a service or batch job with its allocations. Pure: nothing of the result has been done. */
export function reconcileJob(input: ReconcileInput): Reconciliation {
  const { job, evaluation, allocs, now } = input;
  const updates: DeploymentStatusUpdate[] = [];
  const { current, old } = settleDeployment(job, input.deployment, updates);
  if (!job || job.Stop) return stopAll(input, updates);

  const groups = new Map(job.TaskGroups.map((group) => [group.Name, group]));
  const byGroup = new Map<string, Allocation[]>(job.TaskGroups.map((group) => [group.Name, []]));
  const stop: Stop[] = [];
  const desired: Record<string, DesiredUpdates> = {};
  for (const alloc of allocs) {
    const own = byGroup.get(alloc.TaskGroup);
    if (own) own.push(alloc);
    else stopUnneeded(input, alloc, stop, desired, STOP_REASON.notNeeded);
  }
  const results = new Map<string, GroupResult>();
  for (const [name, group] of groups) {
    const context = { ...input, job, group, evalId: evaluation.ID, deployment: current, oldDeployment: old };
    const result = reconcileGroup(context, byGroup.get(name) ?? []);
    results.set(name, result);
    desired[name] = result.desired;
  }
  const all = [...results.values()];
  const starts = all.some(({ startsDeployment }) => startsDeployment);
  const deployment = starts ? rollOut({ ...input, job }, current, results) : null;
  if (!deployment && current && isActive(current) && all.every(({ complete }) => complete)) {
    updates.push({
      DeploymentID: current.ID,
      Status: 'successful',
      StatusDescription: DEPLOYMENT_TEXT.successful,
    });
  }
  const { followups, waiting } = followupEvals({
    job,
    evaluation,
    now,
    newId: input.newId,
    later: all.flatMap(({ later }) => later),
  });
  const active = deployment ?? (current && isActive(current) ? current : null);
  return {
    place: all.flatMap(({ place }) => place),
    stop: [...stop, ...all.flatMap((result) => result.stop)],
    inPlace: all.flatMap(({ inPlace }) => inPlace),
    attributeUpdates: waiting,
    deployment,
    deploymentId: active?.ID ?? '',
    deploymentUpdates: updates,
    followups,
    desired,
  };
}

/** Cancels a roll-out that the job has left behind; `current` is the one of this very version, unless it has succeeded. */
function settleDeployment(
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

function rollOut(
  { job, evaluation, now, newId }: ReconcileInput & { job: Job },
  current: Deployment | null,
  results: ReadonlyMap<string, GroupResult>,
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

function stopAll(input: ReconcileInput, deploymentUpdates: DeploymentStatusUpdate[]): Reconciliation {
  const stop: Stop[] = [];
  const desired: Record<string, DesiredUpdates> = {};
  for (const alloc of input.allocs) stopUnneeded(input, alloc, stop, desired, STOP_REASON.notNeeded);
  return {
    place: [],
    stop,
    inPlace: [],
    attributeUpdates: [],
    deployment: null,
    deploymentId: '',
    deploymentUpdates,
    followups: [],
    desired,
  };
}

function stopUnneeded(
  { nodeFate }: ReconcileInput,
  alloc: Allocation,
  stop: Stop[],
  desired: Record<string, DesiredUpdates>,
  description: string,
): void {
  if (isTerminal(alloc)) return;
  const counts = desired[alloc.TaskGroup] ?? noUpdates();
  desired[alloc.TaskGroup] = counts;
  counts.Stop++;
  const lost = nodeFate(alloc.NodeID) !== 'well';
  stop.push({ alloc, description: lost ? STOP_REASON.lost : description, clientStatus: lost ? 'lost' : null });
}
