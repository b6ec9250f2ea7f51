import t from 'tap';
import type { Allocation } from '../../lib/structs/allocation.js';
import type { Job, UpdateStrategy } from '../../lib/structs/job.js';
import type { Node } from '../../lib/structs/node.js';
import { batchJob, createTestWorld, type TestWorld, webJob } from './world.js';

// Roll-outs with everything real but consensus and the clients, in simulated time.

const S = 1e9;

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

/** A job of three whose tasks differ by `release`: another one is a destructive update. */
function release(name: string, update: Partial<UpdateStrategy> = {}): Partial<Job> {
  const job = webJob({ count: 3 });
  const TaskGroups = job.TaskGroups?.map((group) => ({
    ...group,
    Update: { ...UPDATE, ...update },
    Tasks: group.Tasks.map((task) => ({ ...task, Env: { RELEASE: name } })),
  }));
  return { ...job, TaskGroups: TaskGroups ?? [] };
}

const releaseOf = (alloc: Allocation): string => alloc.Job?.TaskGroups[0]?.Tasks[0]?.Env?.['RELEASE'] ?? '';
const wanted = (world: TestWorld): string[] =>
  world
    .allocs()
    .filter(({ DesiredStatus, ClientStatus }) => DesiredStatus === 'run' && ClientStatus !== 'failed')
    .map(releaseOf)
    .sort();

async function running(): Promise<{ world: TestWorld; node: Node }> {
  const world = createTestWorld();
  const node = await world.addNode(1);
  await world.call('Job.Register', { Job: release('one') });
  await world.time.advance(20);
  for (let round = 0; round < 5; round++) await world.obey(node);
  return { world, node };
}

const latest = (world: TestWorld) => world.store.snapshot().latestDeploymentByJob('default', 'web');

t.test('a healthy roll-out ends successful, and its version is one to go back to', async (t) => {
  const { world } = await running();
  t.equal(latest(world)?.Status, 'successful');
  t.equal(world.store.snapshot().jobById('default', 'web')?.Stable, true);
});

t.test('a new version replaces the old one by one, as the new ones prove healthy', async (t) => {
  const { world, node } = await running();
  await world.call('Job.Register', { Job: release('two') });
  await world.time.advance(20);
  t.same(wanted(world), ['one', 'one', 'two']);
  await world.obey(node);
  t.same(wanted(world), ['one', 'two', 'two']);
  for (let round = 0; round < 5; round++) await world.obey(node);
  t.same(wanted(world), ['two', 'two', 'two']);
  t.equal(latest(world)?.Status, 'successful');
});

t.test('a version that never gets healthy goes back by itself', async (t) => {
  const { world, node } = await running();
  const sick = (alloc: Allocation) => (releaseOf(alloc) === 'two' ? { DeploymentStatus: null } : {});
  await world.call('Job.Register', { Job: release('two', { AutoRevert: true }) });
  await world.time.advance(20);
  await world.obey(node, sick);
  t.same(wanted(world), ['one', 'one', 'two'], 'the roll-out waits');
  await world.time.advance(600_000);
  const deployments = world.store.snapshot().deploymentsByJob('default', 'web');
  t.match(deployments[1]?.StatusDescription, /progress deadline - rolling back to job version 0/);
  for (let round = 0; round < 6; round++) await world.obey(node);
  t.same(wanted(world), ['one', 'one', 'one']);
  t.equal(latest(world)?.Status, 'successful');
});

t.test('a canary runs beside the old ones until it is promoted', async (t) => {
  const { world, node } = await running();
  await world.call('Job.Register', { Job: release('two', { Canary: 1 }) });
  await world.time.advance(20);
  await world.obey(node);
  t.same(wanted(world), ['one', 'one', 'one', 'two']);
  await world.time.advance(3_600_000);
  t.equal(latest(world)?.Status, 'running', 'a healthy canary may wait for a person');
  await world.call('Deployment.Promote', { DeploymentID: latest(world)?.ID ?? '', All: true });
  await world.time.advance(20);
  for (let round = 0; round < 6; round++) await world.obey(node);
  t.same(wanted(world), ['two', 'two', 'two']);
  t.equal(latest(world)?.Status, 'successful');
});

t.test('canaries that promote themselves need nobody', async (t) => {
  const { world, node } = await running();
  await world.call('Job.Register', { Job: release('two', { Canary: 1, AutoPromote: true }) });
  await world.time.advance(20);
  for (let round = 0; round < 8; round++) await world.obey(node);
  t.same(wanted(world), ['two', 'two', 'two']);
  t.equal(latest(world)?.Status, 'successful');
});

