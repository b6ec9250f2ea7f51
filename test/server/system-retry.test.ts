import t from 'tap';
import type { Allocation } from '../../lib/structs/allocation.js';
import type { Job, UpdateStrategy } from '../../lib/structs/job.js';
import type { Node } from '../../lib/structs/node.js';
import type { ClientAllocUpdate } from '../../lib/structs/rpc.js';
import { createTestWorld, type TestWorld, webJob } from './world.js';

// System jobs whose task fails, with everything real but consensus and the client, in simulated time.

const S = 1e9;
const MINUTE_MS = 60_000;

const UPDATE: UpdateStrategy = {
  Stagger: 30 * S,
  MaxParallel: 1,
  HealthCheck: 'task_states',
  MinHealthyTime: 10 * S,
  HealthyDeadline: 300 * S,
  ProgressDeadline: 600 * S,
  AutoRevert: false,
  AutoPromote: false,
  Canary: 0,
};

/** A job for every node whose versions differ by `release`. */
function job(release: string, changes: { Type?: 'system' | 'sysbatch'; update?: Partial<UpdateStrategy> } = {}) {
  const { Type = 'system', update } = changes;
  const base = webJob({ Type, count: 1 });
  const TaskGroups = (base.TaskGroups ?? []).map((group) => ({
    ...group,
    ReschedulePolicy: null,
    Migrate: null,
    Update: update ? { ...UPDATE, ...update } : null,
    Tasks: group.Tasks.map((task) => ({ ...task, Env: { RELEASE: release } })),
  }));
  return { ...base, TaskGroups };
}

const releaseOf = (alloc: Allocation): string => alloc.Job?.TaskGroups[0]?.Tasks[0]?.Env?.['RELEASE'] ?? '';

async function register(world: TestWorld, spec: Partial<Job>): Promise<void> {
  await world.call('Job.Register', { Job: spec });
  await world.time.advance(20);
}

/** What a client says of a task that has failed `lateMs` after now by its clock. */
function failed(world: TestWorld, lateMs = 0): Partial<ClientAllocUpdate> {
  const FinishedAt = new Date(world.time.now() + lateMs).toISOString();
  const state = { State: 'dead', Failed: true, FinishedAt, Events: [] };
  const health = { Healthy: false, Timestamp: FinishedAt, Canary: false, ModifyIndex: 0 };
  return {
    ClientStatus: 'failed',
    TaskStates: { web: state } as unknown as ClientAllocUpdate['TaskStates'],
    DeploymentStatus: health,
  };
}

/** The nodes' clients fail what `fails` says, second by second. */
async function live(
  world: TestWorld,
  nodes: readonly Node[],
  options: { ms: number; fails: (alloc: Allocation) => boolean; clockMs?: number },
): Promise<void> {
  const end = world.time.now() + options.ms;
  while (world.time.now() < end) {
    for (const node of nodes) {
      await world.obey(node, (alloc) => (options.fails(alloc) ? failed(world, options.clockMs) : {}));
    }
    await world.time.advance(1000);
  }
}

const always = (): boolean => true;
const evalsOf = (world: TestWorld) => world.store.snapshot().evalsByJob('default', 'web');
const waitsOf = (world: TestWorld): number[] => {
  const made = world.allocs().map(({ CreateTime }) => CreateTime / S);
  return made
    .sort((a, b) => a - b)
    .map((time, i) => Math.round(time - (made[i - 1] ?? time)))
    .slice(1);
};

