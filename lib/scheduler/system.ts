import type { Allocation, AllocMetric } from '../structs/allocation.js';
import type { Deployment } from '../structs/deployment.js';
import type { DesiredUpdates, Evaluation } from '../structs/evaluation.js';
import type { Job, TaskGroup } from '../structs/job.js';
import { randomUuid } from '../util/random.js';
import { type Method, runAttempts, type ScheduleOptions } from './attempts.js';
import { buildAlloc } from './build-alloc.js';
import { atDesk, type Desk, type Draft, type DraftInput } from './draft.js';
import { versionFor } from './draft-generic.js';
import { isInReach } from './fleet.js';
import { isActive } from './reconcile/filters.js';
import { nextEvaluation } from './reconcile/followup.js';
import { planWaits } from './reconcile/job.js';
import { allocName } from './reconcile/names.js';
import { STOP_REASON } from './reconcile/result.js';
import { DEPLOYMENT_TEXT, isHealthy, rollOut } from './reconcile/roll-out.js';
import { type NodeRole, reconcileSystem, type SystemReconciliation } from './reconcile/system.js';
import { trackRetry } from './reconcile/system-retry.js';
import type { SystemPlacement } from './reconcile/system-roll-out.js';
import type { Stack } from './stack.js';
import { inTurns, type Rest } from './turns.js';
import { UpdateKinds } from './update-kinds.js';

/** A draft that also knows which nodes had no room. */
interface SystemDraft extends Draft {
  readonly full: readonly string[];
}

/** System and sysbatch jobs differ in their attempts; whether work that has ended counts as done goes by the job's type. */
export function systemMethod(attemptsMax: number): Method {
  return { attemptsMax, draft: draftSystem, blocked: blockedByNode };
}

const METHOD = systemMethod(5);

/** Schedules a job of which every node in reach runs one allocation. */
export function scheduleSystem(evaluation: Evaluation, options: ScheduleOptions): Promise<void> {
  return runAttempts(evaluation, METHOD, options);
}

function draftSystem(input: DraftInput): Generator<Rest, SystemDraft, void> {
  return atDesk(input, draftAt);
}

/** What is found out while nodes are tried. */
interface Tally {
  readonly failed: Record<string, AllocMetric>;
  readonly queued: Record<string, number>;
  readonly full: Set<string>;
  /** By group: nodes that got none, since the job is not meant for them or since they have no room. */
  readonly without: Map<string, number>;
  /** By group: those of them that keep an older one. */
  readonly behind: Map<string, number>;
}

function* draftAt(desk: Desk): Generator<Rest, SystemDraft, void> {
  const kinds = new UpdateKinds(desk);
  const { job, evaluation, builder, fleet } = desk;
  const result = yield* reconcileSystem({
    job,
    allocs: desk.allocs,
    deployment: job?.Type === 'sysbatch' ? null : desk.deployment,
    nodes: wantedNodes(desk),
    roleOf: (nodeId) => roleOf(desk, nodeId),
    isMeantFor: (nodeId, group) => isMeantFor(desk, nodeId, group),
    nodeFate: desk.nodeFate,
    updateKind: kinds.kindOf,
    now: desk.now,
    evalId: evaluation.ID,
    changedNodeId: changedNode(evaluation),
  });
  yield* desk.loseStopped();
  yield* inTurns(result.stop, ({ alloc, description, clientStatus }) => {
    desk.lift(alloc);
    builder.stop(alloc, description, clientStatus);
  });
  const newId = (): string => randomUuid(desk.random);
  const fresh =
    job && hasNews(result)
      ? rollOut({ job, evaluation, now: desk.now, newId }, result.deployment, result.groups)
      : null;
  const running = fresh ?? (result.deployment && isActive(result.deployment) ? result.deployment : null);
  const deploymentId = running?.ID ?? '';
  const followups = job ? yield* applyWaits(desk, { job, result, kinds, deploymentId, newId }) : [];
  const tally: Tally = {
    failed: {},
    queued: Object.fromEntries((job?.TaskGroups ?? []).map(({ Name }) => [Name, 0])),
    full: new Set(),
    without: new Map(),
    behind: new Map(),
  };
  const { stack } = desk;
  if (stack && job) yield* placeAll({ desk, stack, job, tally, deploymentId }, result);
  builder.plan.DeploymentUpdates = result.deploymentUpdates;
  if (running) settleRollOut(desk, { running, isNew: fresh !== null, result, tally });
  if (evaluation.AnnotatePlan) {
    builder.plan.Annotations = { DesiredTGUpdates: result.desired, PreemptedAllocs: null };
  }
  return {
    plan: builder.plan,
    isNoop: builder.isNoop,
    followups,
    failed: tally.failed,
    queued: tally.queued,
    escaped: stack?.escaped ?? false,
    eligibility: stack?.eligibility() ?? {},
    deploymentId: deploymentId || desk.knownDeploymentId,
    full: [...tally.full].filter((nodeId) => fleet.rowOf.has(nodeId)),
  };
}

