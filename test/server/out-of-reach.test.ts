import assert from 'node:assert/strict';
import t from 'tap';
import type { Allocation } from '../../lib/structs/allocation.js';
import type { DisconnectStrategy, Job } from '../../lib/structs/job.js';
import type { Node } from '../../lib/structs/node.js';
import { createTestWorld, type TestWorld, webJob } from './world.js';

// Nodes that fall silent and come back, with everything real but consensus and the clients, in simulated time.

const S = 1e9;
const HEARTBEAT = { ttlMinMs: 10_000, graceMs: 10_000, leaderChangeMs: 300_000 };

function patient(changes: Partial<DisconnectStrategy> = {}): Partial<Job> {
  const job = webJob({ count: 1 });
  const Disconnect = {
    LostAfter: 300 * S,
    StopOnClientAfter: null,
    Replace: true,
    Reconcile: 'keep_original' as const,
  };
  return {
    ...job,
    TaskGroups: job.TaskGroups?.map((group) => ({ ...group, Disconnect: { ...Disconnect, ...changes } })) ?? [],
  };
}

/** A job on the first of two nodes; the first is silent from now on. */
async function silence(
  job: Partial<Job>,
): Promise<{ world: TestWorld; first: Node; second: Node; alloc: Allocation; pass(ms: number): Promise<void> }> {
  const world = createTestWorld({ config: { heartbeat: HEARTBEAT } });
  const first = await world.addNode(1);
  await world.call('Job.Register', { Job: job });
  await world.time.advance(20);
  await world.obey(first);
  const second = await world.addNode(2);
  const pass = async (ms: number): Promise<void> => {
    for (let passed = 0; passed < ms; passed += 5_000) {
      await world.call('Node.UpdateStatus', { NodeID: second.ID, SecretID: second.SecretID, Status: 'ready' });
      await world.obey(second);
      await world.time.advance(5_000);
    }
  };
  const [alloc] = world.allocs();
  assert(alloc);
  return { world, first, second, alloc, pass };
}

const comesBack = async (world: TestWorld, node: Node): Promise<void> => {
  await world.call('Node.UpdateStatus', { NodeID: node.ID, SecretID: node.SecretID, Status: 'ready' });
  await world.time.advance(20);
};

const speaks = async (world: TestWorld, node: Node, alloc: Allocation): Promise<void> => {
  const { ID, ClientDescription, TaskStates, AllocStates, NetworkStatus, DeploymentStatus } = alloc;
  const report = { ID, ClientDescription, TaskStates, AllocStates, NetworkStatus, DeploymentStatus };
  const Alloc = [{ ...report, ClientStatus: 'running' as const }];
  await world.call('Node.UpdateAlloc', { NodeID: node.ID, SecretID: node.SecretID, Alloc });
  await world.time.advance(20);
};

const at = (world: TestWorld, { ID }: Allocation) => world.store.snapshot().allocById(ID);

t.test('a node whose work may outlast its silence is disconnected; its work is taken back', async (t) => {
  const { world, first, alloc, pass } = await silence(patient());
  await pass(40_000);
  t.equal(world.store.snapshot().nodeById(first.ID)?.Status, 'disconnected');
  t.match(at(world, alloc), { ClientStatus: 'unknown', DesiredStatus: 'run' });
  t.equal(world.allocs().length, 1, 'its place is kept as long as its reschedule block says');
  await pass(35_000);
  t.equal(world.allocs().length, 2, 'then another runs');
  t.ok((at(world, alloc)?.AllocModifyIndex ?? 0) > alloc.AllocModifyIndex, 'the client will be told, and speak');
  const { index } = world.store.snapshot();
  await t.rejects(speaks(world, first, alloc), {
    code: 'E_CONFLICT',
    message: /disconnected here, and has to be heard/,
  });
  t.equal(world.store.snapshot().index, index, 'nothing follows from what it says before it was heard of');
  await comesBack(world, first);
  t.equal(at(world, alloc)?.ClientStatus, 'unknown', 'its client has not spoken of it yet');
  await speaks(world, first, alloc);
  t.match(at(world, alloc), { ClientStatus: 'running', DesiredStatus: 'run' });
  const other = world.allocs().find(({ ID }) => ID !== alloc.ID);
  t.equal(other?.DesiredStatus, 'stop', 'the original goes on');
});

t.test('after lost_after it is lost, and its node is down like any other', async (t) => {
  const { world, first, alloc, pass } = await silence(patient());
  await pass(360_000);
  t.match(at(world, alloc), { ClientStatus: 'lost', DesiredStatus: 'stop' });
  t.equal(world.store.snapshot().nodeById(first.ID)?.Status, 'down');
  t.equal(world.allocs().filter(({ DesiredStatus }) => DesiredStatus === 'run').length, 1);
});

t.test('replace = false: nothing runs in its place, also when its node is just down', async (t) => {
  const { world, first, alloc, pass } = await silence(patient({ LostAfter: null, Replace: false }));
  await pass(40_000);
  t.equal(world.store.snapshot().nodeById(first.ID)?.Status, 'down');
  t.match(at(world, alloc), { ClientStatus: 'unknown', DesiredStatus: 'run' });
  t.equal(world.allocs().length, 1);
  await comesBack(world, first);
  await speaks(world, first, alloc);
  t.match(at(world, alloc), { ClientStatus: 'running', DesiredStatus: 'run' });
  t.equal(world.allocs().length, 1);
});

t.test('stop_on_client_after: the replacement waits until the client must have stopped it', async (t) => {
  const { world, alloc, pass } = await silence(patient({ LostAfter: null, StopOnClientAfter: 60 * S }));
  await pass(40_000);
  t.equal(at(world, alloc)?.ClientStatus, 'lost');
  t.equal(world.allocs().length, 1, 'it may run still');
  await pass(80_000);
  t.equal(world.allocs().length, 2);
});

t.test('what its client stopped in a silence too short for the servers to notice runs elsewhere at once', async (t) => {
  for (const type of ['service', 'batch'] as const) {
    const job = patient({ LostAfter: null, StopOnClientAfter: 10 * S });
    const TaskGroups =
      job.TaskGroups?.map((group) => ({ ...group, Migrate: type === 'batch' ? null : group.Migrate })) ?? [];
    const { world, first, second, alloc } = await silence({ ...job, Type: type, TaskGroups });
    await world.time.advance(12_000);
    const event = { Type: 'Client Disconnected', Time: 1, DisplayMessage: 'Stopped', Message: '', Details: {} };
    const TaskStates = Object.fromEntries(
      Object.entries(alloc.TaskStates ?? { t: {} }).map(([name, state]) => [
        name,
        { ...state, State: 'dead' as const, Failed: false, Events: [event] },
      ]),
    ) as never;
    const { ID, ClientDescription, AllocStates, NetworkStatus, DeploymentStatus } = alloc;
    const report = { ID, ClientDescription, TaskStates, AllocStates, NetworkStatus, DeploymentStatus };
    const Alloc = [{ ...report, ClientStatus: 'complete' as const }];
    await world.call('Node.UpdateAlloc', { NodeID: first.ID, SecretID: first.SecretID, Alloc });
    await world.time.advance(20);
    for (const { ID } of [first, second]) t.equal(world.store.snapshot().nodeById(ID)?.Status, 'ready', type);
    const live = world.allocs().filter(({ ID, DesiredStatus }) => ID !== alloc.ID && DesiredStatus === 'run');
    t.equal(live.length, 1, `${type}: another has its place`);
  }
});
