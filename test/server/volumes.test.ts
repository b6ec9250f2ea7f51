import t from 'tap';
import { MeshError } from '../../lib/structs/errors.js';
import type { Task } from '../../lib/structs/job.js';
import { VOLUME_LEASE } from '../../lib/structs/rpc-volume.js';
import { mockGroup, mockJob, mockTask } from '../scheduler/mock.js';
import { planResults } from '../state/world.js';
import { createVolumeWorld, type FakeNode, type VolumeWorld } from './volume-world.js';

const DB = {
  ID: 'db',
  Name: 'database',
  ExternalID: 'vol-1',
  PluginID: 'nfs',
  Secrets: { password: 'hunter2-secret' },
  RequestedCapabilities: [{ AccessMode: 'single-node-writer', AttachmentMode: 'file-system' }],
} as const;

async function withVolume({ controller = false } = {}): Promise<{ world: VolumeWorld; a: FakeNode; b: FakeNode }> {
  const world = createVolumeWorld();
  const a = await world.addFakeNode(1, { controller });
  const b = await world.addFakeNode(2, { controller: false });
  a.answers['ClientCSI.ControllerValidate'] = () => ({ Message: '' });
  a.answers['ClientCSI.ControllerAttach'] = () => ({ PublishContext: { device: '/dev/x' } });
  await world.call('CSIVolume.Register', {
    Volumes: [{ ...DB, RequestedCapabilities: [...DB.RequestedCapabilities] }],
  });
  return { world, a, b };
}

const asked = (node: FakeNode, method: string) =>
  node.asked.filter((one) => one.method === method).map(({ args }) => args);
const view = async (world: VolumeWorld) => (await world.call('CSIVolume.Get', { ID: 'db' })).Volume;

t.test('a claim is granted, attached, released step by step, and granted to the next', async (t) => {
  const { world, a, b } = await withVolume({ controller: true });
  const first = await world.place(b);
  const reply = await world.claim(b, first.allocId);
  t.match(reply, { PublishContext: { device: '/dev/x' }, Volume: { ExternalID: 'vol-1', Secrets: DB.Secrets } });
  t.match(asked(a, 'ClientCSI.ControllerAttach'), [{ ExternalNodeID: 'ext-2', Secrets: DB.Secrets }]);
  const again = await world.claim(b, first.allocId);
  t.equal(again.Fence, reply.Fence, 'asked for again after a restart it is the same claim');

  const second = await world.place(a, { jobId: 'next' });
  await t.rejects(world.claim(a, second.allocId), { code: 'E_CONFLICT', message: /held by allocation/ });
  await world.end(b, first.allocId);
  await world.time.advance(5_000);
  t.match(asked(b, 'ClientCSI.NodeDetach'), [{ AllocID: first.allocId, Fence: reply.Fence }]);
  t.match(asked(a, 'ClientCSI.ControllerDetach'), [{ ExternalNodeID: 'ext-2' }]);
  t.match(await view(world), { Claims: [], PastClaims: [{ AllocationID: first.allocId, Proof: 'node' }] });
  const next = await world.claim(a, second.allocId);
  t.ok(next.Fence > reply.Fence);
});

t.test('a snapshot is asked of the plugin that has the volume, and of no other', async (t) => {
  const { world, a } = await withVolume({ controller: true });
  const Snapshots = [{ SourceVolumeID: 'db', Name: 's', PluginID: 'nsf' }];
  await t.rejects(world.call('CSIVolume.CreateSnapshot', { Snapshots }), {
    code: 'E_BAD_REQUEST',
    message: 'volume "db" is one of plugin "nfs", not of "nsf"',
  });
  t.same(asked(a, 'ClientCSI.ControllerCreateSnapshot'), []);
});

