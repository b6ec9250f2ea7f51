import t from 'tap';
import type { ServerPeers } from '../../lib/server/ports.js';
import type { Constraint } from '../../lib/structs/constraint.js';
import type { TaskGroup } from '../../lib/structs/job.js';
import type { MeshInfo, MeshInvite, MeshMember } from '../../lib/structs/mesh.js';
import type { VolumeRequest } from '../../lib/structs/volume.js';
import { mockNode } from '../scheduler/mock.js';
import { batchJob, createTestWorld, webJob } from './world.js';

const HEARTBEAT = { hastenedMs: 5_000, ttlMinMs: 10_000, graceMs: 10_000, leaderChangeMs: 300_000 };

t.test('a silent node is down, and its work runs elsewhere', async (t) => {
  const world = createTestWorld({ config: { heartbeat: HEARTBEAT } });
  const first = await world.addNode(1);
  await world.call('Job.Register', { Job: webJob() });
  await world.time.advance(20);
  await world.obey(first);
  const second = await world.addNode(2);
  const beats = async (ms: number): Promise<void> => {
    for (let passed = 0; passed < ms; passed += 5_000) {
      await world.call('Node.UpdateStatus', { NodeID: second.ID, SecretID: second.SecretID, Status: 'ready' });
      await world.time.advance(5_000);
    }
  };
  await beats(35_000);
  const state = world.store.snapshot();
  t.equal(state.nodeById(first.ID)?.Status, 'down');
  t.equal(state.nodeById(second.ID)?.Status, 'ready');
  t.same(
    world
      .allocs()
      .map(({ NodeID, ClientStatus }) => `${NodeID} ${ClientStatus}`)
      .sort(),
    [`${first.ID} lost`, `${first.ID} lost`, `${second.ID} pending`, `${second.ID} pending`],
  );
  const events = state.nodeById(first.ID)?.Events?.map(({ Message }) => Message);
  t.ok(events?.includes('Node heartbeat missed'));
});

t.test('what a silent node ran of a job that was purged is lost, and may be forgotten', async (t) => {
  const world = createTestWorld({ config: { heartbeat: HEARTBEAT } });
  const node = await world.addNode(1);
  const job = webJob();
  await world.call('Job.Register', { Job: job });
  await world.time.advance(20);
  await world.obey(node);
  await world.call('Job.Deregister', { JobID: job.ID ?? '', Purge: true });
  const statuses = () => new Set(world.allocs().map((alloc) => `${alloc.DesiredStatus} ${alloc.ClientStatus}`));
  await world.time.advance(20);
  t.same([...statuses()], ['stop running'], 'it has not heard of it');
  await world.time.advance(35_000);
  t.equal(world.store.snapshot().nodeById(node.ID)?.Status, 'down');
  t.same([...statuses()], ['stop lost']);
  await world.call('System.GarbageCollect', {});
  t.same(world.allocs(), []);
});

t.test(
  'events of a node tell of drivers that fall ill or get well, and of nothing else that it registers',
  async (t) => {
    const world = createTestWorld({ config: { heartbeat: HEARTBEAT } });
    const node = await world.addNode(1);
    const told = () =>
      world.store
        .snapshot()
        .nodeById(node.ID)
        ?.Events?.map((one) => [one.Subsystem, one.Message]) ?? [];
    const registers = async (Healthy: boolean, HealthDescription: string, more: object = {}): Promise<void> => {
      const docker = { Detected: true, Healthy, HealthDescription, Attributes: null, UpdateTime: '' };
      await world.call('Node.Register', { Node: { ...node, Drivers: { ...node.Drivers, docker }, ...more } });
    };
    await registers(true, 'Healthy');
    const before = told();
    await registers(true, 'Healthy', { Attributes: { ...node.Attributes, 'power.source': 'battery' } });
    t.same(told(), before);
    await registers(false, 'the Docker Engine does not answer');
    await registers(false, 'the Docker Engine does not answer at all');
    await registers(true, '');
    t.same(told().slice(before.length), [
      ['Driver', 'the Docker Engine does not answer'],
      ['Driver', 'Healthy'],
    ]);
    t.same(world.store.snapshot().nodeById(node.ID)?.Events?.at(-1)?.Details, { driver: 'docker' });
    await world.time.advance(35_000);
    t.equal(world.store.snapshot().nodeById(node.ID)?.Status, 'down');
    await registers(true, '');
    t.same(told().at(-1), ['Cluster', 'Node re-registered']);
  },
);