/** The node that an evaluation was made for since it has changed. */
function changedNode({ TriggeredBy, NodeID }: Evaluation): string {
  return TriggeredBy === 'node-update' || TriggeredBy === 'node-drain' ? NodeID : '';
}

function hasNews({ groups }: SystemReconciliation): boolean {
  for (const { startsDeployment } of groups.values()) if (startsDeployment) return true;
  return false;
}

/** Plans in-place updates, and the bookkeeping of what leaves and comes back; returns the follow-ups of that. */
function* applyWaits(
  desk: Desk,
  options: { job: Job; result: SystemReconciliation; kinds: UpdateKinds; deploymentId: string; newId: () => string },
): Generator<Rest, Evaluation[], void> {
  const { job, result, kinds, deploymentId, newId } = options;
  const { unknown, timeouts, back, stop, inPlace } = result;
  const waits = yield* planWaits({ job, evaluation: desk.evaluation, now: desk.now, newId }, [
    {
      later: [...result.groups.values()].flatMap(({ later }) => later),
      replacements: [],
      clientStops: [],
      unknown,
      timeouts,
      back,
      stop,
    },
  ]);
  const touched = new Map<string, Allocation>();
  yield* inTurns(waits.updates, (alloc) => touched.set(alloc.ID, alloc));
  yield* inTurns(inPlace, (old) => {
    const alloc = touched.get(old.ID) ?? old;
    touched.delete(old.ID);
    desk.builder.place(kinds.updated(alloc, deploymentId));
  });
  // One that came back only to be replaced needs no word of its own.
  const replaced = new Set<string>();
  for (const { updates } of result.groups.values()) yield* inTurns(updates, ({ ID }) => replaced.add(ID));
  yield* inTurns(touched.values(), (alloc) => {
    if (!replaced.has(alloc.ID)) desk.builder.place(alloc);
  });
  return waits.followups;
}

interface Placing {
  readonly desk: Desk;
  readonly stack: Stack;
  readonly job: Job;
  readonly tally: Tally;
  readonly deploymentId: string;
}

function* placeAll(context: Placing, { groups, desired }: SystemReconciliation): Generator<Rest, void, void> {
  const { desk } = context;
  for (const group of context.job.TaskGroups) {
    const plan = groups.get(group.Name);
    if (!plan) continue;
    let { room } = plan;
    for (const place of plan.place) {
      const placed = placeOn(context, group, place, false);
      if (placed && !plan.onTrial) room--;
      if (desk.needsRest()) yield 'placing';
    }
    const counts = desired[group.Name] as DesiredUpdates;
    let replaced = 0;
    for (const alloc of plan.updates) {
      if (replaced >= room) break;
      const place = { nodeId: alloc.NodeID, previous: alloc, canary: plan.onTrial, downgrade: false };
      if (placeOn(context, group, place, true)) replaced++;
      if (desk.needsRest()) yield 'placing';
    }
    counts[plan.onTrial ? 'Canary' : 'DestructiveUpdate'] += replaced;
    counts.Ignore += plan.updates.length - replaced;
    const without = context.tally.without.get(group.Name) ?? 0;
    const nowhere = plan.nowhere || (without > 0 && without === plan.state.DesiredTotal);
    if (nowhere) context.tally.failed[group.Name] ??= refusals(context, group);
  }
}

/** Why a group that runs on every node it is meant for runs on none: the job is right, and yet nobody wants that. */
function refusals({ stack, job }: Placing, group: TaskGroup): AllocMetric {
  return stack.refusals({ job, group, name: allocName(job.ID, group.Name, 0), penalties: null, preferredRow: -1 });
}

/** Writes the roll-out into the plan when it is new, wants another number of nodes than it did, or is through. */
function settleRollOut(
  { builder }: Desk,
  options: { running: Deployment; isNew: boolean; result: SystemReconciliation; tally: Tally },
): void {
  const { running, isNew, result, tally } = options;
  const states = { ...running.TaskGroups };
  let changed = isNew;
  let complete = !isNew;
  for (const [name, plan] of result.groups) {
    const known = states[name];
    if (!known) continue;
    const without = tally.without.get(name) ?? 0;
    const behind = tally.behind.get(name) ?? 0;
    const DesiredTotal = Math.max(0, plan.state.DesiredTotal - without);
    const { DesiredCanaries } = plan.state;
    changed ||= known.DesiredTotal !== DesiredTotal || known.DesiredCanaries !== DesiredCanaries;
    states[name] = { ...known, DesiredTotal, DesiredCanaries };
    // Nodes without room are passed over; where none has any, nothing was rolled out.
    const through = plan.updates.length === behind && (without === 0 || DesiredTotal > 0);
    complete &&= plan.settled && through && isHealthy(states[name]);
  }
  if (changed) builder.plan.Deployment = { ...running, TaskGroups: states };
  if (!complete) return;
  const { successful: StatusDescription } = DEPLOYMENT_TEXT;
  builder.plan.DeploymentUpdates.push({ DeploymentID: running.ID, Status: 'successful', StatusDescription });
}

