import { allocsFit, isClientTerminal } from '../../lib/scheduler/index.js';
import type { Planner, StateReader } from '../../lib/scheduler/ports.js';
import { schedule } from '../../lib/scheduler/schedule.js';
import type { Allocation } from '../../lib/structs/allocation.js';
import type { Deployment } from '../../lib/structs/deployment.js';
import type { Evaluation } from '../../lib/structs/evaluation.js';
import type { Job } from '../../lib/structs/job.js';
import type { Node } from '../../lib/structs/node.js';
import type { Plan, PlanResult } from '../../lib/structs/plan.js';
import type { SchedulerConfiguration } from '../../lib/structs/rpc.js';
import { seededRandom } from '../../lib/util/random.js';
import { mockEval } from './mock.js';

/** What a client says of a task that it was told to end. */
const KILLED = {
  web: { State: 'dead', Failed: false, Events: [{ Type: 'Killed' }] },
} as unknown as Allocation['TaskStates'];

/** A small world in memory: what a scheduler reads, and a planner that records and applies what it is handed. */
export class Harness implements Planner {
  index = 100;
  now = 1_700_000_000_000;
  readonly random = seededRandom(7);
  nodes = new Map<string, Node>();
  readonly jobs = new Map<string, Job>();
  readonly versions = new Map<string, Job>();
  readonly allocs = new Map<string, Allocation>();
  readonly deployments = new Map<string, Deployment>();
  readonly plans: Plan[] = [];
  readonly created: Evaluation[] = [];
  readonly updated: Evaluation[] = [];
  readonly reblocked: Evaluation[] = [];
  /** Nodes whose part of the next plans is refused, and how often. */
  readonly refusals = new Map<string, number>();
  applies = true;
  config: SchedulerConfiguration = {
    SchedulerAlgorithm: 'binpack',
    PreemptionConfig: {
      SystemSchedulerEnabled: false,
      SysBatchSchedulerEnabled: false,
      BatchSchedulerEnabled: false,
      ServiceSchedulerEnabled: false,
    },
    MemoryOversubscriptionEnabled: false,
    RejectJobRegistration: false,
    PauseEvalBroker: false,
    NodeLimitForFeasibilityChecks: 0,
    CreateIndex: 1,
    ModifyIndex: 1,
  };
  readonly #byJob = new Map<string, Map<string, Allocation>>();
  readonly #byNode = new Map<string, Map<string, Allocation>>();

  addNode(...nodes: Node[]): void {
    this.nodes = new Map(this.nodes);
    for (const node of nodes) this.nodes.set(node.ID, node);
    this.index++;
  }

  /** Registers a job: a new version when it is known. */
  register(job: Job): Job {
    const known = this.jobs.get(job.ID);
    const index = ++this.index;
    const next: Job = {
      ...job,
      Version: known ? known.Version + 1 : job.Version,
      CreateIndex: known?.CreateIndex ?? index,
      ModifyIndex: index,
      JobModifyIndex: index,
    };
    this.jobs.set(job.ID, next);
    this.versions.set(`${job.ID}@${next.Version}`, next);
    return next;
  }

  addAlloc(...allocs: Allocation[]): void {
    for (const alloc of allocs) this.#put({ ...alloc, CreateIndex: this.index, ModifyIndex: this.index });
  }

  patch(id: string, changes: Partial<Allocation>): void {
    this.#put({ ...(this.allocs.get(id) as Allocation), ...changes, ModifyIndex: ++this.index });
  }

