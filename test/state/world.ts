import type { Command, Placement } from '../../lib/state/commands.js';
import { createStore, type StateSnapshot, type Store } from '../../lib/state/store.js';
import type { Allocation } from '../../lib/structs/allocation.js';
import type { Deployment } from '../../lib/structs/deployment.js';
import type { Evaluation } from '../../lib/structs/evaluation.js';
import type { Job } from '../../lib/structs/job.js';
import type { Node } from '../../lib/structs/node.js';
import type { ClientAllocUpdate, TaskGroupSummary } from '../../lib/structs/rpc.js';
import { type Random, randomInt, randomUuid } from '../../lib/util/random.js';
import { mockAlloc, mockEval, mockGroup, mockJob, mockNode } from '../scheduler/mock.js';

export const NOW = 1_700_000_000_000_000_000;

/** A placement of a job's group on a node. */
export function placement(job: Job, changes: Partial<Placement> = {}): Placement {
  const { Job: _, ...alloc } = mockAlloc(job, { ClientStatus: 'pending' });
  return { ...alloc, JobVersion: job.Version, ...changes };
}

export function planResults(job: Job, placements: Placement[], changes: object = {}): Command {
  return {
    type: 'plan-results',
    evalId: '',
    job: { namespace: job.Namespace, id: job.ID, createIndex: job.CreateIndex },
    placements,
    stops: [],
    preemptions: [],
    deployment: null,
    deploymentUpdates: [],
    preemptionEvals: [],
    time: NOW,
    ...changes,
  } as Command;
}

export function report(alloc: { ID: string }, changes: Partial<ClientAllocUpdate> = {}): ClientAllocUpdate {
  return {
    ID: alloc.ID,
    ClientStatus: 'running',
    ClientDescription: '',
    TaskStates: null,
    AllocStates: null,
    NetworkStatus: null,
    DeploymentStatus: null,
    ...changes,
  };
}

export function deployment(job: Job, changes: Partial<Deployment> = {}): Deployment {
  return {
    ID: 'd1',
    Namespace: job.Namespace,
    JobID: job.ID,
    JobVersion: job.Version,
    JobModifyIndex: job.JobModifyIndex,
    JobSpecModifyIndex: job.JobModifyIndex,
    JobCreateIndex: job.CreateIndex,
    IsMultiregion: false,
    TaskGroups: {
      web: {
        AutoRevert: false,
        AutoPromote: false,
        ProgressDeadline: 600e9,
        RequireProgressBy: '0001-01-01T00:00:00Z',
        Promoted: false,
        PlacedCanaries: null,
        DesiredCanaries: 0,
        DesiredTotal: 2,
        PlacedAllocs: 0,
        HealthyAllocs: 0,
        UnhealthyAllocs: 0,
      },
    },
    Status: 'running',
    StatusDescription: '',
    EvalPriority: 50,
    CreateIndex: 0,
    ModifyIndex: 0,
    CreateTime: NOW,
    ModifyTime: NOW,
    ...changes,
  };
}

/** A store with a counter of its own for indexes. */
export class World {
  readonly store: Store = createStore();
  #index = 0;