t.test('orders to a controller rise, whichever claim of a node they are for', async (t) => {
  const { world, a, b } = await withVolume({ controller: true });
  const shared = { AccessMode: 'multi-node-multi-writer', AttachmentMode: 'file-system' } as const;
  const Volumes = [{ ...DB, RequestedCapabilities: [shared] }];
  await world.call('CSIVolume.Register', { Volumes });
  // As a controller does: what is older than the newest order it has seen is refused.
  let newest = 0;
  const take = ({ Fence }: { Fence: number }): void => {
    if (Fence < newest) throw new MeshError('E_CONFLICT', `an order ${Fence} came after ${newest}`);
    newest = Fence;
  };
  a.answers['ClientCSI.ControllerAttach'] = (args) => {
    take(args);
    return { PublishContext: {} };
  };
  a.answers['ClientCSI.ControllerDetach'] = (args) => {
    take(args);
    return {};
  };
  const place = async (jobId: string) => (await world.place(b, { jobId, volume: shared })).allocId;
  const [first, second] = [await place('first'), await place('second')];
  await world.claim(b, first, shared);
  const { Fence } = await world.claim(b, second, shared);
  await t.resolves(world.claim(b, first, shared), 'the older one is attached again after a restart of its machine');
  await world.end(b, second);
  await world.end(b, first);
  await world.time.advance(5_000);
  t.match(await view(world), { Claims: [] }, 'the younger ended first, and the older is not stuck');
  t.ok(newest > Fence, 'and an order to attach that is late is refused from then on');
});

t.test('who asks for a volume that is held, and may wait, has it the moment it is free', async (t) => {
  const { world, a, b } = await withVolume();
  const first = await world.place(b);
  await world.claim(b, first.allocId);
  const second = await world.place(a, { jobId: 'next' });
  const waiting = world.claim(a, second.allocId, { WaitMs: 60_000 });
  await world.time.advance(5_000);
  await world.end(b, first.allocId);
  await world.time.advance(100);
  t.ok((await waiting).Fence > 0);
  const third = await world.place(b, { jobId: 'third' });
  const tooLong = t.rejects(world.claim(b, third.allocId, { WaitMs: 60_000 }), { code: 'E_CONFLICT' });
  await world.time.advance(25_000);
  await tooLong;
});

t.test('how a volume fares is asked where it is in use, now, and no secret is in the answer', async (t) => {
  const { world, a, b } = await withVolume();
  const stats = async () => (await world.call('CSIVolume.Stats', { ID: 'db' })).Uses;
  t.same(await stats(), [], 'nobody uses it');
  const { allocId } = await world.place(b);
  await world.claim(b, allocId);
  const usage = { Unit: 'BYTES', Total: 100, Used: 40, Available: 60 };
  b.answers['ClientCSI.NodeStats'] = () => ({
    Usage: [usage],
    Condition: { Abnormal: true, Message: `no login as ${DB.Secrets.password}` },
  });
  const use = { AllocationID: allocId, NodeID: b.node.ID };
  t.match(await stats(), [
    { ...use, Usage: [usage], Condition: { Abnormal: true, Message: 'no login as [REDACTED]' }, Error: '' },
  ]);
  t.match(asked(b, 'ClientCSI.NodeStats'), [{ AllocID: allocId, ExternalID: 'vol-1' }]);
  t.same(asked(a, 'ClientCSI.NodeStats'), []);
  b.answers['ClientCSI.NodeStats'] = () => {
    throw new MeshError('E_CONFLICT', `the plugin does not answer: ${DB.Secrets.password}`);
  };
  t.match(await stats(), [{ ...use, Usage: [], Condition: null, Error: 'the plugin does not answer: [REDACTED]' }]);
  await t.rejects(world.call('CSIVolume.Stats', { ID: 'other' }), { code: 'E_NOT_FOUND' });
});

t.test('what a node has unmounted itself is not asked for again', async (t) => {
  const { world, b } = await withVolume();
  const { allocId } = await world.place(b);
  await world.claim(b, allocId);
  const { ID: NodeID, SecretID } = b.node;
  const unpublish = { NodeID, SecretID, VolumeID: 'db', AllocationID: allocId };
  await t.rejects(world.call('CSIVolume.Unpublish', { ...unpublish, SecretID: 'x' }), { code: 'E_PERMISSION_DENIED' });
  await world.call('CSIVolume.Unpublish', unpublish);
  await world.call('CSIVolume.Unpublish', unpublish);
  t.match(await view(world), { Claims: [], PastClaims: [{ Proof: 'node' }] });
  t.same(asked(b, 'ClientCSI.NodeDetach'), []);
});