  snapshot(): StateReader {
    const { nodes } = this;
    return {
      index: this.index,
      nodesVersion: nodes,
      nodes: () => nodes.values(),
      nodeById: (id) => nodes.get(id),
      jobById: (_, id) => this.jobs.get(id),
      jobByVersion: (_, id, version) => this.versions.get(`${id}@${version}`),
      allocById: (id) => this.allocs.get(id),
      allocsByJob: (_, id) => [...(this.#byJob.get(id)?.values() ?? [])],
      allocsByNode: (id) => {
        const own = this.#byNode.get(id);
        return own ? [...own.values()] : [];
      },
      latestDeploymentByJob: (_, id) =>
        [...this.deployments.values()]
          .filter(({ JobID }) => JobID === id)
          .sort((a, b) => b.CreateIndex - a.CreateIndex)[0],
      schedulerConfig: () => this.config,
    };
  }

  async submitPlan(plan: Plan): Promise<{ result: PlanResult; state: StateReader | null }> {
    this.plans.push(plan);
    const index = ++this.index;
    const result: PlanResult = {
      NodeUpdate: { ...plan.NodeUpdate },
      NodeAllocation: {},
      NodePreemptions: { ...plan.NodePreemptions },
      Deployment: plan.Deployment,
      DeploymentUpdates: plan.DeploymentUpdates,
      RejectedNodes: [],
      RefreshIndex: 0,
      AllocIndex: index,
    };
    for (const [nodeId, allocs] of Object.entries(plan.NodeAllocation)) {
      const left = this.refusals.get(nodeId) ?? 0;
      if (left > 0) {
        this.refusals.set(nodeId, left - 1);
        result.RejectedNodes.push(nodeId);
        delete result.NodeUpdate[nodeId];
        delete result.NodePreemptions[nodeId];
        result.RefreshIndex = index;
      } else {
        result.NodeAllocation[nodeId] = allocs;
      }
    }
    if (this.applies) this.#apply(result, index);
    return { result, state: result.RefreshIndex > 0 ? this.snapshot() : null };
  }

  async updateEval(evaluation: Evaluation): Promise<void> {
    this.updated.push(evaluation);
  }

  async createEval(evaluation: Evaluation): Promise<void> {
    this.created.push(evaluation);
  }

  async reblockEval(evaluation: Evaluation): Promise<void> {
    this.reblocked.push(evaluation);
  }

  /** Runs one evaluation of a job to its end and returns it as recorded. */
  async run(job: Job, changes: Partial<Evaluation> = {}): Promise<Evaluation> {
    const evaluation = mockEval(job, changes);
    await schedule(evaluation, { state: this.snapshot(), planner: this, now: this.now, random: this.random });
    return this.updated.at(-1) as Evaluation;
  }

  ofJob(job: Job): Allocation[] {
    return [...(this.#byJob.get(job.ID)?.values() ?? [])];
  }

  /** Those of a job that are to run and have not ended. */
  live(job: Job): Allocation[] {
    return this.ofJob(job).filter((alloc) => alloc.DesiredStatus === 'run' && !isClientTerminal(alloc));
  }

  /** Names of live ones, sorted. */
  names(job: Job): string[] {
    return this.live(job)
      .map(({ Name }) => Name)
      .sort();
  }

  /** Nodes whose allocations do not fit, with the dimension. */
  overfull(): string[] {
    return [...this.nodes.values()].flatMap((node) => {
      const own = [...(this.#byNode.get(node.ID)?.values() ?? [])].filter(
        ({ DesiredStatus }) => DesiredStatus === 'run',
      );
      const fit = allocsFit(node, own);
      return fit.fits ? [] : [`${node.ID}: ${fit.dimension}`];
    });
  }

  /** The clients report that what is to run runs (healthy in its roll-out), and what is to stop has stopped. */
  settle(health: boolean | null = true): void {
    for (const alloc of [...this.allocs.values()]) {
      if (isClientTerminal(alloc)) continue;
      if (alloc.DesiredStatus !== 'run') this.patch(alloc.ID, { ClientStatus: 'complete', TaskStates: KILLED });
      else if (alloc.ClientStatus === 'pending') this.patch(alloc.ID, { ClientStatus: 'running' });
      if (health !== null && alloc.DesiredStatus === 'run') this.#report(alloc.ID, health);
    }
  }

  promote(id: string): void {
    const deployment = this.deployments.get(id) as Deployment;
    const groups = Object.entries(deployment.TaskGroups).map(([name, state]) => [name, { ...state, Promoted: true }]);
    this.deployments.set(id, { ...deployment, TaskGroups: Object.fromEntries(groups) });
    for (const alloc of this.allocs.values()) {
      if (alloc.DeploymentID !== id || !alloc.DeploymentStatus?.Canary) continue;
      this.patch(alloc.ID, { DeploymentStatus: { ...alloc.DeploymentStatus, Canary: false } });
    }
  }

  #report(id: string, healthy: boolean): void {
    const alloc = this.allocs.get(id) as Allocation;
    const deployment = this.deployments.get(alloc.DeploymentID);
    const state = deployment?.TaskGroups[alloc.TaskGroup];
    if (!deployment || !state || (alloc.DeploymentStatus?.Healthy ?? null) !== null) return;
    const counts = healthy
      ? { HealthyAllocs: state.HealthyAllocs + 1 }
      : { UnhealthyAllocs: state.UnhealthyAllocs + 1 };
    this.deployments.set(deployment.ID, {
      ...deployment,
      TaskGroups: { ...deployment.TaskGroups, [alloc.TaskGroup]: { ...state, ...counts } },
    });
    const canary = alloc.DeploymentStatus?.Canary ?? false;
    this.patch(id, { DeploymentStatus: { Healthy: healthy, Timestamp: '', Canary: canary, ModifyIndex: 0 } });
  }

  #apply(result: PlanResult, index: number): void {
    for (const update of result.DeploymentUpdates) {
      const known = this.deployments.get(update.DeploymentID) as Deployment;
      this.deployments.set(known.ID, { ...known, Status: update.Status, StatusDescription: update.StatusDescription });
    }
    if (result.Deployment) this.deployments.set(result.Deployment.ID, { ...result.Deployment, CreateIndex: index });
    for (const alloc of Object.values(result.NodePreemptions).flat()) this.#put({ ...alloc, ModifyIndex: index });
    for (const alloc of Object.values(result.NodeUpdate).flat()) this.#put({ ...alloc, ModifyIndex: index });
    for (const alloc of Object.values(result.NodeAllocation).flat()) {
      const known = this.allocs.get(alloc.ID);
      this.#put({ ...alloc, CreateIndex: known?.CreateIndex ?? index, ModifyIndex: index });
      const previous = this.allocs.get(alloc.PreviousAllocation);
      if (!known && previous) this.#put({ ...previous, NextAllocation: alloc.ID });
      if (!known && alloc.DeploymentStatus?.Canary) this.#placeCanary(alloc);
    }
  }

  #placeCanary(alloc: Allocation): void {
    const deployment = this.deployments.get(alloc.DeploymentID) as Deployment;
    const state = deployment.TaskGroups[alloc.TaskGroup];
    if (!state) return;
    const PlacedCanaries = [...(state.PlacedCanaries ?? []), alloc.ID];
    this.deployments.set(deployment.ID, {
      ...deployment,
      TaskGroups: { ...deployment.TaskGroups, [alloc.TaskGroup]: { ...state, PlacedCanaries } },
    });
  }

  #put(alloc: Allocation): void {
    this.allocs.set(alloc.ID, alloc);
    for (const [index, key] of [
      [this.#byJob, alloc.JobID],
      [this.#byNode, alloc.NodeID],
    ] as const) {
      const own = index.get(key) ?? new Map<string, Allocation>();
      index.set(key, own);
      own.set(alloc.ID, alloc);
    }
  }
}
