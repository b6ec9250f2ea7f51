import type { Command, CommandResult, Placement, PlanResultsCommand, PlanStop } from '../state/commands.js';
import type { StateSnapshot } from '../state/store.js';
import type { Allocation } from '../structs/allocation.js';
import { MeshError } from '../structs/errors.js';
import type { Evaluation } from '../structs/evaluation.js';
import type { Plan, PlanResult } from '../structs/plan.js';
import { type Millis, toNanos } from '../util/clock.js';
import type { Random } from '../util/random.js';
import { newEval } from './new-eval.js';
import { checkPlan } from './plan-check.js';
import { PlanQueue } from './plan-queue.js';
import { createPlanRejections } from './plan-rejections.js';
import { propose } from './propose.js';
import type { ServerWorld } from './world.js';

// The leader's one place where plans become allocations. Plans are checked one after the other; the next is checked
// while earlier ones are being committed, on the state as it will be once they are applied. That is safe because entries
// are applied in the order in which they are proposed, and if one is lost, so is the leadership and all after it.

/** Plans checked but not yet applied; a slow disk makes further ones wait in the queue, most urgent first. */
const IN_FLIGHT_MAX = 8;

/** A plan that was checked. Its submitter must land or abandon it at once: no other is checked meanwhile. */
export interface CheckedPlan {
  readonly result: PlanResult;
  /**
   * Commits what was accepted together with these evaluations, in one log entry: both are stored, or none. Resolves once
   * that is applied.
   */
  land(evaluations: readonly Evaluation[]): Promise<void>;
  /** Resolves once everything that was in flight when the plan was checked is applied, or lost. */
  settled(): Promise<unknown>;
  /** Forgets what was accepted; after land it does nothing. */
  abandon(): void;
}

export interface PlanApplier {
  /** Queues a plan; resolves once it is checked. `holds` says whether the submitter still owns its evaluation then. */
  submit(plan: Plan, holds: () => boolean): Promise<CheckedPlan>;
  /** How many plans are on their way into the state: queued, checked or being committed. */
  readonly inFlight: number;
  /** Refuses what waits: leadership is lost. */
  stop(): void;
}

export function createPlanApplier(world: ServerWorld): PlanApplier {
  const rejections = createPlanRejections(world);
  const queue = new PlanQueue<CheckedPlan>();
  /** Results on their way into the state, with the promise of their arrival. */
  const flying = new Map<PlanResult, Promise<unknown>>();
  /** Checked, and neither landed nor abandoned: what it frees may not be given away before it is proposed. */
  let open: CheckedPlan | null = null;

  const commit = async (command: Command, result: PlanResult): Promise<void> => {
    try {
      const { index, value } = await propose(world.consensus, command);
      result.AllocIndex = index;
      if (command.type === 'batch') requireAll((value as { results: readonly CommandResult[] }).results);
    } finally {
      flying.delete(result);
      drain();
    }
  };

  const check = (plan: Plan): CheckedPlan => {
    const result = checkPlan(plan, world.store.snapshot(), flying.keys());
    if (result.RejectedNodes.length > 0) {
      rejections.note(result.RejectedNodes);
      world.log.debug('plan partly refused', { eval: plan.EvalID, nodes: result.RejectedNodes.join(',') });
    }
    // What stood in the way of a refused part may itself be in flight: the scheduler must see it when it looks again.
    const others = result.RefreshIndex > 0 ? [...flying.values()] : [];
    const settled = (): Promise<unknown> => Promise.allSettled(others);
    const close = (): void => {
      if (open !== checked) return;
      open = null;
      drain();
    };
    const checked: CheckedPlan = {
      result,
      async land(evaluations) {
        try {
          flying.set(result, commit(entry(plan, result, evaluations, world), result));
        } finally {
          close();
        }
        await flying.get(result);
      },
      settled,
      abandon: close,
    };
    return checked;
  };

  const drain = (): void => {
    while (!open && flying.size < IN_FLIGHT_MAX) {
      const next = queue.take();
      if (!next) return;
      const { plan, answer, refuse, holds } = next;
      if (holds()) {
        open = check(plan);
        answer(open);
      } else {
        refuse(new MeshError('E_CONFLICT', `evaluation ${plan.EvalID} was handed to another worker; its plan is void`));
      }
    }
  };

  return {
    submit(plan, holds) {
      const answer = queue.push(plan, holds);
      drain();
      return answer;
    },
    get inFlight() {
      return flying.size + queue.size + (open ? 1 : 0);
    },
    stop() {
      rejections.clear();
      queue.refuseAll(new MeshError('E_NO_LEADER', 'this server no longer leads; the plan was not applied'));
    },
  };
}