function wantedNodes(desk: Desk): string[] {
  return Array.from(desk.candidates.rows, (row) => desk.node(row).ID);
}

function roleOf(desk: Desk, nodeId: string): NodeRole {
  const row = desk.fleet.rowOf.get(nodeId);
  if (row === undefined || !desk.job) return 'foreign';
  if (desk.candidates.includes[row] === 1) return 'wanted';
  return isInReach(desk.node(row), desk.job.Datacenters, desk.job.NodePool) ? 'resting' : 'foreign';
}

function isMeantFor({ fleet, stack, job }: Desk, nodeId: string, group: TaskGroup): boolean {
  const row = fleet.rowOf.get(nodeId);
  return row !== undefined && stack !== null && job !== null && stack.isMeantFor(job, group, row);
}

/** Whether it was placed. One that `replaces` takes the place of a running one: that is stopped once it is known that this one fits. */
function placeOn(
  { desk, stack, job: newest, tally, deploymentId }: Placing,
  newestGroup: TaskGroup,
  { nodeId, previous, canary, downgrade }: SystemPlacement,
  replaces: boolean,
): boolean {
  const row = desk.fleet.rowOf.get(nodeId);
  if (row === undefined) return false;
  const { job, group } = versionFor(desk, newest, { downgrade, previous, group: newestGroup });
  if (replaces && previous) {
    desk.lift(previous);
    desk.builder.stop(previous, STOP_REASON.updating, null);
  }
  const name = allocName(job.ID, group.Name, 0);
  const selection = stack.selectOn({ job, group, name, penalties: null, preferredRow: -1 }, row);
  const { metrics } = selection;
  if (!selection.place) {
    // A node that the job's constraints leave out is no failure: the job is not meant for it. What runs there is stopped.
    addOne(tally.without, group.Name);
    if (metrics.NodesExhausted === 0) return false;
    if (replaces && previous) {
      desk.putBack(previous);
      desk.builder.unstop(previous);
      addOne(tally.behind, group.Name);
    }
    noteFull(tally, nodeId, group.Name, metrics);
    return false;
  }
  tally.queued[group.Name] = (tally.queued[group.Name] ?? 0) + 1;
  const own = job === newest;
  desk.place(
    row,
    buildAlloc({
      evaluation: desk.evaluation,
      job,
      group,
      name,
      node: desk.node(row),
      resources: selection.place.resources,
      metrics,
      deploymentId: own ? deploymentId : '',
      canary: canary && own && deploymentId !== '',
      previous,
      tracker: previous && trackRetry(previous, job, desk.now),
      now: desk.now,
      random: desk.random,
    }),
    selection.place.victims,
  );
  return true;
}

function addOne(counts: Map<string, number>, key: string): void {
  counts.set(key, (counts.get(key) ?? 0) + 1);
}

function noteFull({ queued, full, failed }: Tally, nodeId: string, group: string, metrics: AllocMetric): void {
  queued[group] = (queued[group] ?? 0) + 1;
  full.add(nodeId);
  const known = failed[group];
  failed[group] = known ? mergeMetrics(known, metrics) : metrics;
}

/** Adds the counts of another node that had no room. */
function mergeMetrics(into: AllocMetric, metrics: AllocMetric): AllocMetric {
  return {
    ...into,
    NodesEvaluated: into.NodesEvaluated + metrics.NodesEvaluated,
    NodesExhausted: into.NodesExhausted + metrics.NodesExhausted,
    ClassExhausted: addCounts(into.ClassExhausted, metrics.ClassExhausted),
    DimensionExhausted: addCounts(into.DimensionExhausted, metrics.DimensionExhausted),
    CoalescedFailures: into.CoalescedFailures + 1,
  };
}

type Counts = AllocMetric['ClassExhausted'];

function addCounts(into: Counts, more: Counts): Counts {
  if (!into || !more) return into ?? more;
  const sums = { ...into };
  for (const [key, count] of Object.entries(more)) sums[key] = (sums[key] ?? 0) + count;
  return sums;
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
