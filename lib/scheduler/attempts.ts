import type { Evaluation } from '../structs/evaluation.js';
import type { Plan, PlanResult } from '../structs/plan.js';
import { assert } from '../util/assert.js';
import { type Millis, toNanos } from '../util/clock.js';
import type { Log } from '../util/log.js';
import { type Random, randomUuid } from '../util/random.js';
import type { Draft, DraftInput } from './draft.js';
import type { Planner, StateReader } from './ports.js';
import { nextEvaluation } from './reconcile/followup.js';
import type { Rest } from './turns.js';

/** The world of one scheduling run. */
export interface ScheduleOptions {
  readonly state: StateReader;
  readonly planner: Planner;
  readonly now: Millis;
  readonly random: Random;
  readonly log?: Log;
  /**
   * Lets others have the thread: resolves when the scheduler may go on. Asked for after every few milliseconds of work, so
   * that heartbeats are answered during an evaluation of 100,000 allocations; without it, an attempt runs through.
   */
  readonly yieldTurn?: () => Promise<void>;
  /**
   * Asked whenever it rests in the middle of placing very many: null, it may go on. Else another such evaluation goes first,
   * and this one begins anew on the state that the promise resolves to: side by side, the two would give away the same room.
   */
  readonly standBack?: () => Promise<StateReader> | null;
}

/** How a type of job is scheduled. */
export interface Method {
  /** Plans without progress before the evaluation fails. */
  readonly attemptsMax: number;
  /** Yields where it may be interrupted; the state it looks at is a snapshot, so nothing changes meanwhile. */
  draft(input: DraftInput): Generator<Rest, Draft, void>;
  /** Evaluations that wait for room, made from a draft that could not place all. */
  blocked(evaluation: Evaluation, draft: Draft, options: ScheduleOptions): Evaluation[];
}

/** Why an evaluation may have been made; any other reason is a bug of whoever made it, and fails it. */
const TRIGGERS: ReadonlySet<string> = new Set([
  'job-register',
  'job-deregister',
  'periodic-job',
  'node-drain',
  'node-update',
  'alloc-stop',
  'scheduled',
  'rolling-update',
  'deployment-watcher',
  'failed-follow-up',
  'max-plan-attempts',
  'alloc-failure',
  'queued-allocs',
  'preemption',
  'job-scaling',
  'max-disconnect-timeout',
  'reconnect',
  'alloc-reschedule',
]);

/** Allocations of a plan that are counted between two rests. */
const COUNTED_PER_TURN = 5000;

interface Progress {
  readonly draft: Draft;
  readonly queued: Record<string, number>;
  readonly blockedId: string;
  /** The last evaluation that follows this one at a later time; '' = none. */
  readonly nextId: string;
}

/**
 * Plans, submits, and plans again on a fresher snapshot while part of a plan is refused; then says how the evaluation ended.
 * Whatever is left to place becomes a blocked evaluation.
 */
export async function runAttempts(evaluation: Evaluation, method: Method, options: ScheduleOptions): Promise<void> {
  const { planner } = options;
  if (!TRIGGERS.has(evaluation.TriggeredBy)) {
    const why = `scheduler cannot handle '${evaluation.TriggeredBy}' evaluation reason`;
    await planner.updateEval({ ...evaluation, Status: 'failed', StatusDescription: why });
    return;
  }
  let state = options.state;
  let blockedId = '';
  let nextId = '';
  for (let left = method.attemptsMax; left > 0; left--) {
    const drafted = await draftWhole(evaluation, method, { ...options, state });
    const { draft } = drafted;
    state = drafted.state;
    blockedId = await holdBack({ evaluation, method, draft, blockedId, options: { ...options, state } });
    if (draft.isNoop && !evaluation.AnnotatePlan) {
      await finish(evaluation, { draft, queued: draft.queued, blockedId, nextId }, options);
      return;
    }
    for (const followup of draft.followups) {
      await planner.createEval({ ...followup, SnapshotIndex: state.index });
      nextId = followup.ID;
    }
    const { result, state: fresher } = await planner.submitPlan(draft.plan);
    if (isFull(draft.plan, result) && !fresher) {
      const queued = remaining(draft.queued, await placedByGroup(result, options));
      await finish(evaluation, { draft, queued, blockedId, nextId }, options);
      return;
    }
    // On the same state it would hand in the same plan again, for ever.
    assert(fresher !== null, 'what refuses a part of a plan tells how new a state to look at');
    options.log?.debug('plan refused in part', { eval: evaluation.ID, refresh: result.RefreshIndex });
    // A plan that brought the job forward earns the evaluation all its attempts again.
    if (hasProgress(result)) left = method.attemptsMax + 1;
    state = fresher;
  }
  await giveUp(evaluation, blockedId, { ...options, state }, method.attemptsMax);
}

/** A draft, and the state it was made from: a fresher one when it had to stand back. */
async function draftWhole(
  evaluation: Evaluation,
  method: Method,
  options: ScheduleOptions,
): Promise<{ draft: Draft; state: StateReader }> {
  const { now, random } = options;
  for (let { state } = options; ; ) {
    const drafted = await runThrough(method.draft({ evaluation, state, now, random }), options);
    if ('plan' in drafted) return { draft: drafted, state };
    state = await drafted.fresher;
  }
}

