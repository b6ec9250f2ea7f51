import { existsSync, readlinkSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { CsiMounts } from '../../lib/client/csi/mounts.js';
import { openCsiRpc } from '../../lib/client/csi/rpc.js';
import { LeaseStop } from '../../lib/client/lease-stop.js';
import type { TimelessEvent } from '../../lib/client/task-events.js';
import { VolumeLease } from '../../lib/client/volume-lease.js';
import { CsiError } from '../../lib/plugin/sdk/csi.js';
import { MeshError } from '../../lib/structs/errors.js';
import { createLog } from '../../lib/util/log.js';
import { ask, World } from './csi-world.js';
import { FakeTimers, fakeAlloc, fakeGroup, fakeJob, fakeTask, until } from './fakes.js';

t.test('a plugin’s errors say which plugin and method, what it said, and no secret', async (t) => {
  const world = new World(t);
  await world.serve(t);
  const rpc = await openCsiRpc('p', world.socket);
  t.teardown(() => rpc.close());
  const create = (name: string, timeoutMs = 5_000) =>
    rpc.call(
      'Controller.CreateVolume',
      {
        name,
        secrets: { key: 'hunter2' },
        parameters: {},
        capacityRange: null,
        volumeCapabilities: [],
        volumeContentSource: null,
        accessibilityRequirements: null,
      },
      { timeoutMs },
    );
  await t.rejects(create('echo'), {
    code: 'INVALID_ARGUMENT',
    message: 'CSI plugin "p", CreateVolume: wrong password [redacted] for echo (INVALID_ARGUMENT)',
  });
  await t.rejects(create('slow', 50), { code: 'DEADLINE_EXCEEDED', message: /no answer within 0.05 s/ });
  const list = rpc.call('Controller.ListVolumes', { maxEntries: 0, startingToken: '' }, { timeoutMs: 5_000 });
  await t.rejects(list, { code: 'UNIMPLEMENTED', message: /the plugin cannot do this/ });
  const nobody = await openCsiRpc('q', join(world.dir, 'none.sock'));
  t.teardown(() => nobody.close());
  await t.rejects(nobody.call('Identity.Probe', {}, { timeoutMs: 5_000 }), {
    code: 'UNAVAILABLE',
    message: /does not answer at .*none\.sock \(connect ENOENT [^ ]*none\.sock\)$/,
  });
});

t.test('a volume is claimed, staged, published and given; then all of it backwards', async (t) => {
  const world = new World(t);
  await world.serve(t);
  const client = await world.client(t);
  const alloc = world.put(client);
  await until(() => world.status(alloc.ID) === 'running', 'running');
  t.match(world.plugin.calls, ['stage ext-1 hunter2 sdx', 'publish rw SINGLE_NODE_WRITER']);
  const link = readlinkSync(join(world.dir, 'alloc', alloc.ID, 'web', 'data'));
  t.equal(link, join(world.dir, 'csi/node/p/per-alloc', alloc.ID, 'data/rw-file-system-single-node-writer'));
  const order = {
    NodeID: client.nodeId,
    PluginID: 'p',
    Namespace: 'default',
    VolumeID: 'data',
    ExternalID: 'ext-1',
    AllocID: alloc.ID,
    AccessMode: 'single-node-writer',
    AttachmentMode: 'file-system',
    ReadOnly: false,
  } as const;
  await t.rejects(ask(client, 'ClientCSI.NodeDetach', { ...order, Fence: 7 }), {
    code: 'E_CONFLICT',
    message: /still runs/,
  });
  await t.rejects(ask(client, 'ClientCSI.NodeDetach', { ...order, Fence: 6 }), {
    message: /claim 6 came after one of 7/,
  });
  world.server.put({ ...alloc, DesiredStatus: 'stop' });
  await until(() => world.server.released.length === 1, 'released');
  t.same(world.plugin.calls.slice(2), ['unpublish', 'unstage']);
  t.notOk(existsSync(link));
  t.notOk(existsSync(join(world.dir, 'csi/node/p/staging')), 'its directories are gone');
});

t.test('after a restart of the machine the volume is mounted again before its task begins again', async (t) => {
  const world = new World(t);
  let isMounted = true;
  t.intercept(CsiMounts.prototype, 'isMounted', { value: async () => isMounted });
  await world.serve(t);
  const first = await world.client(t);
  const alloc = world.put(first);
  await until(() => world.status(alloc.ID) === 'running', 'running');
  await first.shutdown();
  const again = await world.client(t);
  await until(() => world.server.reported(alloc.ID)?.ClientStatus === 'running', 'running still');
  t.equal(world.plugin.calls.length, 2, 'what runs keeps what it has');
  await again.shutdown();
  // Processes and mounts are gone, the records are not.
  world.engine.tasks.clear();
  isMounted = false;
  await world.client(t);
  await until(() => world.engine.running().length === 1, 'the task to begin again');
  t.match(world.plugin.calls.slice(2), ['stage ext-1 hunter2 sdx', 'publish rw SINGLE_NODE_WRITER']);
});

t.test('a consumer waits for a claim and for its plugin, and says so', async (t) => {
  const world = new World(t);
  const client = await world.client(t);
  world.server.refusal = new MeshError('E_CONFLICT', 'volume "data" is held by somebody else');
  const alloc = world.put(client);
  await until(() => /Waiting for volume "data": .*somebody else/.test(world.events(alloc.ID)), 'claim');
  world.server.refusal = null;
  await until(() => /Waiting for the plugin of volume "data": .* not healthy/.test(world.events(alloc.ID)), 'plugin');
  await world.serve(t);
  await until(() => world.status(alloc.ID) === 'running', 'running');
});

t.test('a claim that can never be granted fails the allocation in words', async (t) => {
  const world = new World(t);
  const client = await world.client(t);
  world.server.refusal = new MeshError('E_NOT_FOUND', 'there is no volume "data"');
  const alloc = world.put(client);
  await until(() => world.status(alloc.ID) === 'failed', 'failed');
  t.match(world.events(alloc.ID), /volume "data": there is no volume "data"/);
  await until(() => world.server.released.length === 1, 'what it may have claimed is released');
});

t.test('a csi_plugin task is told its endpoint, watched, told to the servers, and gone when it ends', async (t) => {
  const world = new World(t);
  const client = await world.client(t, { csiPlugins: {} });
  const plugin = {
    ID: 'p',
    Type: 'monolith',
    MountDir: '/csi',
    StagePublishBaseDir: '/local/csi',
    HealthTimeout: 30e9,
  } as const;
  const alloc = fakeAlloc(client.nodeId, fakeJob(fakeGroup([fakeTask({ CSIPluginConfig: plugin })])));
  const stored = world.server.put(alloc);
  await until(() => world.status(alloc.ID) === 'running', 'running');
  const endpoint = world.engine.task('web').config.env['CSI_ENDPOINT'] ?? '';
  t.match(endpoint, /^unix:\/\/.*\/csi\/p\/[0-9a-f]{12}\/csi\.sock$/);
  await world.serve(t, endpoint.slice('unix://'.length));
  const info = () => client.node().CSINodePlugins?.['p'];
  await until(() => info()?.Healthy === true, 'healthy');
  t.match(info(), {
    AllocID: alloc.ID,
    Provider: 'fake.csi',
    RequiresControllerPlugin: true,
    NodeInfo: { ID: 'n1', MaxVolumes: 3, RequiresNodeStageVolume: true, AccessibleTopology: { Segments: { z: 'a' } } },
  });
  t.equal(client.node().CSIControllerPlugins?.['p']?.ControllerInfo?.SupportsCreateDelete, true);
  await until(() => /CSI plugin "p" is healthy/.test(world.events(alloc.ID)), 'told');
  world.server.put({ ...stored, DesiredStatus: 'stop' });
  await until(() => client.node().CSINodePlugins === null, 'gone');
});

const UPDATE = {
  Stagger: 30e9,
  MaxParallel: 1,
  HealthCheck: 'task_states' as const,
  MinHealthyTime: 60e9,
  HealthyDeadline: 300e9,
  ProgressDeadline: 600e9,
  AutoRevert: false,
  AutoPromote: false,
  Canary: 0,
};

t.test('by force an allocation is ended and told why, and unmounted though its plugin does not answer', async (t) => {
  const world = new World(t);
  await world.serve(t);
  const client = await world.client(t);
  const alloc = world.put(client, {}, UPDATE);
  await until(() => world.status(alloc.ID) === 'running', 'running');
  const order = {
    NodeID: client.nodeId,
    PluginID: 'p',
    Namespace: 'default',
    VolumeID: 'data',
    ExternalID: 'ext-1',
    AllocID: alloc.ID,
    AccessMode: 'single-node-writer',
    AttachmentMode: 'file-system',
    ReadOnly: false,
    Fence: 7,
  } as const;
  await t.rejects(ask(client, 'ClientCSI.NodeDetach', order), { message: /still runs on this node/ });
  const late = { ...order, Fence: 6, ForcedReason: 'it smells' };
  await t.rejects(ask(client, 'ClientCSI.NodeDetach', late), { message: /came after one of 7/ });
  t.equal(world.engine.running().length, 1);
  let answer = (): void => {};
  world.plugin.handlers['Node.NodeUnpublishVolume'] = () => new Promise((done) => (answer = () => done({})));
  await ask(client, 'ClientCSI.NodeDetach', { ...order, ForcedReason: 'it smells' });
  t.equal(world.engine.running().length, 0, 'nothing writes any more');
  await until(() => world.status(alloc.ID) === 'failed', 'its job to know');
  t.match(world.events(alloc.ID), /Stopped: volume "data" was detached by force: it smells/);
  const unhealthy = (): boolean => world.server.reported(alloc.ID)?.DeploymentStatus?.Healthy === false;
  await until(unhealthy, 'its deployment to know, which has it replaced');
  t.notOk(existsSync(join(world.dir, 'csi/node/p/staging')), 'no directory is left');
  answer();
  await until(() => world.server.released.length === 1, 'its own release to go on');
});

t.test('a plugin that does not become healthy in time is ended as failed', async (t) => {
  const world = new World(t);
  const client = await world.client(t, { csiPlugins: {} });
  const plugin = {
    ID: 'p',
    Type: 'node',
    MountDir: '/csi',
    StagePublishBaseDir: '/local/csi',
    HealthTimeout: 0.4e9,
  } as const;
  const alloc = world.server.put(fakeAlloc(client.nodeId, fakeJob(fakeGroup([fakeTask({ CSIPluginConfig: plugin })]))));
  await until(() => world.status(alloc.ID) === 'failed', 'failed');
  t.match(world.events(alloc.ID), /CSI plugin "p" did not become healthy in time: .*does not answer/);
});

t.test('a server’s questions to a controller are put to the plugin; late orders are refused', async (t) => {
  const world = new World(t);
  await world.serve(t);
  const client = await world.client(t);
  await until(() => client.node().CSIControllerPlugins?.['p']?.Healthy === true, 'healthy');
  const to = { NodeID: client.nodeId, PluginID: 'p' };
  const create = (Name: string, PluginID = 'p') =>
    ask(client, 'ClientCSI.ControllerCreate', {
      ...to,
      PluginID,
      Name,
      Capabilities: [{ AccessMode: 'single-node-writer', AttachmentMode: 'file-system' }],
      MountOptions: null,
      Parameters: null,
      Secrets: { key: 'hunter2' },
      CapacityMin: 0,
      CapacityMax: 0,
      SnapshotID: '',
      CloneID: '',
      RequestedTopologies: null,
    });
  t.match(await create('x'), { ExternalID: 'id-x', CapacityBytes: 5, Topologies: null });
  await t.rejects(create('echo'), { code: 'E_BAD_REQUEST', message: /\[redacted\]/ });
  await t.rejects(create('full'), { code: 'E_TOO_LARGE' });
  await t.rejects(create('x', 'q'), { code: 'E_CONFLICT', message: /"q" does not run on this node as a controller/ });
  const gone = { ...to, ExternalID: 'id-x', Secrets: null };
  t.same(await ask(client, 'ClientCSI.ControllerDelete', gone), {}, 'what is not there is deleted');
  const attach = (Fence: number) =>
    ask(client, 'ClientCSI.ControllerAttach', {
      ...to,
      ExternalID: 'id-x',
      ExternalNodeID: 'n1',
      AccessMode: 'multi-node-multi-writer',
      AttachmentMode: 'block-device',
      MountOptions: null,
      ReadOnly: false,
      Secrets: null,
      VolumeContext: null,
      Fence,
    });
  t.same(await attach(5), { PublishContext: { mode: 'MULTI_NODE_MULTI_WRITER' } });
  await t.rejects(attach(4), { code: 'E_CONFLICT', message: /claim 4 came after one of 5/ });
});

t.test('what writes to a volume is ended when no server was reached for the time of a lease', async (t) => {
  const timers = new FakeTimers();
  const held = new VolumeLease();
  held.renewed(timers.now(), timers.now());
  const ended: string[] = [];
  const notes: (readonly string[])[] = [];
  const record = (mode: string) => ({
    alloc: {},
    tasks: {},
    health: null,
    hooks: { csi: { v: { mode, volumeId: 'data', step: 'mounted' } } },
  });
  const runner = (id: string) => ({ id, isEnding: false, end: async () => void ended.push(id) });
  const lease = new LeaseStop({
    lease: held,
    guard: { keep: (note) => void notes.push(note.targets) },
    mounts: { targetOf: () => '/target', stagingOf: () => '/staging' },
    runners: () => [runner('writer'), runner('reader'), runner('other')] as never,
    db: {
      allocs: new Map([
        ['writer', record('write')],
        ['reader', record('read')],
      ]),
    } as never,
    timers,
    log: createLog(() => {}),
  });
  const ending = new AbortController();
  t.teardown(() => ending.abort());
  void lease.run(ending.signal);
  const pass = async (ms: number): Promise<void> => {
    for (let left = ms; left > 0; left -= 500) {
      timers.advance(500);
      await new Promise((done) => setImmediate(done));
    }
  };
  await pass(40_000);
  held.renewed(timers.now(), timers.now());
  await pass(44_000);
  t.same(ended, []);
  await pass(4_000);
  t.ok(ended.length > 0 && ended.every((id) => id === 'writer'), 'readers and others go on');
  t.strictSame(notes.at(-1), ['/target', '/staging'], 'and somebody is told, in case this agent ends first');
});

t.test('how long no server was reached before the agent began, nobody claims to know', async (t) => {
  const timers = new FakeTimers();
  const told: string[] = [];
  const end = async (event: TimelessEvent): Promise<void> => void told.push(event(0).DisplayMessage ?? '');
  const lease = new LeaseStop({
    lease: new VolumeLease(),
    guard: null,
    mounts: { targetOf: () => '/target', stagingOf: () => '/staging' },
    runners: () => [{ id: 'writer', isEnding: false, end }] as never,
    db: {
      allocs: new Map([['writer', { hooks: { csi: { v: { mode: 'write', volumeId: 'data', step: 'mounted' } } } }]]),
    } as never,
    timers,
    log: createLog(() => {}),
  });
  const ending = new AbortController();
  t.teardown(() => ending.abort());
  void lease.run(ending.signal);
  for (let left = 15_000; left > 0; left -= 500) {
    timers.advance(500);
    await new Promise((done) => setImmediate(done));
  }
  t.equal(told[0], 'Stopped: no server was reached since the agent was started, so the claim on data may be passed on');
});

t.test('a controller is asked for its room, and for one volume; one that it has not is no error', async (t) => {
  const world = new World(t);
  const { handlers } = world.plugin;
  const asked: unknown[] = [];
  handlers['Controller.GetCapacity'] = async (request) => {
    asked.push(request);
    return { availableCapacity: 7, maximumVolumeSize: request.accessibleTopology ? { value: 3 } : null };
  };
  handlers['Controller.ControllerGetVolume'] = async ({ volumeId }) => {
    if (volumeId === 'gone') throw new CsiError('NOT_FOUND', 'there is none');
    if (volumeId === 'sick') throw new CsiError('INTERNAL', 'not now');
    const volume = { volumeId, capacityBytes: 5, volumeContext: {}, contentSource: null, accessibleTopology: [] };
    return {
      volume: volumeId === 'odd' ? null : volume,
      status: { publishedNodeIds: ['n1', ''], volumeCondition: { abnormal: true, message: 'rust' } },
    };
  };
  await world.serve(t);
  const client = await world.client(t);
  const to = { NodeID: client.nodeId, PluginID: 'p' };
  const room = { ...to, Capabilities: [], MountOptions: null, Parameters: { pool: 'x' } };
  await until(() => client.node().CSIControllerPlugins?.['p']?.Healthy === true, 'the plugin to be met');
  t.same(await ask(client, 'ClientCSI.ControllerGetCapacity', { ...room, Topology: null }), {
    Available: 7,
    MaximumVolume: 0,
  });
  t.same(await ask(client, 'ClientCSI.ControllerGetCapacity', { ...room, Topology: { Segments: { z: 'a' } } }), {
    Available: 7,
    MaximumVolume: 3,
  });
  t.match(asked, [
    { parameters: { pool: 'x' }, accessibleTopology: null },
    { accessibleTopology: { segments: { z: 'a' } } },
  ]);
  const get = (ExternalID: string) => ask(client, 'ClientCSI.ControllerGetVolume', { ...to, ExternalID });
  t.match(await get('v'), {
    Volume: { ExternalID: 'v', CapacityBytes: 5, PublishedExternalNodeIDs: ['n1'], IsAbnormal: true, Status: 'rust' },
  });
  t.same(await get('gone'), { Volume: null });
  await t.rejects(get('sick'), { code: 'E_CONFLICT', message: /ControllerGetVolume: not now/ });
  await t.rejects(get('odd'), { code: 'E_INTERNAL', message: /tells of a volume and not which/ });
});