t.test('a task that always fails is tried again ever more rarely', async (t) => {
  for (const [name, update] of [
    ['without a roll-out', undefined],
    ['in a roll-out', {}],
    ['in a roll-out that never ends', { ProgressDeadline: 36_000 * S }],
  ] as const) {
    const world = createTestWorld();
    const node = await world.addNode(1);
    await register(world, job('one', update ? { update } : {}));
    await live(world, [node], { ms: 60 * MINUTE_MS, fails: always });
    const count = world.allocs().length;
    t.ok(count >= 6 && count <= 8, `${name}: ${count} allocations in an hour`);
    for (const [i, wait] of waitsOf(world).entries()) {
      t.ok(Math.abs(wait - 30 * 2 ** i) <= 3, `${name}: wait ${i} is ${wait} s`);
    }
    const evals = evalsOf(world).length;
    t.ok(evals <= 4 * count + 4, `${name}: ${evals} evaluations`);
    t.ok(world.consensus.log.length <= 12 * count + 20, `${name}: ${world.consensus.log.length} commands`);
  }
});

t.test('a client whose clock is wrong neither spins nor waits for ever', async (t) => {
  for (const clockMs of [-86_400_000, 86_400_000]) {
    const world = createTestWorld();
    const node = await world.addNode(1);
    await register(world, job('one'));
    await live(world, [node], { ms: 30 * MINUTE_MS, fails: always, clockMs });
    const count = world.allocs().length;
    t.ok(count >= 5 && count <= 7, `${count} allocations`);
  }
});

t.test('the wait ends at an hour', async (t) => {
  const world = createTestWorld();
  const node = await world.addNode(1);
  await register(world, job('one'));
  // Old ones are forgotten meanwhile.
  const seen = new Set<string>();
  for (let minute = 0; minute < 8 * 60; minute++) {
    await world.obey(node, () => failed(world));
    for (const { ID } of world.allocs()) seen.add(ID);
    await world.time.advance(MINUTE_MS);
  }
  t.ok(seen.size >= 13 && seen.size <= 15, `${seen.size} allocations in eight hours`);
  const [last] = world.allocs().sort((a, b) => b.CreateTime - a.CreateTime);
  t.equal(last?.RescheduleTracker?.Events.at(-1)?.Delay, 3600 * S);
});

t.test('a new version is placed at once, and begins with a clean slate', async (t) => {
  const world = createTestWorld();
  const node = await world.addNode(1);
  await register(world, job('bad'));
  await live(world, [node], { ms: 10 * MINUTE_MS, fails: always });
  const before = world.allocs().length;
  await register(world, job('good'));
  const fresh = world.allocs().filter((alloc) => releaseOf(alloc) === 'good');
  t.match(fresh, [{ RescheduleTracker: null }]);
  await live(world, [node], { ms: 40 * MINUTE_MS, fails: (alloc) => releaseOf(alloc) === 'bad' });
  t.equal(world.allocs().length, before + 1, 'what waited for the old one is gone');
});

t.test('a node that comes back, and a forced evaluation, wait for nothing', async (t) => {
  const world = createTestWorld();
  const node = await world.addNode(1);
  await register(world, job('one'));
  await live(world, [node], { ms: 10 * MINUTE_MS, fails: always });
  const before = world.allocs().length;
  for (const Eligibility of ['ineligible', 'eligible'] as const) {
    await world.call('Node.UpdateEligibility', { NodeID: node.ID, Eligibility });
    await world.time.advance(20);
  }
  t.equal(world.allocs().length, before + 1);
  await world.obey(node, () => failed(world));
  t.equal(world.allocs().length, before + 1);
  await world.call('Job.Evaluate', { JobID: 'web', ForceReschedule: true });
  await world.time.advance(20);
  t.equal(world.allocs().length, before + 2);
});

t.test('another node neither waits nor shortens the wait', async (t) => {
  const world = createTestWorld();
  const bad = await world.addNode(1);
  await register(world, job('one'));
  const fails = ({ NodeID }: Allocation): boolean => NodeID === bad.ID;
  await live(world, [bad], { ms: 10 * MINUTE_MS, fails });
  const before = world.allocs().length;
  const nodes = [bad];
  for (let number = 2; number < 6; number++) {
    nodes.push(await world.addNode(number));
    await live(world, nodes, { ms: 2000, fails });
  }
  t.equal(world.allocs().length, before + 4);
  t.equal(world.allocs().filter(({ ClientStatus }) => ClientStatus === 'running').length, 4);
});

