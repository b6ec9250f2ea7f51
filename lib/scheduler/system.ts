import type { Allocation, AllocMetric } from '../structs/allocation.js';
import type { Evaluation } from '../structs/evaluation.js';
import type { Job, TaskGroup, UpdateStrategy } from '../structs/job.js';
import { NANOS_PER_MS } from '../util/clock.js';
import { randomUuid } from '../util/random.js';
import { type Method, runAttempts, type ScheduleOptions } from './attempts.js';
import { buildAlloc } from './build-alloc.js';
import { atDesk, type Desk, type Draft, type DraftInput } from './draft.js';
import { isInReach } from './fleet.js';
import { nextEvaluation } from './reconcile/followup.js';
import { allocName } from './reconcile/names.js';
import { STOP_REASON } from './reconcile/result.js';
import { type NodeRole, reconcileSystem, type SystemReconciliation } from './reconcile/system.js';
import type { Stack } from './stack.js';
import { UpdateKinds } from './update-kinds.js';

/** A draft that also knows which nodes had no room. */
interface SystemDraft extends Draft {
  readonly full: readonly string[];
  readonly nextEval?: Evaluation;
}

const METHOD: Method = { attemptsMax: 5, draft: draftSystem, blocked: blockedByNode };

/** Schedules a job of which every node in reach runs one allocation. */
export function scheduleSystem(evaluation: Evaluation, options: ScheduleOptions): Promise<void> {
  return runAttempts(evaluation, METHOD, options);
}

function draftSystem(input: DraftInput): Generator<void, SystemDraft, void> {
  return atDesk(input, draftAt);
}

function* draftAt(desk: Desk): Generator<void, SystemDraft, void> {
  const kinds = new UpdateKinds(desk);
  const { job, evaluation, builder, fleet } = desk;
  const result = reconcileSystem({
    job,
    allocs: desk.allocs,
    nodes: wantedNodes(desk),
    roleOf: (nodeId) => roleOf(desk, nodeId),
    nodeFate: desk.nodeFate,
    updateKind: kinds.kindOf,
  });
  desk.loseStopped();
  for (const { alloc, description, clientStatus } of result.stop) {
    desk.lift(alloc);
    builder.stop(alloc, description, clientStatus);
  }
  for (const alloc of result.inPlace) builder.place(kinds.updated(alloc, ''));
  const { updates, wait } = admitUpdates(result, job);
  const failed: Record<string, AllocMetric> = {};
  const queued = Object.fromEntries((job?.TaskGroups ?? []).map(({ Name }) => [Name, 0]));
  const full = new Set<string>();
  const { stack } = desk;
  if (stack && job) {
    const context = { desk, stack, job, failed, queued, full };
    for (const { alloc, group } of updates) {
      placeOn(context, alloc.NodeID, { group, previous: alloc, replaces: true });
      if (desk.needsRest()) yield;
    }
    for (const { nodeId, group, previous } of result.place) {
      placeOn(context, nodeId, { group, previous, replaces: false });
      if (desk.needsRest()) yield;
    }
  }
  if (evaluation.AnnotatePlan) {
    builder.plan.Annotations = { DesiredTGUpdates: result.desired, PreemptedAllocs: null };
  }
  return {
    plan: builder.plan,
    isNoop: builder.isNoop,
    followups: [],
    failed,
    queued,
    escaped: stack?.escaped ?? false,
    eligibility: stack?.eligibility() ?? {},
    deploymentId: '',
    full: [...full].filter((nodeId) => fleet.rowOf.has(nodeId)),
    ...(wait > 0 ? { nextEval: rollingEval(desk, wait) } : {}),
  };
}

function* wantedNodes(desk: Desk): Iterable<string> {
  for (const row of desk.candidates.rows) yield desk.node(row).ID;
}

function roleOf(desk: Desk, nodeId: string): NodeRole {
  const row = desk.fleet.rowOf.get(nodeId);
  if (row === undefined || !desk.job) return 'foreign';
  if (desk.candidates.includes[row] === 1) return 'wanted';
  return isInReach(desk.node(row), desk.job.Datacenters, desk.job.NodePool) ? 'resting' : 'foreign';
}

