import type { Allocation, AllocMetric } from '../structs/allocation.js';
import { groupOf } from '../structs/group-of.js';
import type { Job, TaskGroup } from '../structs/job.js';
import { toNanos } from '../util/clock.js';
import { randomUuid } from '../util/random.js';
import { buildAlloc } from './build-alloc.js';
import { atDesk, type Desk, type Draft, type DraftInput } from './draft.js';
import { reconcileJob } from './reconcile/job.js';
import { trackReschedule } from './reconcile/reschedule.js';
import type { Placement, Reconciliation } from './reconcile/result.js';
import type { SelectRequest, Stack } from './stack.js';
import { appendInTurns, inTurns, type Rest } from './turns.js';
import { UpdateKinds } from './update-kinds.js';
import { isTerminal } from './usage.js';

/** How many older versions are asked for a stable one. */
const VERSIONS_BACK_MAX = 6;

/** Reconciles a service or batch job and finds nodes for what it lacks. Changes nothing but its draft. */
export function draftGeneric(input: DraftInput): Generator<Rest, Draft, void> {
  return atDesk(input, draftAt);
}

function* draftAt(desk: Desk): Generator<Rest, Draft, void> {
  const kinds = new UpdateKinds(desk);
  const result = yield* reconcileJob({
    job: desk.job,
    evaluation: desk.evaluation,
    allocs: desk.allocs,
    deployment: desk.job?.Type === 'batch' ? null : desk.deployment,
    nodeFate: desk.nodeFate,
    updateKind: kinds.kindOf,
    now: desk.now,
    newId: () => randomUuid(desk.random),
  });
  yield* desk.loseStopped();
  yield* applyChanges(desk, result, kinds);
  const failed: Record<string, AllocMetric> = {};
  const queued = Object.fromEntries((desk.job?.TaskGroups ?? []).map(({ Name }) => [Name, 0]));
  const order = yield* orderOf(result.place, queued);
  const { stack, job } = desk;
  if (stack && job) {
    const search = { stack, job, result, failed, limits: new Map<TaskGroup, number>() };
    for (const placement of order) {
      findPlace(desk, search, placement);
      if (desk.needsRest()) yield 'placing';
    }
  }
  return {
    plan: desk.builder.plan,
    isNoop: desk.builder.isNoop,
    followups: result.followups,
    failed,
    queued,
    escaped: stack?.escaped ?? false,
    eligibility: stack?.eligibility() ?? {},
    deploymentId: result.deploymentId || desk.knownDeploymentId,
  };
}

/** Counts placements by their groups. What replaces a running one goes first: it needs the room that the old one leaves. */
function* orderOf(
  place: readonly Placement[],
  queued: Record<string, number>,
): Generator<Rest, readonly Placement[], void> {
  const replacing: Placement[] = [];
  const others: Placement[] = [];
  yield* inTurns(place, (placement) => {
    queued[placement.group.Name] = (queued[placement.group.Name] ?? 0) + 1;
    (placement.replaces ? replacing : others).push(placement);
  });
  yield* appendInTurns(replacing, others);
  return replacing;
}

function* applyChanges(desk: Desk, result: Reconciliation, kinds: UpdateKinds): Generator<Rest, void, void> {
  const { builder, evaluation, now } = desk;
  const { plan } = builder;
  plan.Deployment = result.deployment;
  plan.DeploymentUpdates = result.deploymentUpdates;
  if (evaluation.AnnotatePlan) plan.Annotations = { DesiredTGUpdates: result.desired, PreemptedAllocs: null };
  yield* inTurns(result.stop, ({ alloc, description, clientStatus, followupEvalId }) => {
    desk.lift(alloc);
    builder.stop(followupEvalId ? { ...alloc, FollowupEvalID: followupEvalId } : alloc, description, clientStatus);
  });
  const touched = new Map<string, Allocation>();
  yield* inTurns(result.attributeUpdates, (alloc) => touched.set(alloc.ID, alloc));
  yield* inTurns(result.inPlace, (old) => {
    const alloc = touched.get(old.ID) ?? old;
    touched.delete(old.ID);
    builder.place(kinds.updated(alloc, result.deploymentId));
  });
  yield* inTurns(touched.values(), (alloc) => builder.place({ ...alloc, ModifyTime: toNanos(now) }));
}