for (const [ranMinutes, waitS] of [
  [1, 480],
  [9, 480],
  [11, 30],
] as const) {
  t.test(`after a run of ${ranMinutes} minutes the wait is ${waitS} s`, async (t) => {
    const world = createTestWorld();
    const node = await world.addNode(1);
    await register(world, job('one'));
    // Failures with waits of 30, 60, 120 and 240 s; the fifth allocation runs for a while.
    while (world.allocs().length < 5) await live(world, [node], { ms: 1000, fails: () => world.allocs().length < 5 });
    await world.obey(node);
    await world.time.advance(ranMinutes * MINUTE_MS);
    const running = world.allocs().find(({ ClientStatus }) => ClientStatus === 'running');
    t.ok(running);
    if (!running) return;
    const { ID, ClientDescription, AllocStates, NetworkStatus } = running;
    const update = { ID, ClientDescription, AllocStates, NetworkStatus, ...failed(world) } as ClientAllocUpdate;
    const failedAtMs = world.time.now();
    await world.call('Node.UpdateAlloc', { NodeID: node.ID, SecretID: node.SecretID, Alloc: [update] });
    await world.time.advance(20);
    const followup = evalsOf(world).find(({ Status, WaitUntil }) => Status === 'pending' && WaitUntil);
    t.equal((Date.parse(followup?.WaitUntil ?? '') - failedAtMs) / 1000, waitS);
    const { Why } = await world.call('Alloc.Why', { AllocID: ID });
    t.match(Why?.Summary, new RegExp(`placed again at ${followup?.WaitUntil}`));
  });
}

t.test('a failing canary stays on its node, and is tried again there', async (t) => {
  const world = createTestWorld();
  const nodes = [];
  for (let number = 1; number <= 4; number++) nodes.push(await world.addNode(number));
  const update = { Canary: 25, ProgressDeadline: 36_000 * S };
  await register(world, job('one', { update }));
  await live(world, nodes, { ms: 20_000, fails: () => false });
  await register(world, job('two', { update }));
  await live(world, nodes, { ms: 60 * MINUTE_MS, fails: (alloc) => releaseOf(alloc) === 'two' });
  const canaries = world.allocs().filter((alloc) => releaseOf(alloc) === 'two');
  t.equal(new Set(canaries.map(({ NodeID }) => NodeID)).size, 1);
  t.ok(canaries.length >= 6 && canaries.length <= 8, `${canaries.length} canaries in an hour`);
  t.equal(world.allocs().filter(({ ClientStatus }) => ClientStatus === 'running').length, 3, 'the others run on');
});

t.test('failed sysbatch work is not tried again, but for a new version', async (t) => {
  const world = createTestWorld();
  const nodes = [await world.addNode(1), await world.addNode(2)];
  await register(world, job('one', { Type: 'sysbatch' }));
  await live(world, nodes, { ms: 10 * MINUTE_MS, fails: always });
  t.equal(world.allocs().length, 2);
  t.ok(evalsOf(world).length <= 5, `${evalsOf(world).length} evaluations`);
  await register(world, job('two', { Type: 'sysbatch' }));
  t.equal(world.allocs().length, 4);
});

t.test('what does not fail is placed and rolled out as ever, without any wait', async (t) => {
  const world = createTestWorld();
  const nodes: Node[] = [];
  for (let number = 1; number <= 3; number++) nodes.push(await world.addNode(number));
  for (const release of ['one', 'two', 'three']) {
    await register(world, job(release, { update: {} }));
    await live(world, nodes, { ms: 20_000, fails: () => false });
  }
  t.equal(world.allocs().length, 9);
  t.ok(world.allocs().every(({ RescheduleTracker }) => RescheduleTracker === null));
  t.ok(evalsOf(world).every(({ WaitUntil }) => WaitUntil === null));
  const deployments = world.store.snapshot().deploymentsByJob('default', 'web');
  t.same(
    deployments.map(({ Status }) => Status),
    ['successful', 'successful', 'successful'],
  );
});
