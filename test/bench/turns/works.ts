import { setImmediate as nextTurn } from 'node:timers/promises';
import { createStore, type StateSnapshot } from '../../../lib/state/store.js';
import type { Allocation } from '../../../lib/structs/allocation.js';
import type { EvalStatus, Evaluation } from '../../../lib/structs/evaluation.js';
import type { Job, TaskGroup, UpdateStrategy } from '../../../lib/structs/job.js';
import type { ClientAllocUpdate } from '../../../lib/structs/rpc.js';
import { randomUuid } from '../../../lib/util/random.js';
import { mockEval, mockGroup, mockJob, mockResources, mockTask } from '../../scheduler/mock.js';
import { updatedJob } from '../../simulation/cluster/workload.js';
import type { Held, Stage } from './stage.js';

// What a server does with so many allocations, in an order in which each work finds what it needs.

/** Who waits for one change. */
const WATCHERS = 1000;
const S = 1e9;
/** Machines that are drained, or fail, of a hundred. */
const STRUCK = 2;
/** A report of a machine that comes back after a night, in so many parts of all allocations. */
const REPORTED_PART = 100;
/** Groups of a job that says very much. */
const GROUPS = 1000;
/** Turns of the clients until a roll-out is over. */
const ROUNDS_MAX = 40;
const NETWORK = {
  ...{ Mode: '', Device: '', CIDR: '', IP: '', Hostname: '', MBits: null, DNS: null, CNI: null, ReservedPorts: null },
  DynamicPorts: [{ Label: 'http', Value: 0, To: 0, HostNetwork: 'default', IgnoreCollision: false }],
};