  apply(command: Command): ReturnType<Store['apply']> {
    return this.store.apply(++this.#index, command);
  }

  get now(): StateSnapshot {
    return this.store.snapshot();
  }

  job(id = 'web'): Job {
    const job = this.now.jobById('default', id);
    if (job === undefined) throw new Error(`no job ${id}`);
    return job;
  }

  alloc(id: string): Allocation {
    const alloc = this.now.allocById(id);
    if (alloc === undefined) throw new Error(`no alloc ${id}`);
    return alloc;
  }

  eval(id: string): Evaluation {
    const evaluation = this.now.evalById(id);
    if (evaluation === undefined) throw new Error(`no eval ${id}`);
    return evaluation;
  }

  node(id: string): Node {
    const node = this.now.nodeById(id);
    if (node === undefined) throw new Error(`no node ${id}`);
    return node;
  }

  counts(id = 'web', group = 'web'): TaskGroupSummary | undefined {
    return this.now.jobSummary('default', id)?.Summary[group];
  }

  register(changes: Partial<Job> = {}, evaluation: Evaluation | null = null): Job {
    const result = this.apply({ type: 'job-register', job: mockJob(changes), eval: evaluation, submission: null });
    if (!result.ok) throw result.error;
    return (result.value as { job: Job }).job;
  }
}

const STATUSES: Evaluation['Status'][] = ['blocked', 'pending', 'complete', 'failed', 'canceled'];

/** Random commands that may follow on a state: most make sense, some refer to what is missing. */
export function randomCommand(random: Random, now: StateSnapshot): Command {
  const pick = <T>(items: readonly T[]): T | undefined => items[randomInt(random, items.length)];
  const allocs = [...now.allocs()];
  const time = NOW + now.index * 1e9;
  const job = pick([...now.jobs()]);
  const anyEval = (of: Job, changes: Partial<Evaluation> = {}): Evaluation =>
    mockEval(of, { ID: randomUuid(random), Status: pick(STATUSES) ?? 'pending', ...changes });
  const kind = randomInt(random, 16);
  const node = mockNode(randomInt(random, 8));
  if (kind === 0) return { type: 'node-register', node, event: null, evals: [] };
  if (kind <= 2 || job === undefined) {
    const group = mockGroup({ Name: pick(['web', 'db']) ?? 'web', Count: 1 + randomInt(random, 3) });
    const type = pick(['service', 'batch', 'system'] as const) ?? 'service';
    const namespace = pick(['default', 'other']) ?? 'default';
    const ParentID = pick(['', '', 'job-0']) ?? '';
    const next = mockJob({ ID: `job-${randomInt(random, 6)}`, Namespace: namespace, Type: type, TaskGroups: [group] });
    const submission = { Source: `v${now.index}`, Format: 'hcl2', VariableFlags: null, Variables: '' } as const;
    return { type: 'job-register', job: { ...next, ParentID }, eval: anyEval(next), submission };
  }
  const { Namespace: namespace, ID: id } = job;
  const alloc = pick(allocs);
  const rollout = pick([...now.deployments()]);
  if (kind <= 6) {
    const placements = Array.from({ length: randomInt(random, 5) }, () =>
      placement(job, {
        ID: randomUuid(random),
        NodeID: node.ID,
        EvalID: pick([...now.evals()])?.ID ?? '',
        TaskGroup: pick(['web', 'db']) ?? 'web',
        DeploymentID: rollout?.JobID === id && rollout.Namespace === namespace ? rollout.ID : '',
        PreviousAllocation: pick([alloc?.ID ?? '', '']) ?? '',
      }),
    );
    const stops = alloc === undefined ? [] : [{ ...stop(alloc), ClientStatus: pick(['', 'lost'] as const) ?? '' }];
    return planResults(job, placements, {
      stops: random.next() < 0.4 ? stops : [],
      preemptions: alloc && random.next() < 0.1 ? [{ ID: alloc.ID, PreemptedByAllocation: randomUuid(random) }] : [],
      deployment: random.next() < 0.2 ? deployment(job, { ID: randomUuid(random) }) : null,
      time,
    });
  }
  if (kind <= 9 && alloc) {
    const updates = allocs
      .filter(({ ClientStatus }) => ['pending', 'running', 'unknown'].includes(ClientStatus))
      .filter(() => random.next() < 0.3)
      .map((one) => {
        const ClientStatus = pick(['running', 'running', 'complete', 'failed'] as const) ?? 'running';
        const health = { Healthy: pick([true, false, null]) ?? null, Timestamp: '2024-01-01T00:00:00Z' };
        return report(one, { ClientStatus, DeploymentStatus: { ...health, Canary: false, ModifyIndex: 0 } });
      });
    return { type: 'allocs-client-update', allocs: updates, evals: [], time };
  }
  if (kind === 10) return { type: 'evals-upsert', evals: [anyEval(job, { QueuedAllocations: { web: 2 } })] };
  if (kind === 11) {
    const evals = [...now.evals()].filter(() => random.next() < 0.2).map(({ ID }) => ID);
    return { type: 'evals-delete', evals, allocs: [] };
  }
  if (kind === 12) {
    const purge = random.next() < 0.3;
    return { type: 'job-deregister', namespace, id, purge, eval: anyEval(job), time };
  }
  if (kind === 13 && rollout) {
    const status = pick(['running', 'paused', 'successful', 'failed'] as const) ?? 'running';
    const update = { DeploymentID: rollout.ID, Status: status, StatusDescription: '' };
    return { type: 'deployment-status', update, job: null, eval: null, time };
  }
  if (kind === 14 && alloc) {
    return { type: 'allocs-desired-transition', transitions: { [alloc.ID]: { Migrate: true } }, evals: [], time };
  }
  const eligibility = pick(['eligible', 'ineligible'] as const) ?? 'eligible';
  return { type: 'node-eligibility', id: node.ID, eligibility, event: null, evals: [] };
}

function stop(alloc: Allocation) {
  const { ID } = alloc;
  return { ID, DesiredStatus: 'stop', DesiredDescription: 'x', FollowupEvalID: '', RescheduleTracker: null } as const;
}
