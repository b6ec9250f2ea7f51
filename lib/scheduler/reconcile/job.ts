import type { Allocation } from '../../structs/allocation.js';
import type { Deployment, DeploymentStatusUpdate } from '../../structs/deployment.js';
import type { DesiredUpdates, Evaluation } from '../../structs/evaluation.js';
import type { Job, TaskGroup } from '../../structs/job.js';
import type { Millis } from '../../util/clock.js';
import { inTurns, type Rest } from '../turns.js';
import { isTerminal } from '../usage.js';
import { markBack, markUnknown } from './disconnect.js';
import { FOLLOWUP_NEAR_MS, isActive, type NodeFate } from './filters.js';
import { followupEvals, type Wait, type WaitReason } from './followup.js';
import { type GroupResult, reconcileGroup, type UpdateKind } from './group.js';
import { noUpdates, type Reconciliation, STOP_REASON, type Stop } from './result.js';
import { DEPLOYMENT_TEXT, rollOut, settleDeployment } from './roll-out.js';

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

/** Compares a service or batch job with its allocations, with rests. Pure: nothing of the result has been done. */
export function* reconcileJob(input: ReconcileInput): Generator<Rest, Reconciliation, void> {
  const { job, evaluation, allocs } = input;
  const updates: DeploymentStatusUpdate[] = [];
  const { current, old } = settleDeployment(job, input.deployment, updates);
  if (!job || job.Stop) return yield* stopAll(input, updates);

  const groups = new Map(job.TaskGroups.map((group) => [group.Name, group]));
  const byGroup = new Map<string, Allocation[]>(job.TaskGroups.map((group) => [group.Name, []]));
  const stop: Stop[] = [];
  const desired: Record<string, DesiredUpdates> = {};
  yield* inTurns(allocs, (alloc) => {
    const own = byGroup.get(alloc.TaskGroup);
    if (own) own.push(alloc);
    else stopUnneeded(input, alloc, stop, desired, STOP_REASON.notNeeded);
  });
  const results = new Map<string, GroupResult>();
  for (const [name, group] of groups) {
    const context = { ...input, job, group, evalId: evaluation.ID, deployment: current, oldDeployment: old };
    const result = yield* reconcileGroup(context, byGroup.get(name) ?? []);
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
  const waits = planWaits({ ...input, job }, all);
  const stamped: Stop[] = [];
  for (const stops of [stop, ...all.map((result) => result.stop)]) {
    yield* inTurns(stops, (one) => stamped.push(waits.stamp(one)));
  }
  const active = deployment ?? (current && isActive(current) ? current : null);
  return {
    place: all.flatMap(({ place }) => place),
    stop: stamped,
    inPlace: all.flatMap(({ inPlace }) => inPlace),
    attributeUpdates: waits.updates,
    deployment,
    deploymentId: active?.ID ?? '',
    deploymentUpdates: updates,
    followups: waits.followups,
    desired,
  };
}

/** What waits, leaves and comes back of a group. */
type Waiting = Pick<GroupResult, 'later' | 'replacements' | 'timeouts' | 'clientStops' | 'unknown' | 'back' | 'stop'>;

/** Follow-ups for all that waits, and the bookkeeping of those that wait, leave or come back. */
export function planWaits(
  { job, evaluation, now, newId }: Pick<ReconcileInput, 'evaluation' | 'now' | 'newId'> & { job: Job },
  results: readonly Waiting[],
): { followups: Evaluation[]; updates: Allocation[]; stamp: (stop: Stop) => Stop } {
  const plan = (reason: WaitReason, waits: readonly Wait[]) =>
    followupEvals({ job, evaluation, now, newId, reason, waits });
  const later = plan(
    'reschedule',
    results.flatMap((result) => [...result.later, ...result.replacements]),
  );
  const timeouts = plan(
    'timeout',
    results.flatMap((result) => result.timeouts),
  );
  const clients = plan('client-stops', waitsToFollow(results, now));
  const updates: Allocation[] = [];
  const failed = new Set(results.flatMap((result) => result.later.map(({ alloc }) => alloc)));
  for (const [alloc, FollowupEvalID] of later.evalOf) if (failed.has(alloc)) updates.push({ ...alloc, FollowupEvalID });
  for (const { unknown } of results) {
    for (const alloc of unknown) updates.push(markUnknown(alloc, now, timeouts.evalOf.get(alloc) ?? ''));
  }
  const leaving = new Set(results.flatMap(({ unknown }) => unknown));
  for (const [alloc, FollowupEvalID] of timeouts.evalOf) {
    if (!leaving.has(alloc)) updates.push({ ...alloc, FollowupEvalID });
  }
  for (const { back } of results) for (const alloc of back) updates.push(markBack(alloc, now));
  return {
    followups: [...later.followups, ...timeouts.followups, ...clients.followups],
    updates,
    stamp: (stop) => {
      const followupEvalId = clients.evalOf.get(stop.alloc);
      return followupEvalId ? { ...stop, followupEvalId } : stop;
    },
  };
}

/** Those that are lost now; of those lost before, the ones whose follow-up may have been cancelled. */
function waitsToFollow(results: readonly Waiting[], now: Millis): Wait[] {
  // Mostly nothing waits, and then it does not matter what stops: there may be very many.
  if (results.every(({ clientStops }) => clientStops.length === 0)) return [];
  const stopped = new Set(results.flatMap(({ stop }) => stop.map(({ alloc }) => alloc)));
  return results.flatMap(({ clientStops }) =>
    clientStops.filter(({ alloc, at }) => stopped.has(alloc) || at - now <= FOLLOWUP_NEAR_MS),
  );
}

function* stopAll(
  input: ReconcileInput,
  deploymentUpdates: DeploymentStatusUpdate[],
): Generator<Rest, Reconciliation, void> {
  const stop: Stop[] = [];
  const desired: Record<string, DesiredUpdates> = {};
  yield* inTurns(input.allocs, (alloc) => stopUnneeded(input, alloc, stop, desired, STOP_REASON.notNeeded));
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