/** As many replacements as each group's max_parallel allows; the rest after `wait` (its stagger, 0 when nothing is left). */
function admitUpdates(
  { destructive, desired }: SystemReconciliation,
  job: Job | null,
): { updates: SystemReconciliation['destructive']; wait: number } {
  const left = new Map<string, number>();
  const updates: SystemReconciliation['destructive'] = [];
  let wait = 0;
  for (const update of destructive) {
    const { Name } = update.group;
    const strategy = rolling(update.group.Update) ?? rolling(job?.Update ?? null);
    const room = left.get(Name) ?? strategy?.MaxParallel ?? Number.POSITIVE_INFINITY;
    const counts = desired[Name];
    if (room > 0) {
      updates.push(update);
      left.set(Name, room - 1);
      if (counts) counts.DestructiveUpdate++;
    } else {
      wait = Math.max(wait, strategy?.Stagger ?? 0);
      if (counts) counts.Ignore++;
    }
  }
  return { updates, wait };
}

function rolling(strategy: UpdateStrategy | null): UpdateStrategy | null {
  return strategy && strategy.MaxParallel > 0 && strategy.Stagger > 0 ? strategy : null;
}

function rollingEval({ evaluation, state, now, random }: DraftInput, waitNs: number): Evaluation {
  return nextEvaluation(
    evaluation,
    {
      ID: randomUuid(random),
      TriggeredBy: 'rolling-update',
      Status: 'pending',
      Wait: waitNs,
      WaitUntil: new Date(now + waitNs / NANOS_PER_MS).toISOString(),
      SnapshotIndex: state.index,
    },
    now,
  );
}

function placeOn(
  context: {
    desk: Desk;
    stack: Stack;
    job: Job;
    failed: Record<string, AllocMetric>;
    queued: Record<string, number>;
    full: Set<string>;
  },
  nodeId: string,
  { group, previous, replaces }: { group: TaskGroup; previous: Allocation | null; replaces: boolean },
): void {
  const { desk, stack, job, failed, queued, full } = context;
  const row = desk.fleet.rowOf.get(nodeId);
  if (row === undefined) return;
  if (replaces && previous) {
    desk.lift(previous);
    desk.builder.stop(previous, STOP_REASON.updating, null);
  }
  const name = allocName(job.ID, group.Name, 0);
  const { place, metrics } = stack.selectOn({ job, group, name, penalties: null, preferredRow: -1 }, row);
  if (!place) {
    // A node that the job's constraints leave out is no failure: the job is not meant for it. What runs there is stopped.
    if (metrics.NodesExhausted === 0) return;
    if (replaces && previous) {
      desk.putBack(previous);
      desk.builder.unstop(previous);
    }
    queued[group.Name] = (queued[group.Name] ?? 0) + 1;
    full.add(nodeId);
    const known = failed[group.Name];
    failed[group.Name] = known ? mergeMetrics(known, metrics) : metrics;
    return;
  }
  queued[group.Name] = (queued[group.Name] ?? 0) + 1;
  desk.place(
    row,
    buildAlloc({
      evaluation: desk.evaluation,
      job,
      group,
      name,
      node: desk.node(row),
      resources: place.resources,
      metrics,
      deploymentId: '',
      canary: false,
      previous,
      tracker: null,
      now: desk.now,
      random: desk.random,
    }),
  );
}

/** Adds the counts of another node that had no room. */
function mergeMetrics(into: AllocMetric, metrics: AllocMetric): AllocMetric {
  const dimensions = { ...into.DimensionExhausted };
  for (const [dimension, count] of Object.entries(metrics.DimensionExhausted ?? {})) {
    dimensions[dimension] = (dimensions[dimension] ?? 0) + count;
  }
  return {
    ...into,
    NodesEvaluated: into.NodesEvaluated + metrics.NodesEvaluated,
    NodesExhausted: into.NodesExhausted + metrics.NodesExhausted,
    DimensionExhausted: dimensions,
    CoalescedFailures: into.CoalescedFailures + 1,
  };
}

/** One evaluation for each full node: room elsewhere does not help. */
function blockedByNode(evaluation: Evaluation, draft: Draft, { state, now, random }: ScheduleOptions): Evaluation[] {
  return (draft as SystemDraft).full.map((nodeId) =>
    nextEvaluation(
      evaluation,
      {
        ID: randomUuid(random),
        NodeID: nodeId,
        TriggeredBy: 'queued-allocs',
        Status: 'blocked',
        StatusDescription: `created to place system alloc on node ${nodeId}`,
        FailedTGAllocs: draft.failed,
        ClassEligibility: draft.escaped ? null : draft.eligibility,
        EscapedComputedClass: draft.escaped,
        SnapshotIndex: state.index,
      },
      now,
    ),
  );
}