t.test('a node that does not let go is asked again, and the volume says what it waits for', async (t) => {
  const { world, b } = await withVolume();
  const { allocId } = await world.place(b);
  await world.claim(b, allocId);
  b.answers['ClientCSI.NodeDetach'] = () => {
    throw new MeshError('E_INTERNAL', 'umount: target is busy (password hunter2-secret)');
  };
  await world.end(b, allocId);
  await world.time.advance(30_000);
  const waiting = await view(world);
  t.match(waiting?.Claims, [{ State: 'unpublishing', WaitsFor: /to unmount it: umount: target is busy/ }]);
  t.notMatch(JSON.stringify(waiting), /hunter2/, 'no secret is shown, nor one that an error repeats');
  t.ok((waiting?.Claims[0]?.WaitsSince ?? 0) > 0);
  delete b.answers['ClientCSI.NodeDetach'];
  await world.time.advance(70_000);
  t.match(await view(world), { Claims: [] });
});

t.test('a node that was asked to let go and says nothing is named', async (t) => {
  const { world, b } = await withVolume();
  const { allocId } = await world.place(b);
  await world.claim(b, allocId);
  let answer = (): void => {};
  b.answers['ClientCSI.NodeDetach'] = () =>
    new Promise<object>((resolve) => {
      answer = () => resolve({});
    }) as never;
  await world.end(b, allocId);
  await world.time.advance(6_000);
  t.match((await view(world))?.Claims, [{ State: 'unpublishing', WaitsFor: /to unmount it: no answer yet/ }]);
  answer();
  await world.time.advance(5_000);
  t.match(await view(world), { Claims: [] });
});

t.test('an allocation that was told to stop, and has not, is what everybody waits for', async (t) => {
  const { world, b } = await withVolume();
  const { job, allocId } = await world.place(b);
  await world.claim(b, allocId);
  t.match((await view(world))?.Claims, [{ State: 'taken', WaitsFor: `node ${b.node.ID.slice(0, 8)} to mount it` }]);
  const told = {
    ID: allocId,
    DesiredStatus: 'stop',
    DesiredDescription: '',
    ClientStatus: '',
    FollowupEvalID: '',
    RescheduleTracker: null,
  };
  await world.consensus.propose(planResults(job, [], { stops: [told] }));
  const [claim] = (await view(world))?.Claims ?? [];
  t.match(claim, { State: 'taken', WaitsFor: /its tasks to end/ });
  t.ok((claim?.WaitsSince ?? 0) > 0);
  const detach = { VolumeID: 'db', NodeID: b.node.ID };
  await t.rejects(world.call('CSIVolume.Detach', detach), { message: /was told to stop, and has not ended: wait/ });
  await world.end(b, allocId);
  await world.time.advance(5_000);
  t.match(await view(world), { Claims: [] });
});

t.test('the claim of a dead node is passed on when its lease has ended, and not before', async (t) => {
  const { world, b } = await withVolume();
  const { allocId } = await world.place(b);
  await world.claim(b, allocId);
  await world.consensus.propose({
    type: 'node-status',
    id: b.node.ID,
    status: 'down',
    updatedAt: 1,
    event: null,
    evals: [],
  });
  const lost = [
    { ID: allocId, ClientStatus: 'lost' as const, ClientDescription: '', TaskStates: null, AllocStates: null },
  ];
  await world.consensus.propose({
    type: 'allocs-client-update',
    allocs: lost.map((one) => ({ ...one, NetworkStatus: null, DeploymentStatus: null })),
    evals: [],
    time: 1,
  });
  await world.time.advance(VOLUME_LEASE.passOnAfterMs - 1_000);
  t.match((await view(world))?.Claims, [{ State: 'unpublishing', WaitsFor: /its lease to end/ }]);
  await world.time.advance(2_000);
  t.match(await view(world), { Claims: [], PastClaims: [{ Proof: 'lease' }] });
  t.same(asked(b, 'ClientCSI.NodeDetach'), []);
});

t.test('a new leader grants a dead node a whole lease, for nobody told it when it was heard', async (t) => {
  const { world, b } = await withVolume();
  const { allocId } = await world.place(b);
  await world.claim(b, allocId);
  await world.time.advance(VOLUME_LEASE.passOnAfterMs - 5_000);
  world.consensus.lead(false);
  world.consensus.lead(true);
  await world.consensus.propose({ type: 'node-deregister', ids: [b.node.ID], evals: [] });
  await world.consensus.propose({ type: 'evals-delete', evals: [], allocs: [allocId] });
  await world.time.advance(20_000);
  t.match((await view(world))?.Claims, [{ State: 'unpublishing' }]);
  await world.time.advance(VOLUME_LEASE.passOnAfterMs);
  t.match(await view(world), { Claims: [] });
});

