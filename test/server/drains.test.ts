import t from 'tap';
import type { Node } from '../../lib/structs/node.js';
import { batchJob, createTestWorld, type TestWorld, webJob } from './world.js';

const drain = (world: TestWorld, { ID }: Node, Deadline: number) =>
  world.call('Node.UpdateDrain', {
    NodeID: ID,
    DrainStrategy: { Deadline, IgnoreSystemJobs: false, ForceDeadline: '', StartedAt: '' },
  });
const on = (world: TestWorld, node: Node, jobId = 'web'): number =>
  world.allocs(jobId).filter(({ NodeID, DesiredStatus }) => NodeID === node.ID && DesiredStatus === 'run').length;
const running = (world: TestWorld): number =>
  world.allocs().filter(({ ClientStatus, DesiredStatus }) => ClientStatus === 'running' && DesiredStatus === 'run')
    .length;

t.test('two nodes drained at once share what their group allows', async (t) => {
  const world = createTestWorld();
  const old = [await world.addNode(1), await world.addNode(2)];
  await world.call('Job.Register', { Job: webJob({ count: 4 }) });
  await world.time.advance(20);
  for (const node of old) await world.obey(node);
  const fresh = await world.addNode(3);
  for (const node of old) await drain(world, node, 3_600e9);
  await world.time.advance(20);
  for (let round = 0; round < 8; round++) {
    t.ok(running(world) >= 3, `round ${round}: ${running(world)} of 4 run`);
    for (const node of [...old, fresh]) await world.obey(node);
    await world.time.advance(20);
  }
  t.equal(on(world, fresh), 4);
  for (const { ID } of old) t.equal(world.store.snapshot().nodeById(ID)?.DrainStrategy, null, 'both are done');
});

t.test('a drain that is ordered anew has the deadline of the last order', async (t) => {
  const world = createTestWorld();
  const node = await world.addNode(1);
  await world.call('Job.Register', { Job: batchJob({ count: 2 }) });
  await world.time.advance(20);
  await world.obey(node);
  await drain(world, node, 3_600e9);
  await world.time.advance(10_000);
  await drain(world, node, 60e9);
  await world.time.advance(59_000);
  t.equal(on(world, node), 2);
  await world.time.advance(2_000);
  t.equal(on(world, node), 0, 'a minute after the second order');
});

t.test('a drain that is called off leaves what it has not moved, at once or for good', async (t) => {
  const world = createTestWorld();
  const node = await world.addNode(1);
  await world.call('Job.Register', { Job: webJob({ count: 3 }) });
  await world.call('Job.Register', { Job: batchJob({ ID: 'work', Name: 'work', count: 1 }) });
  await world.time.advance(20);
  await world.obey(node);
  const other = await world.addNode(2);
  await drain(world, node, 60e9);
  await world.time.advance(20);
  await world.call('Node.UpdateDrain', { NodeID: node.ID, DrainStrategy: null, MarkEligible: true });
  for (let round = 0; round < 4; round++) {
    for (const one of [node, other]) await world.obey(one);
    await world.time.advance(120_000);
  }
  t.equal(on(world, node) + on(world, other), 3);
  t.ok(on(world, node) >= 2, 'one had been asked to leave');
  t.equal(on(world, node, 'work'), 1, 'the deadline is none any more');
  t.equal(world.store.snapshot().nodeById(node.ID)?.SchedulingEligibility, 'eligible');
});