t.test('a heartbeat costs no log entry and says when the next is due', async (t) => {
  const world = createTestWorld({ config: { heartbeat: HEARTBEAT } });
  const node = await world.addNode(1);
  const entries = world.consensus.log.length;
  const reply = await world.call('Node.UpdateStatus', { NodeID: node.ID, SecretID: node.SecretID, Status: 'ready' });
  t.equal(world.consensus.log.length, entries);
  t.ok(reply.HeartbeatTTLMs >= 10_000 && reply.HeartbeatTTLMs <= 20_000);
});

t.test('after a change of leader a node is not missed before it could find the new one', async (t) => {
  const world = createTestWorld({ config: { heartbeat: HEARTBEAT } });
  const node = await world.addNode(1);
  world.consensus.lead(false);
  world.consensus.lead(true);
  await world.time.advance(299_000);
  t.equal(world.store.snapshot().nodeById(node.ID)?.Status, 'ready');
  await world.time.advance(2_000);
  t.equal(world.store.snapshot().nodeById(node.ID)?.Status, 'down');
});

t.test('a node that gossip finds dead is down soon after, unless it beats', async (t) => {
  const keys = ['a'.repeat(64), 'b'.repeat(64)];
  const listeners: Parameters<ServerPeers['onHealth']>[0][] = [];
  const health = new Map<string, 'dead'>();
  const peers = {
    health: (key: string) => health.get(key) ?? 'alive',
    onHealth: (listener: (typeof listeners)[number]) => void listeners.push(listener),
  } as Partial<ServerPeers> as ServerPeers;
  const world = createTestWorld({ config: { heartbeat: HEARTBEAT }, peers });
  const nodes = [await world.addNode(1), await world.addNode(2)];
  for (const [at, node] of nodes.entries()) foundBy(world, keys[at] as string, node.ID);
  const status = (at: number): string | undefined => world.store.snapshot().nodeById(nodes[at]?.ID ?? '')?.Status;
  const beat = (at: number) =>
    world.call('Node.UpdateStatus', {
      NodeID: nodes[at]?.ID ?? '',
      SecretID: nodes[at]?.SecretID ?? '',
      Status: 'ready',
    });
  const say = (key: string, word: 'alive' | 'dead'): void => {
    for (const listener of listeners) listener(key, word);
  };
  say(keys[1] as string, 'dead');
  await world.time.advance(4_000);
  t.equal(status(1), 'ready', 'gossip proposes, and no more');
  say(keys[1] as string, 'alive');
  await world.time.advance(2_000);
  t.equal(status(1), 'ready');
  say(keys[1] as string, 'dead');
  await world.time.advance(4_000);
  await beat(0);
  await world.time.advance(2_000);
  t.equal(status(1), 'down');
  t.equal(status(0), 'ready');

  // A new leader asks what gossip holds already.
  health.set(keys[0] as string, 'dead');
  world.consensus.lead(false);
  world.consensus.lead(true);
  await world.time.advance(6_000);
  t.equal(status(0), 'down');
});

/** A mesh that holds only this member. */
function foundBy(world: ReturnType<typeof createTestWorld>, key: string, nodeId: string): void {
  const member = { Key: key, NodeID: nodeId, Name: key.slice(0, 8), Status: 'admitted' } as MeshMember;
  const invite = { ID: key, Key: key, Role: 'client', Uses: 1, Used: [], ExpiresAt: 1e15 } as unknown as MeshInvite;
  const info = { Root: 'c'.repeat(64), Name: 'home', NextSerial: 1 } as MeshInfo;
  if (world.store.snapshot().meshMember('a'.repeat(64))) {
    world.store.apply(world.store.index + 1, { type: 'mesh-invite', invite });
    world.store.apply(world.store.index + 1, {
      type: 'mesh-redeem',
      inviteId: key,
      member,
      bury: null,
      discoverySecret: null,
      time: world.time.now(),
    });
  } else world.store.apply(world.store.index + 1, { type: 'mesh-found', info, founder: member });
}

t.test('a suspended laptop does not find all its nodes dead when it wakes', async (t) => {
  const world = createTestWorld({ config: { heartbeat: HEARTBEAT } });
  const node = await world.addNode(1);
  world.time.sleep(3_600_000);
  await world.time.advance(20);
  t.equal(world.store.snapshot().nodeById(node.ID)?.Status, 'ready');
  await world.time.advance(60_000);
  t.equal(world.store.snapshot().nodeById(node.ID)?.Status, 'down', 'but one that stays silent is');
});

