import type { Allocation, AllocMetric } from '../structs/allocation.js';
import type { Deployment } from '../structs/deployment.js';
import type { Evaluation } from '../structs/evaluation.js';
import type { Job } from '../structs/job.js';
import type { Node } from '../structs/node.js';
import type { Plan } from '../structs/plan.js';
import type { SchedulerConfiguration } from '../structs/rpc.js';
import { type Millis, toNanos } from '../util/clock.js';
import type { Random } from '../util/random.js';
import type { Columns } from './columns.js';
import { type Candidates, candidatesOf, type Fleet, fleetOf, withColumns } from './fleet.js';
import { Ledger } from './ledger.js';
import { Occupancy } from './occupancy.js';
import { PlanBuilder } from './plan-builder.js';
import type { StateReader } from './ports.js';
import { algorithmOf } from './rank/algorithm.js';
import { type NodeFate, nodeFateOf } from './reconcile/filters.js';
import { STOP_REASON } from './reconcile/result.js';
import { Stack } from './stack.js';
import { inTurns, type Rest } from './turns.js';
import { isClientTerminal, isServerTerminal, isTerminal } from './usage.js';

/** What one look at the world makes of an evaluation. */
export interface Draft {
  readonly plan: Plan;
  readonly isNoop: boolean;
  readonly followups: Evaluation[];
  /** Groups that could not be placed whole, and why. */
  readonly failed: Record<string, AllocMetric>;
  /** Allocations wanted by group, placed or not. */
  readonly queued: Record<string, number>;
  readonly escaped: boolean;
  readonly eligibility: Record<string, boolean>;
  /** Of the deployment that the evaluation is part of; empty for batch work. */
  readonly deploymentId: string;
}

/** What a draft is made from. */
export interface DraftInput {
  readonly evaluation: Evaluation;
  readonly state: StateReader;
  readonly now: Millis;
  readonly random: Random;
}

/** Lays a desk, and clears it when the draft is made. */
export function* atDesk<T>(
  input: DraftInput,
  draft: (desk: Desk) => Generator<Rest, T, void>,
): Generator<Rest, T, void> {
  const fleet = fleetOf(input.state);
  return yield* withColumns(fleet, function* (columns) {
    const desk = new Desk(input, fleet, columns);
    yield* desk.gatherOwn();
    const drafted = yield* draft(desk);
    desk.builder.annotatePreemptions();
    return drafted;
  });
}

/** Work between two rests, in nodes looked at and allocations read: about a millisecond, or some in a process that has just begun. */
const WORK_PER_TURN = 2000;
/** Least number of options that affinities and spreads choose from, where the scheduler configuration does not say. */
const SCORED_MIN = 100;
/** What placing one allocation costs on top, in nodes looked at. */
const WORK_PER_PLACEMENT = 20;

/** The desk at which a draft is made: the world as columns, and the plan so far. Lives for one attempt. */
export class Desk {
  readonly evaluation: Evaluation;
  readonly state: StateReader;
  readonly now: Millis;
  readonly random: Random;
  readonly job: Job | null;
  readonly deployment: Deployment | null;
  /** The job's own, once they are gathered. */
  readonly allocs: readonly Allocation[];
  readonly #own: Allocation[] = [];
  readonly fleet: Fleet;
  readonly columns: Columns;
  readonly candidates: Candidates;
  readonly ledger: Ledger;
  readonly occupancy: Occupancy;
  readonly builder: PlanBuilder;
  readonly #fates = new Map<string, NodeFate>();
  #stack: Stack | null = null;
  #placements = 0;
  #rested = 0;

  constructor(input: DraftInput, fleet: Fleet, columns: Columns) {
    const { evaluation, state } = input;
    this.evaluation = evaluation;
    this.state = state;
    this.now = input.now;
    this.random = input.random;
    this.job = state.jobById(evaluation.Namespace, evaluation.JobID) ?? null;
    this.deployment = state.latestDeploymentByJob(evaluation.Namespace, evaluation.JobID) ?? null;
    this.allocs = this.#own;
    this.fleet = fleet;
    this.columns = columns;
    this.candidates = candidatesOf(this.fleet, this.job?.Datacenters ?? [], this.job?.NodePool ?? '');
    this.ledger = new Ledger(fleet, state, columns);
    this.occupancy = new Occupancy(columns);
    this.builder = new PlanBuilder({
      evaluation,
      job: this.job,
      snapshotIndex: state.index,
      now: toNanos(input.now),
    });
  }