function findPlace(
  desk: Desk,
  options: {
    stack: Stack;
    job: Job;
    result: Reconciliation;
    failed: Record<string, AllocMetric>;
    /** Options that are looked at for an allocation of each group. */
    limits: Map<TaskGroup, number>;
  },
  placement: Placement,
): void {
  const { stack, result, failed } = options;
  const known = failed[placement.group.Name];
  // Where one allocation finds no place the next finds none, unless each has volumes of its own.
  if (known && !hasOwnVolumes(placement.group)) {
    known.CoalescedFailures++;
    keepFailed(desk, placement);
    return;
  }
  const { job, group } = versionFor(desk, options.job, placement);
  const { replaces, previous, name } = placement;
  if (replaces) {
    desk.lift(replaces.alloc);
    desk.builder.stop(replaces.alloc, replaces.description, replaces.clientStatus);
  }
  const request: SelectRequest = {
    job,
    group,
    name,
    penalties: placement.reschedule && previous ? penaltyRows(desk, previous) : null,
    preferredRow: preferredRow(desk, placement),
  };
  let limit = options.limits.get(group);
  if (limit === undefined) {
    limit = job.Type === 'batch' && !hasPreferences(job, group) ? stack.batchLimit : stack.serviceLimit(request);
    options.limits.set(group, limit);
  }
  const selection = stack.select(request, limit);
  if (!selection.place) {
    if (known) known.CoalescedFailures++;
    else failed[placement.group.Name] = selection.metrics;
    keepFailed(desk, placement);
    if (replaces) {
      desk.putBack(replaces.alloc);
      desk.builder.unstop(replaces.alloc);
    }
    return;
  }
  const { row, resources } = selection.place;
  const own = job === options.job;
  desk.place(
    row,
    buildAlloc({
      evaluation: desk.evaluation,
      job,
      group,
      name,
      node: desk.node(row),
      resources,
      metrics: selection.metrics,
      deploymentId: own ? result.deploymentId : '',
      canary: placement.canary && own && result.deploymentId !== '',
      previous,
      tracker: placement.reschedule && previous ? trackReschedule(previous, desk.now) : null,
      now: desk.now,
      random: desk.random,
    }),
    selection.place.victims,
  );
}

/** A failed one that cannot be tried again for want of room stays as it is: with it stays what has been tried already. */
function keepFailed({ builder }: Desk, { reschedule, previous }: Placement): void {
  if (reschedule && previous) builder.unstop(previous);
}

/** The job a placement runs: while canaries are on trial, the rest keeps running what ran before. */
export function versionFor(
  desk: Desk,
  job: Job,
  { downgrade, previous, group }: Pick<Placement, 'downgrade' | 'previous' | 'group'>,
): { job: Job; group: TaskGroup } {
  if (!downgrade) return { job, group };
  const older = previous?.Job ?? olderVersion(desk, job, group);
  const olderGroup = groupOf(older, group.Name);
  return older && olderGroup ? { job: older, group: olderGroup } : { job, group };
}

function olderVersion(desk: Desk, job: Job, group: TaskGroup): Job | null {
  for (let back = 1; back <= VERSIONS_BACK_MAX && job.Version - back >= 0; back++) {
    const older = desk.state.jobByVersion(job.Namespace, job.ID, job.Version - back);
    if (older?.Stable) return older;
  }
  const running = desk.allocs.find(
    (alloc) => alloc.TaskGroup === group.Name && !isTerminal(alloc) && alloc.Job && alloc.Job.Version < job.Version,
  );
  return running?.Job ?? null;
}

/** Whether the nodes that will do for one allocation of a group are others than for the next. */
function hasOwnVolumes({ Volumes }: TaskGroup): boolean {
  return Object.values(Volumes ?? {}).some(({ PerAlloc, Sticky }) => PerAlloc || Sticky);
}

/** Nodes on which this name has failed before. */
function penaltyRows(desk: Desk, previous: Allocation): Set<number> {
  const rows = new Set<number>([desk.rowOf(previous)]);
  for (const { PrevNodeID } of previous.RescheduleTracker?.Events ?? []) {
    rows.add(desk.fleet.rowOf.get(PrevNodeID) ?? -1);
  }
  return rows;
}

/** A sticky disk wants the node it lies on, as long as that may be used. */
function preferredRow(desk: Desk, { previous, group, reschedule }: Placement): number {
  if (!previous || reschedule || !group.EphemeralDisk.Sticky) return -1;
  const row = desk.rowOf(previous);
  return row >= 0 && desk.candidates.includes[row] === 1 ? row : -1;
}

function hasPreferences(job: Job, group: TaskGroup): boolean {
  const any = (list: readonly unknown[] | null): boolean => (list ?? []).length > 0;
  return (
    any(job.Affinities) ||
    any(job.Spreads) ||
    any(group.Affinities) ||
    any(group.Spreads) ||
    group.Tasks.some((task) => any(task.Affinities))
  );
}