/** Does all works, or those reads whose name has `only` in it, and tells of each. */
export async function doWorks(
  stage: Stage,
  allocs: number,
  options: { only: string; tell: (held: Held) => void },
): Promise<void> {
  const { world, ask } = stage;
  const state = (): StateSnapshot => world.store.snapshot();
  const isWanted = (what: string): boolean => what.includes(options.only);
  const work = async (what: string, act: () => Promise<unknown>): Promise<void> => {
    if (isWanted(what)) options.tell(await stage.measure(what, act));
    else await act();
  };
  /** Changes nothing: may be left out. */
  const read = async (what: string, act: () => Promise<unknown>): Promise<void> => {
    if (isWanted(what)) options.tell(await stage.measure(what, act));
  };
  const settled = async (act: () => Promise<unknown>): Promise<void> => {
    await act();
    await world.idle();
  };
  const job = bigJob('big', allocs);

  await work('a job of all: evaluated, committed, applied', () =>
    settled(() => world.call('Job.Register', { Job: job })),
  );
  await work('its roll-out: every client reports', () => rollOut(stage));
  await read('a list of all', () => ask('/v1/allocations'));
  await read('the list of its job', () => ask('/v1/job/big/allocations'));
  const filter = encodeURIComponent('ClientStatus == "failed" or Name matches "77$"');
  await read('a filtered list', () => ask(`/v1/allocations?filter=${filter}`));
  await read('a page of a reversed list', () => ask('/v1/allocations?per_page=100&reverse=true'));
  await read('the scale of its job', () => ask('/v1/job/big/scale'));
  await read('all machines', () => ask('/v1/nodes?resources=true'));
  await read('a search', () =>
    ask('/v1/search', { method: 'POST', body: JSON.stringify({ Prefix: 'ab', Context: 'all' }) }),
  );
  await read('why a job is as it is', () => ask('/v1/job/big/why'));
  await read('proposals to rebalance', () => ask('/v1/operator/rebalance'));
  await read('a plan of a new version', () =>
    world.call('Job.Plan', { Job: updatedJob(currentOf(state(), 'big')), Diff: true }),
  );
  await read('a snapshot is saved', () => save(state()));
  await read('a snapshot is received by a follower', async () => restore(await save(state())));
  await read('the summaries counted anew', () => ask('/v1/system/reconcile/summaries', { method: 'PUT' }));
  await read(`${WATCHERS} watchers of one change`, () => wake(stage, allocs));

  const nodes = [...world.nodes.values()];
  const struck = Math.max(1, Math.round((nodes.length * STRUCK) / 100));
  const drain = async (from: number, Deadline: number): Promise<void> => {
    for (const { ID } of nodes.slice(from, from + struck)) {
      const strategy = { Deadline, IgnoreSystemJobs: false, ForceDeadline: '', StartedAt: '' };
      await world.call('Node.UpdateDrain', { NodeID: ID, DrainStrategy: strategy });
    }
    for (let i = 0; i < 6; i++) await world.advance(1000);
  };
  await work(`${struck} machines are drained`, () => drain(1, 3600 * S));
  await work(`${struck} machines are drained by force`, () => drain(1 + struck, -1 * S));
  await work(`${struck} machines fail`, () =>
    settled(async () => {
      for (const { ID, SecretID } of nodes.slice(1 + 2 * struck, 1 + 3 * struck)) {
        world.clients.dead.add(ID);
        await world.call('Node.UpdateStatus', { NodeID: ID, SecretID, Status: 'down' });
      }
    }),
  );
  await rollOut(stage);
  const report = reportOfMany(stage, Math.ceil(allocs / REPORTED_PART));
  await work('one machine reports very many', () => settled(() => world.call('Node.UpdateAlloc', report)));
  await work('a new version', () =>
    settled(() => world.call('Job.Register', { Job: updatedJob(currentOf(state(), 'big')) })),
  );
  await work('its roll-out, a fifth at a time', () => rollOut(stage));
  await work('all tried again (eval -force-reschedule)', () =>
    settled(() => world.call('Job.Evaluate', { JobID: 'big', ForceReschedule: true })),
  );
  await work('half of it (scale down)', () =>
    settled(() => world.call('Job.Register', { Job: bigJob('big', Math.ceil(allocs / 2)) })),
  );
  await work(`a job of ${GROUPS} groups`, () => settled(() => world.call('Job.Register', { Job: wideJob() })));
  await work('the job is stopped', () => settled(() => world.call('Job.Deregister', { JobID: 'big' })));
  await work('every client says that it stopped', () => rollOut(stage));
  const waiting = waitingEvals(stage, allocs);
  await work(`${allocs} evaluations wait`, async () => {
    for (let at = 0; at < waiting.length; at += 100) {
      world.consensus.propose({ type: 'evals-upsert', evals: waiting.slice(at, at + 100) } as never);
      await nextTurn();
    }
  });
  await work('a leader begins', async () => {
    world.consensus.lead(false);
    world.consensus.lead(true);
    await nextTurn();
  });
  await work('room for those who wait', () => settled(() => unblock(stage)));
  await work('the garbage of all is collected', () => settled(() => world.call('System.GarbageCollect', {})));
}

/** Clients obey until there is nothing more to do. */
async function rollOut({ world }: Stage): Promise<void> {
  for (let round = 0; round < ROUNDS_MAX; round++) {
    const reports = await world.clients.obey();
    await world.advance(5000);
    if (reports === 0) return;
  }
}

async function save(state: StateSnapshot): Promise<Uint8Array[]> {
  const pieces: Uint8Array[] = [];
  for await (const piece of state.stream()) {
    pieces.push(piece);
    await nextTurn();
  }
  return pieces;
}

/** As the pieces come from the disk or a link: each in a turn of its own. */
async function restore(pieces: readonly Uint8Array[]): Promise<void> {
  async function* stream(): AsyncGenerator<Uint8Array, void, undefined> {
    for (const piece of pieces) {
      await nextTurn();
      yield piece;
    }
  }
  await createStore().restore(stream(), 1);
}

async function wake({ world, ask }: Stage, allocs: number): Promise<void> {
  const { index } = await ask('/v1/jobs');
  const woken = ask(`/v1/jobs?index=${index}&wait=60s`, { times: WATCHERS });
  await new Promise((resolve) => setTimeout(resolve, WATCHERS));
  await world.call('Job.Register', { Job: bigJob(`small-${allocs}`, 1) });
  await woken;
  await world.idle();
}