t.test('a drain goes on when what it has moved is reported healthy, not when it merely runs', async (t) => {
  const world = createTestWorld();
  const node = await world.addNode(1);
  await world.call('Job.Register', { Job: webJob({ count: 3 }) });
  await world.time.advance(20);
  await world.obey(node);
  const other = await world.addNode(2);
  await drain(world, node, 3_600e9);
  await world.time.advance(20);
  for (let round = 0; round < 3; round++) {
    await world.obey(other, () => ({ DeploymentStatus: null }));
    await world.obey(node);
    await world.time.advance(60_000);
  }
  t.same([on(world, node), on(world, other)], [2, 1], 'the second waits for the first');
  const DeploymentStatus = { Healthy: true, Timestamp: '2026-01-01T00:00:00Z', Canary: false, ModifyIndex: 0 };
  const [moved] = world.allocs().filter(({ NodeID }) => NodeID === other.ID);
  const { ID = '', ClientDescription = '', TaskStates = null, AllocStates = null, NetworkStatus = null } = moved ?? {};
  const report = { ID, ClientDescription, TaskStates, AllocStates, NetworkStatus, DeploymentStatus };
  const Alloc = [{ ...report, ClientStatus: 'running' as const }];
  await world.call('Node.UpdateAlloc', { NodeID: other.ID, SecretID: other.SecretID, Alloc });
  await world.time.advance(20);
  t.same([on(world, node), on(world, other)], [1, 2]);
});

t.test('what an operator does to a drain, and how it ended, stands among the events of the node', async (t) => {
  const world = createTestWorld();
  const node = await world.addNode(1);
  await world.call('Job.Register', { Job: batchJob({ count: 1 }) });
  await world.time.advance(20);
  await world.obey(node);
  const before = [...world.store.snapshot().evals()].length;
  await drain(world, node, 3_600e9);
  await drain(world, node, 60e9);
  t.equal([...world.store.snapshot().evals()].length, before, 'to wait for work needs no evaluation');
  await world.time.advance(61_000);
  await world.obey(node);
  const events = world.store.snapshot().nodeById(node.ID)?.Events ?? [];
  t.same(
    events.filter(({ Subsystem }) => Subsystem === 'Drain').map(({ Message, Details }) => [Message, Details]),
    [
      ['Node drain strategy set', null],
      ['Node drain strategy updated', null],
      ['Node drain complete', { deadline_reached: 'true' }],
    ],
  );
});

t.test('a node whose agent ends drains itself alone, and learns when nothing of it is needed any more', async (t) => {
  const world = createTestWorld();
  const node = await world.addNode(1);
  const job = webJob({ count: 1 });
  for (const group of job.TaskGroups ?? []) group.EphemeralDisk = { Sticky: false, Migrate: true, SizeMB: 300 };
  await world.call('Job.Register', { Job: job });
  await world.time.advance(20);
  await world.obey(node);
  const other = await world.addNode(2);
  const DrainStrategy = { Deadline: 3_600e9, IgnoreSystemJobs: false, ForceDeadline: '', StartedAt: '' };
  const as = ({ ID, SecretID }: Node) => ({ NodeID: ID, SecretID });
  const state = async (of: Node) => (await world.call('Node.OwnDrain', as(of))).State;

  const foreign = { ...as(node), NodeID: other.ID };
  await t.rejects(world.call('Node.DrainSelf', { ...foreign, DrainStrategy }), { code: 'E_PERMISSION_DENIED' });
  await t.rejects(world.call('Node.OwnDrain', foreign), { code: 'E_PERMISSION_DENIED' });
  t.equal(world.store.snapshot().nodeById(other.ID)?.DrainStrategy, null);

  t.match(await world.call('Node.DrainSelf', { ...as(node), DrainStrategy }), { IsAlone: false });
  await world.time.advance(20);
  t.equal(await state(node), 'drains');
  await world.obey(node);
  t.equal(world.store.snapshot().nodeById(node.ID)?.DrainStrategy, null);
  t.equal(await state(node), 'drains', 'its data is still to be fetched');
  await world.obey(other);
  t.equal(await state(node), 'over');
  await world.call('Node.Purge', { NodeID: node.ID });
  t.equal(await state(node), 'over', 'whoever is forgotten waits for nothing');

  t.match(await world.call('Node.DrainSelf', { ...as(other), DrainStrategy }), { IsAlone: true });
  await world.call('Node.UpdateDrain', { NodeID: other.ID, DrainStrategy: null });
  t.equal(await state(other), 'canceled');
});