t.test('heartbeats renew leases of nodes that have volumes, if a majority stands behind the answer', async (t) => {
  const { world, b } = await withVolume();
  const { ID: NodeID, SecretID } = b.node;
  const beat = () => world.call('Node.UpdateStatus', { NodeID, SecretID, Status: 'ready' });
  t.match(await beat(), { LeaseRenewed: true });
  const plain = await world.addNode(9);
  const other = await world.call('Node.UpdateStatus', { NodeID: plain.ID, SecretID: plain.SecretID, Status: 'ready' });
  t.notOk(other.LeaseRenewed);
});

t.test(
  'by force only with a reason, which is kept; the node ends what writes, and nobody waits for the controller',
  async (t) => {
    const { world, a, b } = await withVolume({ controller: true });
    const { allocId } = await world.place(b);
    await world.claim(b, allocId);
    const detach = { VolumeID: 'db', NodeID: b.node.ID };
    await t.rejects(world.call('CSIVolume.Detach', detach), { code: 'E_CONFLICT', message: /still uses volume "db"/ });
    await t.rejects(world.call('CSIVolume.Detach', { ...detach, Force: true }), { message: /only with a reason/ });
    await t.rejects(world.call('CSIVolume.Detach', { ...detach, NodeID: 'other' }), { code: 'E_NOT_FOUND' });
    a.answers['ClientCSI.ControllerDetach'] = () => {
      throw new MeshError('E_INTERNAL', 'storage is gone');
    };
    const Reason = 'the database has gone mad';
    b.answers['ClientCSI.NodeDetach'] = () => {
      throw new MeshError('E_CONFLICT', 'its tasks were told to end');
    };
    await world.call('CSIVolume.Detach', { ...detach, Force: true, Reason });
    await world.time.advance(300);
    t.match(asked(b, 'ClientCSI.NodeDetach'), [{ AllocID: allocId, ForcedReason: Reason }]);
    const forced = {
      State: 'unpublishing',
      ForcedReason: Reason,
      WaitsFor: `node ${b.node.ID.slice(0, 8)} to unmount it`,
    };
    t.match((await view(world))?.Claims, [forced], 'while the node has not let go, nobody else has it');
    const forget = { VolumeIDs: ['db'], Force: true, Reason };
    await t.rejects(world.call('CSIVolume.Deregister', forget), {
      message: /may still be written to and is not forgotten/,
    });
    delete b.answers['ClientCSI.NodeDetach'];
    await world.time.advance(5_000);
    t.match(await view(world), { Claims: [], PastClaims: [{ Proof: 'node', ForcedReason: Reason }] });
  },
);

t.test(
  'by force a release that hangs is asked for anew, and a node that is away is waited for until its lease is over',
  async (t) => {
    const { world, b } = await withVolume();
    const { allocId } = await world.place(b);
    await world.claim(b, allocId);
    const hangs = new Promise<object>(() => {});
    b.answers['ClientCSI.NodeDetach'] = ({ ForcedReason }) =>
      (ForcedReason === undefined ? hangs : Promise.reject(new MeshError('E_NO_NODE_PATH', 'no way'))) as never;
    await world.end(b, allocId);
    await world.time.advance(1_000);
    const Reason = 'the machine burnt down';
    await world.call('CSIVolume.Detach', { VolumeID: 'db', NodeID: b.node.ID, Force: true, Reason });
    await world.time.advance(1_000);
    t.match(asked(b, 'ClientCSI.NodeDetach'), [{}, { ForcedReason: Reason }]);
    await world.consensus.propose({
      type: 'node-status',
      id: b.node.ID,
      status: 'down',
      updatedAt: 1,
      event: null,
      evals: [],
    });
    await world.time.advance(VOLUME_LEASE.passOnAfterMs - 10_000);
    t.match((await view(world))?.Claims, [
      { State: 'unpublishing', WaitsFor: /its lease to end: it may write until then/ },
    ]);
    await world.time.advance(12_000);
    t.match(await view(world), { Claims: [], PastClaims: [{ Proof: 'lease', ForcedReason: Reason }] });
  },
);