/** Drafts to the end, with a rest wherever the draft offers one; or leaves off, for another goes first. */
async function runThrough(
  drafting: Generator<Rest, Draft, void>,
  { yieldTurn, standBack }: ScheduleOptions,
): Promise<Draft | { fresher: Promise<StateReader> }> {
  try {
    for (;;) {
      const { done, value } = drafting.next();
      if (done) return value;
      const fresher = value === 'placing' ? standBack?.() : null;
      if (fresher) return { fresher };
      if (yieldTurn) await yieldTurn();
    }
  } finally {
    // What it has borrowed goes back, also when the rest ends in an error.
    drafting.return(undefined as never);
  }
}

/** Creates the blocked evaluation once; returns its id. */
async function holdBack(context: {
  evaluation: Evaluation;
  method: Method;
  draft: Draft;
  blockedId: string;
  options: ScheduleOptions;
}): Promise<string> {
  const { evaluation, method, draft, blockedId, options } = context;
  if (evaluation.Status === 'blocked' || evaluation.AnnotatePlan || blockedId !== '') return blockedId;
  if (isEmpty(draft.failed)) return '';
  // Also beside follow-ups: what they wait for is one thing, room for the others is another.
  const blocked = method.blocked(evaluation, draft, options);
  for (const one of blocked) await options.planner.createEval(one);
  return blocked[0]?.ID ?? '';
}

async function finish(evaluation: Evaluation, progress: Progress, { planner, state }: ScheduleOptions): Promise<void> {
  const { draft, queued, blockedId, nextId } = progress;
  const failed = isEmpty(draft.failed) ? null : draft.failed;
  if (evaluation.Status === 'blocked' && failed) {
    await planner.reblockEval({
      ...evaluation,
      EscapedComputedClass: draft.escaped,
      ClassEligibility: draft.escaped ? null : draft.eligibility,
      FailedTGAllocs: failed,
      QueuedAllocations: queued,
      SnapshotIndex: state.index,
    });
    return;
  }
  await planner.updateEval({
    ...evaluation,
    Status: 'complete',
    StatusDescription: '',
    DeploymentID: draft.deploymentId === '' ? evaluation.DeploymentID : draft.deploymentId,
    FailedTGAllocs: failed,
    NextEval: nextId === '' ? evaluation.NextEval : nextId,
    BlockedEval: blockedId === '' ? evaluation.BlockedEval : blockedId,
    QueuedAllocations: queued,
  });
}

/** No plan was accepted in time: fail, and try again when anything changes. */
async function giveUp(
  evaluation: Evaluation,
  blockedId: string,
  options: ScheduleOptions,
  attemptsMax: number,
): Promise<void> {
  let retryId = blockedId;
  if (retryId === '') {
    retryId = randomUuid(options.random);
    await options.planner.createEval(
      nextEvaluation(
        evaluation,
        {
          ID: retryId,
          TriggeredBy: 'max-plan-attempts',
          Status: 'blocked',
          StatusDescription: 'created due to placement conflicts',
          // Nothing is known about where it would fit: any change may help.
          EscapedComputedClass: true,
          SnapshotIndex: options.state.index,
        },
        options.now,
      ),
    );
  }
  await options.planner.updateEval({
    ...evaluation,
    Status: 'failed',
    StatusDescription: `maximum attempts reached (${attemptsMax})`,
    BlockedEval: retryId,
    ModifyTime: toNanos(options.now),
  });
}

/** How many new allocations of each group were accepted; counted with rests. */
async function placedByGroup(
  { NodeAllocation }: PlanResult,
  { yieldTurn }: ScheduleOptions,
): Promise<Map<string, number>> {
  const placed = new Map<string, number>();
  let left = COUNTED_PER_TURN;
  for (const nodeId in NodeAllocation) {
    for (const alloc of NodeAllocation[nodeId] ?? []) {
      // Only what has never been in the state has no index yet.
      if (alloc.CreateIndex === 0) placed.set(alloc.TaskGroup, (placed.get(alloc.TaskGroup) ?? 0) + 1);
      if (--left > 0) continue;
      left = COUNTED_PER_TURN;
      await yieldTurn?.();
    }
  }
  return placed;
}

/** Whether everything of a plan was accepted. */
function isFull(plan: Plan, result: PlanResult): boolean {
  for (const nodeId in plan.NodeAllocation) {
    if ((plan.NodeAllocation[nodeId]?.length ?? 0) !== (result.NodeAllocation[nodeId]?.length ?? 0)) return false;
  }
  return true;
}

function hasProgress(result: PlanResult): boolean {
  return (
    !isEmpty(result.NodeUpdate) ||
    !isEmpty(result.NodeAllocation) ||
    result.Deployment !== null ||
    result.DeploymentUpdates.length > 0
  );
}

function remaining(queued: Record<string, number>, placed: ReadonlyMap<string, number>): Record<string, number> {
  return Object.fromEntries(
    Object.entries(queued).map(([group, count]) => [group, Math.max(0, count - (placed.get(group) ?? 0))]),
  );
}

function isEmpty(record: Record<string, unknown>): boolean {
  for (const _ in record) return false;
  return true;
}