t.test('only the node itself may speak for a node', async (t) => {
  const world = createTestWorld();
  const node = await world.addNode(1);
  await t.rejects(world.call('Node.Register', { Node: { ...node, SecretID: 'other' } }), {
    code: 'E_PERMISSION_DENIED',
  });
  const wrong = { NodeID: node.ID, SecretID: 'other' };
  await t.rejects(world.call('Node.GetClientAllocs', wrong), { code: 'E_PERMISSION_DENIED' });
  await t.rejects(world.call('Node.UpdateAlloc', { ...wrong, Alloc: [] }), { code: 'E_PERMISSION_DENIED' });
  await t.rejects(world.call('Node.UpdateStatus', { ...wrong, Status: 'ready' }), { code: 'E_PERMISSION_DENIED' });
  await t.rejects(world.call('Node.UpdateStatus', { ...wrong, NodeID: 'unknown', Status: 'ready' }), {
    code: 'E_NOT_FOUND',
  });
  const { Node: shown } = await world.call('Node.GetNode', { NodeID: node.ID });
  t.equal(shown?.SecretID, '', 'and its secret stays with the server');
});

t.test('a client waits for its allocations and learns of what was forgotten', async (t) => {
  const world = createTestWorld();
  const node = await world.addNode(1);
  const ask = (MinQueryIndex = 0) =>
    world.call('Node.GetClientAllocs', { NodeID: node.ID, SecretID: node.SecretID, MinQueryIndex });
  const none = await ask();
  t.same(none.Allocs, {});
  let told = ask(none.Index);
  await world.call('Job.Register', { Job: webJob({ count: 1 }) });
  await world.time.advance(20);
  const one = await told;
  t.equal(Object.keys(one.Allocs).length, 1);
  const [id = ''] = Object.keys(one.Allocs);
  const { Allocs } = await world.call('Alloc.GetAllocs', { AllocIDs: [id], NodeID: node.ID, SecretID: node.SecretID });
  t.equal(Allocs[0]?.Job?.ID, 'web', 'it gets the job with the allocation');

  await world.obey(node);
  await world.call('Job.Deregister', { JobID: 'web' });
  await world.time.advance(20);
  await world.obey(node);
  const before = await ask();
  told = ask(before.Index);
  await world.call('System.GarbageCollect', {});
  const after = await told;
  t.same(after.Allocs, {});
  t.ok(after.Index > before.Index);
});

t.test('a failed allocation is a reason to look at its job', async (t) => {
  const world = createTestWorld();
  const node = await world.addNode(1);
  await world.call('Job.Register', { Job: webJob({ count: 1 }) });
  await world.time.advance(20);
  await world.obey(node, () => ({ ClientStatus: 'failed' }));
  const evals = world.store.snapshot().evalsByJob('default', 'web');
  t.ok(evals.some(({ TriggeredBy }) => TriggeredBy === 'alloc-failure'));
  t.equal(world.allocs().length, 1, 'its replacement waits for the delay of the reschedule block');
  await world.time.advance(31_000);
  t.equal(world.allocs().length, 2);
});

t.test('a drained node is emptied group by group and then takes nothing', async (t) => {
  const world = createTestWorld();
  const first = await world.addNode(1);
  await world.call('Job.Register', { Job: webJob({ count: 3 }) });
  await world.time.advance(20);
  await world.obey(first);
  const second = await world.addNode(2);
  await world.call('Node.UpdateDrain', {
    NodeID: first.ID,
    DrainStrategy: { Deadline: 3_600e9, IgnoreSystemJobs: false, ForceDeadline: '', StartedAt: '' },
  });
  await world.time.advance(20);
  const leaving = () =>
    world.allocs().filter(({ NodeID, DesiredStatus }) => NodeID === first.ID && DesiredStatus === 'stop');
  t.equal(leaving().length, 1, 'max_parallel is 1');
  for (let round = 0; round < 3; round++) {
    await world.obey(first);
    await world.obey(second);
  }
  t.equal(leaving().length, 3);
  const drained = world.store.snapshot().nodeById(first.ID);
  t.equal(drained?.DrainStrategy, null);
  t.equal(drained?.SchedulingEligibility, 'ineligible');
  t.equal((drained?.LastDrain as { Status: string } | null)?.Status, 'complete');
  t.equal(
    world.allocs().filter(({ NodeID, ClientStatus }) => NodeID === second.ID && ClientStatus === 'running').length,
    3,
  );
});