  /**
   * The latest deployment of the job as it is: what an evaluation without one of its own belongs to. Not one that failed or was
   * cancelled, or is by the stop of its job: clients of Nomad wait for its success, and take the evaluation for a failure.
   */
  get knownDeploymentId(): string {
    const { deployment, job } = this;
    if (!deployment || this.evaluation.Type === 'batch' || this.evaluation.Type === 'sysbatch') return '';
    if (deployment.Status === 'failed' || deployment.Status === 'cancelled') return '';
    if (!job || job.Stop || deployment.JobVersion !== job.Version) return '';
    return deployment.JobCreateIndex === job.CreateIndex ? deployment.ID : '';
  }

  /** Gathers the job's own allocations and counts them where they are; must come before anything is placed. */
  gatherOwn(): Generator<Rest, void, void> {
    const { state, evaluation } = this;
    const read = state.eachAllocOfJob?.bind(state) ?? state.allocsByJob.bind(state);
    return inTurns(read(evaluation.Namespace, evaluation.JobID), (alloc) => {
      this.#own.push(alloc);
      const row = isTerminal(alloc) ? -1 : this.rowOf(alloc);
      if (row >= 0) this.occupancy.change(row, alloc.TaskGroup, 1);
    });
  }

  /** The chain that picks nodes; there is none without a job. */
  get stack(): Stack | null {
    if (this.#stack || !this.job) return this.#stack;
    const config = this.state.schedulerConfig();
    const pool = this.state.nodePoolByName?.(this.job.NodePool)?.SchedulerConfiguration ?? null;
    this.#stack = new Stack({
      job: this.job,
      state: this.state,
      fleet: this.fleet,
      columns: this.columns,
      candidates: this.candidates,
      ledger: this.ledger,
      occupancy: this.occupancy,
      algorithm: algorithmOf(config, this.fleet.nodes.length, pool).name,
      memoryOversubscription: pool?.MemoryOversubscriptionEnabled ?? config.MemoryOversubscriptionEnabled,
      random: this.random,
      scoredMin: config.NodeLimitForFeasibilityChecks || SCORED_MIN,
      mayPreempt: mayPreempt(this.job.Type, config.PreemptionConfig),
    });
    return this.#stack;
  }

  readonly nodeFate = (nodeId: string): NodeFate => {
    let fate = this.#fates.get(nodeId);
    if (fate === undefined) {
      fate = nodeFateOf(this.state.nodeById(nodeId));
      this.#fates.set(nodeId, fate);
    }
    return fate;
  };

  node(row: number): Node {
    return this.fleet.nodes[row] as Node;
  }

  rowOf(alloc: Allocation): number {
    return this.fleet.rowOf.get(alloc.NodeID) ?? -1;
  }

  /** Whether so much was done since the last rest that others should have their turn; to be asked after each placement. */
  needsRest(): boolean {
    const work = ++this.#placements * WORK_PER_PLACEMENT + (this.#stack?.looks ?? 0) + this.ledger.reads;
    if (work - this.#rested < WORK_PER_TURN) return false;
    this.#rested = work;
    return true;
  }

  /** Takes an allocation out of the counts, as if it were stopped. */
  lift(alloc: Allocation): void {
    this.ledger.remove(alloc);
    const row = this.rowOf(alloc);
    if (row >= 0 && !isTerminal(alloc)) this.occupancy.change(row, alloc.TaskGroup, -1);
  }

  /** Undoes lift(). */
  putBack(alloc: Allocation): void {
    this.ledger.restore(alloc);
    const row = this.rowOf(alloc);
    if (row >= 0 && !isTerminal(alloc)) this.occupancy.change(row, alloc.TaskGroup, 1);
  }

  /** Counts and plans a new allocation, for which `victims` (counted as gone already) must leave. */
  place(row: number, alloc: Allocation, victims: readonly Allocation[]): void {
    this.ledger.place(row, alloc.AllocatedResources);
    this.occupancy.change(row, alloc.TaskGroup, 1);
    for (const victim of victims) this.builder.preempt(victim, alloc);
    this.builder.place(victims.length === 0 ? alloc : { ...alloc, PreemptedAllocations: victims.map(({ ID }) => ID) });
  }

  /** Those that were told to stop on a node that will never say they have. */
  loseStopped(): Generator<Rest, void, void> {
    return inTurns(this.allocs, (alloc) => {
      const fate = this.nodeFate(alloc.NodeID);
      if (!isServerTerminal(alloc) || isClientTerminal(alloc) || (fate !== 'down' && fate !== 'gone')) return;
      this.builder.stop(alloc, STOP_REASON.lost, 'lost');
    });
  }
}

/** Whether jobs of a type may take the place of less important ones. */
function mayPreempt(type: Job['Type'], config: SchedulerConfiguration['PreemptionConfig']): boolean {
  switch (type) {
    case 'system':
      return config.SystemSchedulerEnabled;
    case 'sysbatch':
      return config.SysBatchSchedulerEnabled;
    case 'batch':
      return config.BatchSchedulerEnabled;
    case 'service':
      return config.ServiceSchedulerEnabled;
  }
}