t.test('a volume in use is neither deleted nor forgotten; a free one is', async (t) => {
  const { world, a, b } = await withVolume({ controller: true });
  const { allocId } = await world.place(b);
  await world.claim(b, allocId);
  await t.rejects(world.call('CSIVolume.Delete', { VolumeIDs: ['db'] }), {
    code: 'E_CONFLICT',
    message: /not deleted/,
  });
  await t.rejects(world.call('CSIVolume.Deregister', { VolumeIDs: ['db'] }), { code: 'E_CONFLICT' });
  t.same(asked(a, 'ClientCSI.ControllerDelete'), []);
  await world.end(b, allocId);
  await world.time.advance(5_000);
  await world.call('CSIVolume.Delete', { VolumeIDs: ['db'] });
  t.match(asked(a, 'ClientCSI.ControllerDelete'), [{ ExternalID: 'vol-1' }]);
  t.equal(await view(world), null);
});

t.test(
  'what is forgotten or deleted right after its job was stopped waits for that, unless something is in the way',
  async (t) => {
    for (const method of ['CSIVolume.Deregister', 'CSIVolume.Delete'] as const) {
      const { world, b } = await withVolume({ controller: true });
      const { job, allocId } = await world.place(b);
      await world.claim(b, allocId);
      await world.call('Job.Deregister', { JobID: job.ID, Purge: true });
      await world.time.advance(100);
      const impatient = t.rejects(world.call(method, { VolumeIDs: ['db'] }), {
        code: 'E_CONFLICT',
        message: allocId.slice(0, 8),
      });
      await world.time.advance(31_000);
      await impatient;
      b.answers['ClientCSI.NodeDetach'] = () => {
        throw new MeshError('E_INTERNAL', 'umount: target is busy');
      };
      await world.end(b, allocId);
      await world.time.advance(10_000);
      await t.rejects(world.call(method, { VolumeIDs: ['db'] }), { message: /target is busy/ }, 'said at once');
      delete b.answers['ClientCSI.NodeDetach'];
      await world.time.advance(70_000);
      t.match(await view(world), { Claims: [] });

      const next = await world.place(b, { jobId: 'next' });
      await world.claim(b, next.allocId);
      await world.call('Job.Deregister', { JobID: 'next', Purge: true });
      const gone = world.call(method, { VolumeIDs: ['db'] });
      await world.time.advance(1_000);
      t.not(await view(world), null);
      await world.end(b, next.allocId);
      await world.time.advance(5_000);
      await gone;
      t.equal(await view(world), null);
    }
  },
);

t.test('a volume is made by its plugin, grown, and grown where it is in use', async (t) => {
  const { world, a, b } = await withVolume({ controller: true });
  a.answers['ClientCSI.ControllerCreate'] = ({ CapacityMin }) => ({
    ExternalID: 'vol-2',
    CapacityBytes: CapacityMin,
    VolumeContext: { share: 'x' },
    SnapshotID: '',
    CloneID: '',
    Topologies: null,
  });
  a.answers['ClientCSI.ControllerExpand'] = ({ CapacityMin }) => ({
    CapacityBytes: CapacityMin,
    NodeExpansionRequired: true,
  });
  const wanted = {
    ...DB,
    RequestedCapabilities: [...DB.RequestedCapabilities],
    ID: 'new',
    Name: 'new',
    ExternalID: '',
  };
  const create = (bytes: number) =>
    world.call('CSIVolume.Create', { Volumes: [{ ...wanted, RequestedCapacityMin: bytes }] });
  t.match(await create(1_000), {
    Volumes: [{ ID: 'new', ExternalID: 'vol-2', Capacity: 1_000, Context: { share: 'x' } }],
  });
  const { allocId } = await world.place(b, { volume: { Source: 'new' } });
  await world.claim(b, allocId, { VolumeID: 'new' });
  t.match(await create(5_000), { Volumes: [{ Capacity: 5_000 }] });
  t.match(asked(b, 'ClientCSI.NodeExpand'), [{ VolumeID: 'new', AllocID: allocId, CapacityMin: 5_000 }]);
  await t.rejects(world.call('CSIVolume.Expand', { VolumeID: 'new', CapacityMin: 0, CapacityMax: 10 }), {
    message: /cannot shrink/,
  });
  const smaller = { ...wanted, RequestedCapacityMax: 4_000 };
  await t.rejects(world.call('CSIVolume.Create', { Volumes: [smaller] }), { message: /cannot shrink to 4000/ });
  const less = await world.call('CSIVolume.Expand', { VolumeID: 'new', CapacityMin: 10, CapacityMax: 0 });
  t.equal(less.CapacityBytes, 5_000, 'what has more room than is wished for keeps it');
});