t.test('at the end of its deadline a drain takes everything at once', async (t) => {
  const world = createTestWorld();
  const node = await world.addNode(1);
  await world.call('Job.Register', { Job: batchJob({ count: 3 }) });
  await world.time.advance(20);
  await world.obey(node);
  await world.call('Node.UpdateDrain', {
    NodeID: node.ID,
    DrainStrategy: { Deadline: 60e9, IgnoreSystemJobs: false, ForceDeadline: '', StartedAt: '' },
  });
  await world.time.advance(59_000);
  t.equal(world.allocs().filter(({ DesiredStatus }) => DesiredStatus === 'run').length, 3, 'batch work may finish');
  await world.time.advance(2_000);
  t.equal(world.allocs().filter(({ DesiredStatus }) => DesiredStatus === 'run').length, 0);
  await world.obey(node);
  t.equal(world.store.snapshot().nodeById(node.ID)?.DrainStrategy, null);
});

t.test('what only a client knows is asked of the client, or there is no path to it', async (t) => {
  const world = createTestWorld();
  const node = await world.addNode(1);
  await t.rejects(world.call('ClientStats.Stats', { NodeID: node.ID }), {
    code: 'E_NO_NODE_PATH',
    message: /No path to node/,
  });
  await t.rejects(world.call('FileSystem.List', { AllocID: 'nothing', Path: '/' }), { code: 'E_NOT_FOUND' });
  const unlink = world.server.registerNodeLink(node.ID, {
    call: async (method) => ({ answeredBy: method }) as never,
    stream: () => {
      throw new Error('not asked');
    },
  });
  t.same(await world.call('ClientStats.Stats', { NodeID: node.ID }), { answeredBy: 'ClientStats.Stats' });
  unlink();
  await t.rejects(world.call('ClientStats.Stats', { NodeID: node.ID }), { code: 'E_NO_NODE_PATH' });
});

t.test('when half the nodes fall silent at once nothing is moved before it is sure', async (t) => {
  const world = createTestWorld({ config: { heartbeat: { ...HEARTBEAT, massLossMs: 60_000 } } });
  const nodes: Awaited<ReturnType<typeof world.addNode>>[] = [];
  for (let i = 1; i <= 4; i++) nodes.push(await world.addNode(i));
  const beats = async (alive: typeof nodes, ms: number): Promise<void> => {
    for (let passed = 0; passed < ms; passed += 5_000) {
      for (const { ID, SecretID } of alive) {
        await world.call('Node.UpdateStatus', { NodeID: ID, SecretID, Status: 'ready' });
      }
      await world.time.advance(5_000);
    }
  };
  const down = () => nodes.filter(({ ID }) => world.store.snapshot().nodeById(ID)?.Status === 'down').length;
  await beats(nodes.slice(0, 2), 40_000);
  t.equal(down(), 0);
  await beats(nodes, 60_000);
  t.equal(down(), 0, 'they are back, and nothing was moved');
  await beats(nodes.slice(0, 2), 120_000);
  t.equal(down(), 2, 'what lasts is believed');
});

t.test('forced, a drain takes all at once; told to, it leaves system jobs', async (t) => {
  const world = createTestWorld();
  const node = await world.addNode(1);
  await world.call('Job.Register', { Job: webJob({ count: 3 }) });
  await world.call('Job.Register', { Job: { ...batchJob({ ID: 'sys', Name: 'sys', count: 1 }), Type: 'system' } });
  await world.time.advance(20);
  await world.obey(node);
  const drain = (changes: object) =>
    world.call('Node.UpdateDrain', {
      NodeID: node.ID,
      DrainStrategy: { Deadline: -1, IgnoreSystemJobs: true, ForceDeadline: '', StartedAt: '', ...changes },
    });
  const wanted = (id: string) => world.allocs(id).filter(({ DesiredStatus }) => DesiredStatus === 'run').length;
  await drain({});
  await world.time.advance(20);
  await world.obey(node);
  t.same([wanted('web'), wanted('sys')], [0, 1]);
  t.equal(world.store.snapshot().nodeById(node.ID)?.DrainStrategy, null);
  await drain({ IgnoreSystemJobs: false });
  await world.time.advance(20);
  t.equal(wanted('sys'), 0);
});

t.test('an allocation that has ended may be stopped again: its job is looked at', async (t) => {
  const world = createTestWorld();
  const node = await world.addNode(1);
  await world.call('Job.Register', { Job: batchJob({ count: 1 }) });
  await world.time.advance(20);
  await world.obey(node, () => ({ ClientStatus: 'complete' }));
  const { EvalID } = await world.call('Alloc.Stop', { AllocID: world.allocs()[0]?.ID ?? '' });
  t.equal(world.store.snapshot().evalById(EvalID)?.TriggeredBy, 'alloc-stop');
  await t.rejects(world.call('Alloc.Stop', { AllocID: 'none' }), { code: 'E_NOT_FOUND' });
});