function reportOfMany(
  { world }: Stage,
  count: number,
): { NodeID: string; SecretID: string; Alloc: ClientAllocUpdate[] } {
  const byNode = new Map<string, Allocation[]>();
  for (const alloc of world.store.snapshot().allocs()) {
    if (alloc.ClientStatus !== 'running') continue;
    const own = byNode.get(alloc.NodeID);
    if (own) own.push(alloc);
    else byNode.set(alloc.NodeID, [alloc]);
  }
  const [nodeId, allocs] = [...byNode].reduce((most, one) => (one[1].length > most[1].length ? one : most));
  const SecretID = world.nodes.get(nodeId)?.SecretID ?? '';
  // Said again and again: what a report costs does not hang on whose it is.
  const Alloc = Array.from({ length: count }, (_, i) => {
    const { ID, ClientStatus, TaskStates, AllocStates, NetworkStatus } = allocs[i % allocs.length] as Allocation;
    const ClientDescription = `told ${i}`;
    return { ID, ClientStatus, ClientDescription, TaskStates, AllocStates, NetworkStatus, DeploymentStatus: null };
  });
  return { NodeID: nodeId, SecretID, Alloc };
}

function bigJob(ID: string, Count: number): Partial<Job> & Job {
  const parallel = Math.max(1, Math.ceil(Count / 5));
  const Update: UpdateStrategy = {
    ...{ Stagger: 30 * S, MaxParallel: parallel, HealthCheck: 'task_states', MinHealthyTime: 1 * S },
    ...{ HealthyDeadline: 300 * S, ProgressDeadline: 600 * S, AutoRevert: false, AutoPromote: false, Canary: 0 },
  };
  return mockJob({ ID, Name: ID, Type: 'service', TaskGroups: [groupOf('main', Count, { Update })] });
}

function wideJob(): Job {
  const groups = Array.from({ length: GROUPS }, (_, i) => groupOf(`group-${i}`, 1, {}));
  return mockJob({ ID: 'wide', Name: 'wide', Type: 'service', TaskGroups: groups });
}

function groupOf(Name: string, Count: number, changes: Partial<TaskGroup>): TaskGroup {
  const task = mockTask({ Name: 'main', Resources: mockResources({ CPU: 50, MemoryMB: 32 }) });
  const EphemeralDisk = { Sticky: false, SizeMB: 150, Migrate: false };
  return mockGroup({ Name, Count, Networks: [NETWORK], EphemeralDisk, Tasks: [task], ...changes });
}

/** Evaluations of as many jobs: every other waits for room, every other for its turn. */
function waitingEvals({ world }: Stage, count: number): Evaluation[] {
  const job = wideJob();
  const ModifyTime = world.now() * 1e6;
  return Array.from({ length: count }, (_, i) => {
    const isBlocked = i % 2 === 0;
    const WaitUntil = isBlocked ? null : new Date(world.now() + 3600_000).toISOString();
    const Status: EvalStatus = isBlocked ? 'blocked' : 'pending';
    const ID = randomUuid(world.random);
    return mockEval(job, { ID, JobID: `waits-${i}`, Status, WaitUntil, EscapedComputedClass: isBlocked, ModifyTime });
  });
}

/** A machine becomes eligible: all that wait for room are tried. */
async function unblock({ world }: Stage): Promise<void> {
  const [node] = [...world.nodes.values()].slice(-1);
  if (!node) return;
  for (const Eligibility of ['ineligible', 'eligible'] as const) {
    await world.call('Node.UpdateEligibility', { NodeID: node.ID, Eligibility });
  }
}

function currentOf(state: StateSnapshot, id: string): Job {
  const job = state.jobById('default', id);
  if (!job) throw new Error(`job ${id} is not there`);
  return job;
}