t.test('what is wrong with a volume is said before it is kept', async (t) => {
  const { world, a } = await withVolume({ controller: true });
  const register = (changes: object) =>
    world.call('CSIVolume.Register', {
      Volumes: [{ ...DB, RequestedCapabilities: [...DB.RequestedCapabilities], ID: 'x', ...changes }],
    });
  const cases: [object, RegExp][] = [
    [{ ID: '' }, /it has no id/],
    [{ ID: '../x' }, /an id is made of/],
    [{ PluginID: '' }, /names no plugin_id/],
    [{ PluginID: 'ebs' }, /no node has a plugin "ebs"/],
    [{ ExternalID: '' }, /no external_id/],
    [{ RequestedCapabilities: [] }, /no capability/],
    [{ RequestedCapabilities: [{ AccessMode: 'all', AttachmentMode: 'file-system' }] }, /unknown access_mode "all"/],
    [{ RequestedCapacityMin: 5, RequestedCapacityMax: 4 }, /is above capacity_max/],
    [{ CloneID: 'a', SnapshotID: 'b' }, /not from both/],
  ];
  for (const [changes, message] of cases) await t.rejects(register(changes), { message }, JSON.stringify(changes));
  a.answers['ClientCSI.ControllerValidate'] = () => ({ Message: 'no such volume for hunter2-secret' });
  await t.rejects(register({}), { code: 'E_BAD_REQUEST', message: /refuses it: no such volume for \[REDACTED\]/ });
});

t.test('a claim waits for its plugin with a clear word', async (t) => {
  const world = createVolumeWorld();
  const a = await world.addFakeNode(1);
  const bare = await world.addFakeNode(2, { changes: { CSINodePlugins: null } });
  await world.call('CSIVolume.Register', {
    Volumes: [{ ...DB, RequestedCapabilities: [...DB.RequestedCapabilities] }],
  });
  const { allocId } = await world.place(bare);
  await t.rejects(world.claim(bare, allocId), { code: 'E_CONFLICT', message: /"nfs" is not healthy on this node yet/ });
  await t.rejects(world.claim(a, allocId), { code: 'E_NOT_FOUND' }, 'another node claims nothing for it');
  const { allocId: reader } = await world.place(a, { jobId: 'r', volume: { ReadOnly: true } });
  await t.rejects(world.claim(a, reader), { code: 'E_PERMISSION_DENIED', message: /read-only/ });
  await t.rejects(world.claim(a, reader, { VolumeID: 'nope' }), { code: 'E_NOT_FOUND' });
});

t.test('lists are narrowed, cut into pages, and wait for changes', async (t) => {
  const { world } = await withVolume();
  for (const ID of ['da', 'db2', 'x']) {
    await world.call('CSIVolume.Register', {
      Volumes: [{ ...DB, RequestedCapabilities: [...DB.RequestedCapabilities], ID, ExternalID: ID }],
    });
  }
  const ids = async (args: object) => (await world.call('CSIVolume.List', args)).Volumes.map(({ ID }) => ID);
  t.strictSame(await ids({}), ['da', 'db', 'db2', 'x']);
  t.strictSame(await ids({ Prefix: 'db' }), ['db', 'db2']);
  t.strictSame(await ids({ Filter: 'ID matches "^x"' }), ['x']);
  t.strictSame(await ids({ Namespace: 'other' }), []);
  t.strictSame(await ids({ Namespace: '*', Reverse: true, PerPage: 1 }), ['x']);
  const first = await world.call('CSIVolume.List', { PerPage: 3 });
  t.strictSame(await ids({ PerPage: 3, NextToken: first.NextToken ?? '' }), ['x']);
  const waiting = world.call('CSIVolume.List', { MinQueryIndex: first.Index });
  await world.time.advance(20);
  await world.call('CSIVolume.Deregister', { VolumeIDs: ['x'] });
  t.ok((await waiting).Index > first.Index);
});