/** The log entry of a plan and the evaluations that go with it. */
function entry(plan: Plan, result: PlanResult, evals: readonly Evaluation[], world: ServerWorld): Command {
  const planned = planCommand(plan, result, world.store.snapshot(), world.now(), world.random);
  return evals.length > 0 ? { type: 'batch', commands: [planned, { type: 'evals-upsert', evals }] } : planned;
}

function requireAll(results: readonly CommandResult[]): void {
  for (const result of results) if (!result.ok) throw result.error;
}

/** The log entry for what was accepted: allocations travel without their job, which the state has. */
export function planCommand(
  plan: Plan,
  result: PlanResult,
  state: Pick<StateSnapshot, 'jobById'>,
  now: Millis,
  random: Random,
): PlanResultsCommand {
  const job = plan.Job;
  const preempted = Object.values(result.NodePreemptions).flat();
  return {
    type: 'plan-results',
    evalId: plan.EvalID,
    job: job && { namespace: job.Namespace, id: job.ID, createIndex: job.CreateIndex },
    placements: placementsOf(result, job?.Version ?? 0),
    stops: Object.values(result.NodeUpdate).flatMap((allocs) => allocs.map(planStop)),
    preemptions: preempted.map(({ ID, PreemptedByAllocation }) => ({ ID, PreemptedByAllocation })),
    deployment: result.Deployment,
    deploymentUpdates: result.DeploymentUpdates,
    preemptionEvals: preemptionEvals(preempted, state, now, random),
    time: toNanos(now),
  };
}

function placementsOf({ NodeAllocation }: PlanResult, version: number): Placement[] {
  const placements: Placement[] = [];
  for (const nodeId in NodeAllocation) {
    for (const alloc of NodeAllocation[nodeId] ?? []) placements.push(placement(alloc, alloc.Job?.Version ?? version));
  }
  return placements;
}

/** Written out: there are many, and a copy without some of its keys would be made twice and be slow to read. */
function placement(alloc: Allocation, JobVersion: number): Placement {
  return {
    ID: alloc.ID,
    Namespace: alloc.Namespace,
    EvalID: alloc.EvalID,
    Name: alloc.Name,
    NodeID: alloc.NodeID,
    NodeName: alloc.NodeName,
    JobID: alloc.JobID,
    JobVersion,
    TaskGroup: alloc.TaskGroup,
    AllocatedResources: alloc.AllocatedResources,
    Metrics: alloc.Metrics,
    DesiredStatus: alloc.DesiredStatus,
    DesiredDescription: alloc.DesiredDescription,
    DesiredTransition: alloc.DesiredTransition,
    ClientStatus: alloc.ClientStatus,
    ClientDescription: alloc.ClientDescription,
    AllocStates: alloc.AllocStates,
    DeploymentID: alloc.DeploymentID,
    DeploymentStatus: alloc.DeploymentStatus,
    PreviousAllocation: alloc.PreviousAllocation,
    RescheduleTracker: alloc.RescheduleTracker,
    FollowupEvalID: alloc.FollowupEvalID,
    PreemptedAllocations: alloc.PreemptedAllocations,
    PreemptedByAllocation: alloc.PreemptedByAllocation,
    CreateTime: alloc.CreateTime,
    ModifyTime: alloc.ModifyTime,
  };
}

function planStop(alloc: Allocation): PlanStop {
  return {
    ID: alloc.ID,
    DesiredStatus: alloc.DesiredStatus === 'evict' ? 'evict' : 'stop',
    DesiredDescription: alloc.DesiredDescription,
    ClientStatus: alloc.ClientStatus === 'lost' || alloc.ClientStatus === 'unknown' ? alloc.ClientStatus : '',
    FollowupEvalID: alloc.FollowupEvalID,
    RescheduleTracker: alloc.RescheduleTracker,
  };
}

/** Jobs whose allocations had to make room are looked at again: they may fit elsewhere. */
function preemptionEvals(
  preempted: readonly Allocation[],
  state: Pick<StateSnapshot, 'jobById'>,
  now: Millis,
  random: Random,
): Evaluation[] {
  const evals = new Map<string, Evaluation>();
  for (const { Namespace, JobID } of preempted) {
    const job = state.jobById(Namespace, JobID);
    const key = `${Namespace}\0${JobID}`;
    if (!job || evals.has(key)) continue;
    evals.set(
      key,
      newEval({ Namespace, JobID, Priority: job.Priority, Type: job.Type, TriggeredBy: 'preemption' }, { random, now }),
    );
  }
  return [...evals.values()];
}