t.test('sysbatch work that is done is not done again for a node that comes later; work under way is', async (t) => {
  const world = createTestWorld();
  const first = await world.addNode(1);
  const sysbatch = (ID: string) => ({ ...batchJob({ ID, Name: ID, count: 1 }), Type: 'sysbatch' as const });
  await world.call('Job.Register', { Job: sysbatch('done') });
  await world.call('Job.Register', { Job: sysbatch('going') });
  await world.time.advance(20);
  await world.obey(first, ({ JobID }) => ({ ClientStatus: JobID === 'done' ? 'complete' : 'running' }));
  t.equal(world.store.snapshot().jobById('default', 'done')?.Status, 'dead');
  await world.addNode(2);
  t.equal(world.allocs('done').length, 1);
  t.equal(world.allocs('going').length, 2);
});

t.test('a system job comes to a node that was not meant for it once it has what the job asks for', async (t) => {
  const world = createTestWorld();
  const { Drivers } = mockNode(1);
  const none = Object.entries(Drivers).map(([name, info]) => [name, { ...info, Detected: false, Healthy: false }]);
  await world.addNode(1, { Drivers: Object.fromEntries(none) });
  const Volumes = { v: { Name: 'v', Type: 'host', Source: 'late' } as VolumeRequest };
  const [group] = batchJob({ count: 1 }).TaskGroups as [TaskGroup];
  const system = (ID: string, changes: Partial<TaskGroup>, Constraints: Constraint[] | null = null) => {
    const TaskGroups = [{ ...group, ...changes }];
    return { ...batchJob({ ID, Name: ID }), Type: 'system' as const, TaskGroups, Constraints };
  };
  const wanted = { LTarget: '${meta.rack}', RTarget: 'r1', Operand: '=' };
  await world.call('Job.Register', { Job: system('driver', {}) });
  await world.call('Job.Register', { Job: system('volume', { Volumes }) });
  await world.call('Job.Register', { Job: system('meta', {}, [wanted]) });
  await world.time.advance(20);
  const counts = () => ['driver', 'volume', 'meta'].map((id) => world.allocs(id).length);
  t.same(counts(), [0, 0, 0]);
  await world.addNode(1, { Drivers });
  t.same(counts(), [1, 0, 0]);
  const late = { Name: 'late', Path: '/srv/late', ReadOnly: false, ID: '' };
  await world.addNode(1, { Drivers, HostVolumes: { late } });
  t.same(counts(), [1, 1, 0]);
  await world.addNode(1, { Drivers, HostVolumes: { late }, Meta: { rack: 'r1' } });
  t.same(counts(), [1, 1, 1]);
  const told = [...world.store.snapshot().evals()].length;
  await world.addNode(1, { Drivers, HostVolumes: { late }, Meta: { rack: 'r1' } });
  t.equal([...world.store.snapshot().evals()].length, told, 'what did not change is no reason to look at jobs');
});

t.test('an evaluation says which deployment its job had, and which evaluation follows', async (t) => {
  const world = createTestWorld();
  const node = await world.addNode(1);
  await world.call('Job.Register', { Job: webJob({ count: 1 }) });
  await world.time.advance(20);
  for (let round = 0; round < 2; round++) await world.obey(node);
  const [alloc] = world.allocs();
  const { ID = '', ClientDescription = '', TaskStates = null, AllocStates = null, NetworkStatus = null } = alloc ?? {};
  const DeploymentStatus = alloc?.DeploymentStatus ?? null;
  const report = { ID, ClientDescription, TaskStates, AllocStates, NetworkStatus, DeploymentStatus };
  const Alloc = [{ ...report, ClientStatus: 'failed' as const }];
  await world.call('Node.UpdateAlloc', { NodeID: node.ID, SecretID: node.SecretID, Alloc });
  await world.time.advance(20);
  const evals = world.store.snapshot().evalsByJob('default', 'web');
  const failed = evals.find(({ TriggeredBy }) => TriggeredBy === 'alloc-failure');
  const later = evals.find(({ TriggeredBy }) => TriggeredBy === 'alloc-reschedule');
  t.equal(failed?.NextEval, later?.ID);
  t.equal(later?.PreviousEval, failed?.ID);
  t.equal(failed?.DeploymentID, world.store.snapshot().latestDeploymentByJob('default', 'web')?.ID);
});