t.test('claims of long ago are forgotten', async (t) => {
  const { world, b } = await withVolume();
  const { allocId } = await world.place(b);
  await world.claim(b, allocId);
  await world.end(b, allocId);
  await world.time.advance(5_000);
  t.equal((await view(world))?.PastClaims.length, 1);
  await world.time.advance(3_600_000);
  t.equal((await view(world))?.PastClaims.length, 1);
  await world.call('System.GarbageCollect', {});
  t.equal((await view(world))?.PastClaims.length, 0);
});

t.test('plugins are counted from what lives', async (t) => {
  const { world, a, b } = await withVolume({ controller: true });
  const plugin = async () => (await world.call('CSIPlugin.Get', { ID: 'nfs' })).Plugin;
  t.match(await plugin(), {
    NodesHealthy: 2,
    NodesExpected: 2,
    ControllersHealthy: 1,
    ControllersExpected: 1,
    Version: '1.0',
  });
  await world.consensus.propose({
    type: 'node-status',
    id: b.node.ID,
    status: 'down',
    updatedAt: 1,
    event: null,
    evals: [],
  });
  t.match(await plugin(), { NodesHealthy: 1, NodesExpected: 1 });
  await t.rejects(world.call('CSIPlugin.Delete', { ID: 'nfs' }), {
    code: 'E_CONFLICT',
    message: /volume "db" needs it/,
  });
  await world.consensus.propose({ type: 'node-deregister', ids: [a.node.ID, b.node.ID], evals: [] });
  t.equal(await plugin(), null);
  t.match(await view(world), { Schedulable: false, SchedulableReason: /plugin "nfs" is on no node/ });
});

t.test('every operation passes the one door', async (t) => {
  const seen: string[] = [];
  const world = createVolumeWorld({
    config: {
      volumePolicy: ({ kind, name, operation }) => {
        seen.push(`${kind} ${operation} ${name}`);
        return operation === 'list' ? null : new MeshError('E_PERMISSION_DENIED', 'Permission denied');
      },
    },
  });
  const a = await world.addFakeNode(1);
  const volume = { ...DB, RequestedCapabilities: [...DB.RequestedCapabilities] };
  const { Secrets: _, ...seed } = volume;
  const { allocId } = await world.place(a);
  await world.consensus.propose({
    type: 'csi-volume-upsert',
    volumes: [
      {
        ...seed,
        Namespace: 'default',
        RequestedTopologies: null,
        Topologies: null,
        MountOptions: null,
        Secrets: null,
        Parameters: null,
        Context: null,
        Capacity: 0,
        RequestedCapacityMin: 0,
        RequestedCapacityMax: 0,
        CloneID: '',
        SnapshotID: '',
      },
    ],
    time: 1,
  });
  const denied = { code: 'E_PERMISSION_DENIED' };
  await t.rejects(world.call('CSIVolume.Get', { ID: 'db' }), denied);
  await t.rejects(world.call('CSIVolume.Register', { Volumes: [volume] }), denied);
  await t.rejects(world.call('CSIVolume.Create', { Volumes: [volume] }), denied);
  await t.rejects(world.call('CSIVolume.Deregister', { VolumeIDs: ['db'] }), denied);
  await t.rejects(world.call('CSIVolume.Delete', { VolumeIDs: ['db'] }), denied);
  await t.rejects(world.call('CSIVolume.Detach', { VolumeID: 'db', NodeID: 'n' }), denied);
  await t.rejects(world.call('CSIVolume.Expand', { VolumeID: 'db', CapacityMin: 1, CapacityMax: 0 }), denied);
  await t.rejects(world.call('CSIVolume.CreateSnapshot', { Snapshots: [{ SourceVolumeID: 'db', Name: 's' }] }), denied);
  await t.rejects(world.claim(a, allocId), denied);
  await t.rejects(world.call('CSIPlugin.Get', { ID: 'nfs' }), denied);
  const job = world.store.snapshot().jobById('default', 'web');
  t.ok(job);
  await t.rejects(world.call('Job.Register', { Job: job ?? {} }), denied, 'nor does a job get at it');
  await world.call('CSIVolume.List', {});
  t.ok(seen.includes('csi mount-readwrite db') && seen.includes('csi list db') && seen.includes('plugin read nfs'));
});