t.test('a system job runs on each node, also on one that comes later, and leaves a drained one last', async (t) => {
  const world = createTestWorld();
  const first = await world.addNode(1);
  const job = webJob({ Type: 'system', Priority: 60, count: 1 });
  const TaskGroups = job.TaskGroups?.map((group) => ({ ...group, ReschedulePolicy: null, Migrate: null })) ?? [];
  await world.call('Job.Register', { Job: { ...job, TaskGroups } });
  await world.time.advance(20);
  t.equal(world.allocs().length, 1);
  await world.obey(first);
  const second = await world.addNode(2);
  t.same(new Set(world.allocs().map(({ NodeID }) => NodeID)), new Set([first.ID, second.ID]));
  await world.obey(second);
  await world.call('Node.UpdateDrain', {
    NodeID: first.ID,
    DrainStrategy: { Deadline: 3_600 * S, IgnoreSystemJobs: false, ForceDeadline: '', StartedAt: '' },
  });
  await world.time.advance(20);
  await world.obey(first);
  t.equal(world.store.snapshot().nodeById(first.ID)?.DrainStrategy, null);
  const left = world.allocs().filter(({ DesiredStatus }) => DesiredStatus === 'run');
  t.same(
    left.map(({ NodeID }) => NodeID),
    [second.ID],
  );
});

t.test('a batch that has run is not run again when its node goes away', async (t) => {
  const world = createTestWorld();
  const node = await world.addNode(1);
  await world.call('Job.Register', { Job: batchJob({ count: 1 }) });
  await world.time.advance(20);
  await world.obey(node);
  const [alloc] = world.allocs();
  await world.call('Node.UpdateAlloc', {
    NodeID: node.ID,
    SecretID: node.SecretID,
    Alloc: [
      {
        ID: alloc?.ID ?? '',
        ClientStatus: 'complete',
        ClientDescription: '',
        TaskStates: {
          web: {
            ...{ State: 'dead', Failed: false, Restarts: 0, LastRestart: '', StartedAt: '', FinishedAt: '' },
            Events: [],
            TaskHandle: null,
          },
        },
        AllocStates: null,
        NetworkStatus: null,
        DeploymentStatus: null,
      },
    ],
  });
  await world.time.advance(20);
  t.equal(world.store.snapshot().jobById('default', 'web')?.Status, 'dead');
  await world.addNode(2);
  await world.call('Node.UpdateStatus', { NodeID: node.ID, SecretID: node.SecretID, Status: 'down' });
  await world.time.advance(60_000);
  t.equal(world.allocs().length, 1);
});

/** A system job with canaries on half of its nodes. */
function systemRelease(name: string, update: Partial<UpdateStrategy> = {}): Partial<Job> {
  const job = release(name, { Canary: 50, ...update });
  const TaskGroups = job.TaskGroups?.map((group) => ({ ...group, Count: 1, ReschedulePolicy: null, Migrate: null }));
  return { ...job, Type: 'system', TaskGroups: TaskGroups ?? [] };
}

async function everywhere(): Promise<{ world: TestWorld; obey: () => Promise<void> }> {
  const world = createTestWorld();
  const nodes = [await world.addNode(1), await world.addNode(2), await world.addNode(3), await world.addNode(4)];
  const obey = async (): Promise<void> => {
    for (const node of nodes) await world.obey(node);
    await world.time.advance(1_000);
  };
  await world.call('Job.Register', { Job: systemRelease('one') });
  await world.time.advance(20);
  for (let round = 0; round < 3; round++) await obey();
  return { world, obey };
}

t.test(
  'a system job: canaries on half of the nodes as far as max_parallel goes, then one node after the other',
  async (t) => {
    const { world, obey } = await everywhere();
    t.equal(latest(world)?.Status, 'successful');
    await world.call('Job.Register', { Job: systemRelease('two') });
    await world.time.advance(20);
    for (let round = 0; round < 4; round++) await obey();
    t.same(wanted(world), ['one', 'one', 'one', 'two'], 'max_parallel = 1');
    t.match(latest(world), { Status: 'running', StatusDescription: /manual promotion/ });
    await world.call('Deployment.Promote', { DeploymentID: latest(world)?.ID ?? '', All: true, Groups: [] });
    await world.time.advance(20);
    t.same(wanted(world), ['one', 'one', 'two', 'two'], 'max_parallel = 1');
    for (let round = 0; round < 4; round++) await obey();
    t.same(wanted(world), ['two', 'two', 'two', 'two']);
    t.equal(latest(world)?.Status, 'successful');
  },
);

t.test('a system job that makes no progress goes back to its stable version', async (t) => {
  const { world, obey } = await everywhere();
  await world.call('Job.Register', { Job: systemRelease('bad', { AutoRevert: true }) });
  await world.time.advance(601_000);
  for (let round = 0; round < 8; round++) await obey();
  t.same(wanted(world), ['one', 'one', 'one', 'one']);
  t.equal(world.store.snapshot().jobById('default', 'web')?.TaskGroups[0]?.Tasks[0]?.Env?.['RELEASE'], 'one');
});

t.test('a deadline that passed while nobody led ends no roll-out before its nodes could report', async (t) => {
  for (const isHealthy of [true, false]) {
    const { world, node } = await running();
    await world.call('Job.Register', { Job: release('two', { ProgressDeadline: 60 * S, HealthyDeadline: 40 * S }) });
    await world.time.advance(20);
    world.consensus.lead(false);
    await world.time.advance(120_000);
    world.consensus.lead(true);
    await world.time.advance(5_000);
    t.equal(latest(world)?.Status, 'running');
    if (isHealthy) for (let round = 0; round < 8; round++) await world.obey(node);
    else await world.time.advance(20_000);
    t.equal(latest(world)?.Status, isHealthy ? 'successful' : 'failed');
  }
});
