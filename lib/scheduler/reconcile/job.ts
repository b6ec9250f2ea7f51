import type { Allocation } from '../../structs/allocation.js';
import type { Deployment, DeploymentStatusUpdate } from '../../structs/deployment.js';
import type { DesiredUpdates, Evaluation } from '../../structs/evaluation.js';
import type { Job, TaskGroup } from '../../structs/job.js';
import type { Millis } from '../../util/clock.js';
import { GROUPS_PER_TURN } from '../../util/turns.js';
import { appendInTurns, inTurns, type Rest } from '../turns.js';
import { isTerminal } from '../usage.js';
import { markBack, markUnknown } from './disconnect.js';
import { FOLLOWUP_NEAR_MS, isActive, type NodeFate } from './filters.js';
import { followupEvals, type Wait, type WaitReason } from './followup.js';
import { type GroupResult, reconcileGroup, type UpdateKind } from './group.js';
import { noUpdates, type Placement, type Reconciliation, STOP_REASON, type Stop } from './result.js';
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
    if (results.size % GROUPS_PER_TURN === GROUPS_PER_TURN - 1) yield undefined;
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
  const waits = yield* planWaits({ ...input, job }, all);
  const stamped: Stop[] = [];
  for (const stops of [stop, ...all.map((result) => result.stop)]) {
    yield* inTurns(stops, (one) => stamped.push(waits.stamp(one)));
  }
  const place: Placement[] = [];
  const inPlace: Allocation[] = [];
  for (const result of all) {
    yield* appendInTurns(place, result.place);
    yield* appendInTurns(inPlace, result.inPlace);
  }
  const active = deployment ?? (current && isActive(current) ? current : null);
  return {
    place,
    stop: stamped,
    inPlace,
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
export function* planWaits(
  { job, evaluation, now, newId }: Pick<ReconcileInput, 'evaluation' | 'now' | 'newId'> & { job: Job },
  results: readonly Waiting[],
): Generator<Rest, { followups: Evaluation[]; updates: Allocation[]; stamp: (stop: Stop) => Stop }, void> {
  const plan = (reason: WaitReason, waits: readonly Wait[]) =>
    followupEvals({ job, evaluation, now, newId, reason, waits });
  const later = yield* plan(
    'reschedule',
    results.flatMap((result) => [...result.later, ...result.replacements]),
  );
  const timeouts = yield* plan(
    'timeout',
    results.flatMap((result) => result.timeouts),
  );
  const clients = yield* plan('client-stops', waitsToFollow(results, now));
  const updates: Allocation[] = [];
  const failed = new Set<Allocation>();
  for (const result of results) yield* inTurns(result.later, ({ alloc }) => failed.add(alloc));
  yield* inTurns(later.evalOf, ([alloc, FollowupEvalID]) => {
    if (failed.has(alloc)) updates.push({ ...alloc, FollowupEvalID });
  });
  const leaving = new Set<Allocation>();
  for (const { unknown } of results) {
    yield* inTurns(unknown, (alloc) => {
      leaving.add(alloc);
      updates.push(markUnknown(alloc, now, timeouts.evalOf.get(alloc) ?? ''));
    });
  }
  yield* inTurns(timeouts.evalOf, ([alloc, FollowupEvalID]) => {
    if (!leaving.has(alloc)) updates.push({ ...alloc, FollowupEvalID });
  });
  for (const { back } of results) yield* inTurns(back, (alloc) => updates.push(markBack(alloc, now)));
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
  // One that failed and was to be tried again is not: whoever starts the job later waits for no delay from before.
  if (isTerminal(alloc) && !isToBeTriedAgain(alloc)) return;
  const counts = desired[alloc.TaskGroup] ?? noUpdates();
  desired[alloc.TaskGroup] = counts;
  counts.Stop++;
  const lost = !isTerminal(alloc) && nodeFate(alloc.NodeID) !== 'well';
  stop.push({ alloc, description: lost ? STOP_REASON.lost : description, clientStatus: lost ? 'lost' : null });
}

const isToBeTriedAgain = ({ ClientStatus, DesiredStatus, NextAllocation }: Allocation): boolean =>
  ClientStatus === 'failed' && DesiredStatus === 'run' && NextAllocation === '';