t.test('definitions of the wrong types are refused, and reach no plugin', async (t) => {
  const world = createVolumeWorld();
  const fake = await world.addFakeNode(1, { controller: true });
  const good = {
    ID: 'q',
    PluginID: 'nfs',
    RequestedCapabilities: [{ AccessMode: 'single-node-writer', AttachmentMode: 'file-system' }],
  };
  const wrong: Record<string, unknown[]> = {
    Parameters: [[1, 2], 'x', { a: 1 }],
    Secrets: ['s', [null], { password: { a: 1 } }],
    Context: [3, { a: [] }],
    Topologies: [7, [null], [{ Segments: 5 }]],
    RequestedTopologies: [5, { Required: 5 }, { Preferred: [[]] }],
    MountOptions: ['x', { FSType: 5 }, { MountFlags: 'noatime' }, { MountFlags: [5] }],
    RequestedCapabilities: [null, 'x', [null], [{}], [[]]],
    RequestedCapacityMin: ['1GiB', -1, 1.5],
  };
  for (const [key, values] of Object.entries(wrong)) {
    for (const value of values) {
      const Volumes = [{ ...good, [key]: value }] as never;
      const what = `${key}: ${JSON.stringify(value)}`;
      await t.rejects(world.call('CSIVolume.Create', { Volumes }), { code: 'E_BAD_REQUEST' }, what);
      await t.rejects(world.call('CSIVolume.Register', { Volumes }), { code: 'E_BAD_REQUEST' }, what);
    }
  }
  for (const Volumes of [null, 'x', [], [null], [[]]] as never[])
    await t.rejects(world.call('CSIVolume.Create', { Volumes }), { code: 'E_BAD_REQUEST' }, JSON.stringify(Volumes));
  for (const Snapshots of [null, 'x', [], [null], [5]] as never[])
    await t.rejects(world.call('CSIVolume.CreateSnapshot', { Snapshots }), { code: 'E_BAD_REQUEST' });
  for (const change of [
    { Parameters: [1] },
    { Constraints: 'x' },
    { Constraints: [null] },
    { RequestedCapabilities: [null] },
  ]) {
    const Volume = { Name: 'h', ...change } as never;
    await t.rejects(world.call('HostVolume.Create', { Volume }), { code: 'E_BAD_REQUEST' }, JSON.stringify(change));
  }
  t.strictSame(fake.asked, []);
});

t.test('a drain leaves the plugin of a node until all is unmounted there, and other system jobs not', async (t) => {
  const { world, a } = await withVolume();
  const plugin = mockTask({ CSIPluginConfig: { ID: 'nfs', Type: 'node' } as Task['CSIPluginConfig'] });
  const once = { Count: 1, Migrate: null, ReschedulePolicy: null };
  for (const [ID, task] of [['plugin', plugin] as const, ['logs', mockTask()] as const]) {
    const job = mockJob({ ID, Type: 'system', TaskGroups: [mockGroup({ ...once, Tasks: [task] })] });
    await world.call('Job.Register', { Job: job });
  }
  await world.time.advance(20);
  await world.obey(a.node);
  const { allocId } = await world.place(a);
  await world.claim(a, allocId);
  await world.obey(a.node);
  a.answers['ClientCSI.NodeDetach'] = () => {
    throw new MeshError('E_INTERNAL', 'it is busy');
  };
  const DrainStrategy = { Deadline: 3_600e9, IgnoreSystemJobs: false, ForceDeadline: '', StartedAt: '' };
  await world.call('Node.UpdateDrain', { NodeID: a.node.ID, DrainStrategy });
  await world.time.advance(20);
  await world.end(a, allocId);
  const stopping = (id: string) =>
    world.allocs(id).some(({ NodeID, DesiredStatus }) => NodeID === a.node.ID && DesiredStatus === 'stop');
  for (let round = 0; round < 3; round++) await world.time.advance(1_000);
  t.same([stopping('logs'), stopping('plugin')], [true, false]);
  delete a.answers['ClientCSI.NodeDetach'];
  for (let round = 0; round < 30 && !stopping('plugin'); round++) await world.time.advance(5_000);
  t.match(await view(world), { Claims: [] });
  t.ok(stopping('plugin'));
  await world.obey(a.node);
  await world.time.advance(20);
  t.equal(world.store.snapshot().nodeById(a.node.ID)?.DrainStrategy, null);
});
