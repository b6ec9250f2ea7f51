import t from 'tap';
import { MeshError } from '../../lib/structs/errors.js';
import type { HostVolumeSpec } from '../../lib/structs/host-volume.js';
import type { VolumeOrder, VolumeWork } from '../../lib/structs/rpc-volume-data.js';
import { noProgress, type VolumeArchiveView } from '../../lib/structs/volume-data.js';
import { isCoreToken } from '../../lib/transport/core-token.js';
import { createVolumeWorld, type FakeNode, type VolumeWorld } from './volume-world.js';

const MINUTE_MS = 60_000;

/** Nodes that do at once what they are told, and say what they were told. */
class Archives {
  readonly world: VolumeWorld = createVolumeWorld();
  readonly orders: { node: number; order: VolumeOrder }[] = [];
  readonly nodes: FakeNode[] = [];
  /** What a node answers instead. */
  answer: ((node: number, order: VolumeOrder) => VolumeWork | undefined) | null = null;
  #length = 0;

  async addNode(number: number, changes: object = {}): Promise<FakeNode> {
    const fake = await this.world.addFakeNode(number, { changes });
    fake.answers['ClientVolumeData.Work'] = ({ Order }) => {
      this.orders.push({ node: number, order: Order });
      return this.answer?.(number, Order) ?? this.#obey(number, Order);
    };
    fake.answers['ClientHostVolume.Create'] = () => ({ HostPath: `/volumes/${number}`, CapacityBytes: 0 });
    this.nodes[number] = fake;
    return fake;
  }

  #obey(node: number, order: VolumeOrder): VolumeWork {
    if (order.Kind === 'restore') return { State: 'done', HostPath: `/volumes/${node}`, CapacityBytes: 0 };
    if (order.Kind === 'list') return { State: 'done', Ranges: [[0, order.Length + 5]] };
    if (order.Kind !== 'backup') return { State: 'done' };
    this.#length += 10;
    const place = {
      Core: `${node}`.repeat(64),
      Block: this.#length - 1,
      Length: this.#length,
      Digest: `d${this.#length}`,
    };
    const figures = { Files: 1, Bytes: 10, NewBytes: 10, StoredBytes: 10, Skipped: 0, Changed: 0, Notes: [] };
    return { State: 'done', Snapshot: { ...place, ...figures } };
  }

  /** A volume on a node, which shows it. */
  async create(node: number, spec: HostVolumeSpec = {}): Promise<string> {
    const { ID: NodeID } = (this.nodes[node] as FakeNode).node;
    const { Volume } = await this.world.call('HostVolume.Create', { Volume: { Name: 'db', NodeID, ...spec } });
    await this.show(node, Volume.ID);
    return Volume.ID;
  }

  async show(node: number, ID: string): Promise<void> {
    const { node: before } = this.nodes[node] as FakeNode;
    const HostVolumes = { db: { ID, Name: 'db', Path: `/volumes/${node}`, ReadOnly: false } };
    await this.world.call('Node.Register', { Node: { ...before, HostVolumes } });
    await this.world.time.advance(10);
  }

  async lose(node: number): Promise<void> {
    const { ID, SecretID } = (this.nodes[node] as FakeNode).node;
    await this.world.call('Node.UpdateStatus', { NodeID: ID, SecretID, Status: 'down' });
    await this.world.time.advance(10);
  }

  async backUp(): Promise<VolumeArchiveView> {
    await this.world.call('VolumeData.Backup', { Volume: 'db' });
    return this.settle();
  }

  async settle(ms = 5_000): Promise<VolumeArchiveView> {
    await this.world.time.advance(ms);
    return this.get();
  }

  async get(): Promise<VolumeArchiveView> {
    const { Archive } = await this.world.call('VolumeData.Get', { Volume: 'db' });
    if (!Archive) throw new Error('there is no archive');
    return Archive;
  }

  told(kind: VolumeOrder['Kind']): { node: number; order: VolumeOrder }[] {
    return this.orders.filter(({ order }) => order.Kind === kind);
  }
}

t.test('a backup is made where the volume is, and copied to as many others as wanted', async (t) => {
  const archives = new Archives();
  for (const number of [1, 2, 3, 4]) await archives.addNode(number);
  await archives.create(2);
  const archive = await archives.backUp();
  t.match(archive, { Operation: null, LastOperation: { Step: 'done' }, Health: '', Plan: { Replicas: 2 } });
  t.equal(archive.Snapshots.length, 1);
  t.notOk('Key' in archive, 'its key stays with the servers');
  const [snapshot] = archive.Snapshots;
  t.equal(archive.Copies[snapshot?.ID ?? '']?.length, 3);
  t.strictSame(
    archives.told('backup').map(({ node }) => node),
    [2],
  );
  const holds = archives.told('hold');
  t.equal(holds.length, 2);
  for (const { node, order } of holds) {
    if (order.Kind !== 'hold') continue;
    t.not(node, 2);
    t.strictSame(order.Ranges, [[0, 10]], 'what was appended later belongs to no backup');
    const { node: asker } = archives.nodes[node] as FakeNode;
    t.ok(isCoreToken(order.Holders[0]?.Token ?? '', 'secret-2', order.Core, asker.ID));
    t.notOk('Key' in order, 'who holds a copy gets no key');
  }
  const again = await archives.backUp();
  t.match(archives.told('backup').at(-1)?.order, { Previous: { Core: '2'.repeat(64), Length: 10 } });
  t.equal(again.Health, '', 'copies follow');
});

t.test('who is lost is replaced, and who refuses is passed over', async (t) => {
  const archives = new Archives();
  for (const number of [1, 2, 3]) await archives.addNode(number);
  await archives.create(1, { Backup: { Replicas: 1 } });
  archives.answer = (node, { Kind }) =>
    node === 2 && Kind === 'hold' ? { State: 'failed', Code: 'E_TOO_LARGE', Message: 'no room' } : undefined;
  const archive = await archives.settle(0).catch(() => null);
  t.equal(archive?.Snapshots.length, 0);
  await archives.world.call('VolumeData.Backup', { Volume: 'db' });
  const held = await archives.settle(30_000);
  t.equal(held.Health, '', 'the third node has it');
  archives.answer = null;
  await archives.lose(3);
  t.match(
    (await archives.settle(MINUTE_MS)).Health,
    /0 of 1 other nodes \(\S+: no room; \S+ is down: from 2026-01-01T00:15:30Z on another node takes its place\)/,
    'and why',
  );
  const later = await archives.settle(20 * MINUTE_MS);
  t.equal(later.Health, '', 'a node that is away for long is replaced');
});

t.test(
  'a node that goes down while it copies has refused nothing: it is asked again as soon as it is back',
  async (t) => {
    const archives = new Archives();
    for (const number of [1, 2]) await archives.addNode(number);
    await archives.create(1, { Backup: { Replicas: 1 } });
    const begun: VolumeWork = { State: 'running', Progress: noProgress() };
    archives.answer = (_, { Kind }) => (Kind === 'hold' ? begun : undefined);
    await archives.world.call('VolumeData.Backup', { Volume: 'db' });
    t.match((await archives.settle()).Health, /0 of 1 other nodes \(\S+: begins\)/);
    archives.answer = () => ({ State: 'failed', Code: 'E_TIMEOUT', Message: 'it was given up: the agent ends' });
    await archives.lose(2);
    t.match((await archives.settle(MINUTE_MS)).Health, /0 of 1 other nodes \(\S+ is down: from/);
    archives.answer = null;
    await archives.world.call('Node.Register', { Node: (archives.nodes[2] as FakeNode).node });
    t.equal((await archives.settle(MINUTE_MS)).Health, '');
  },
);

t.test('a volume of a configuration stays on its node, and it is said what can be done', async (t) => {
  const archives = new Archives();
  for (const number of [1, 2]) await archives.addNode(number);
  const { node } = archives.nodes[1] as FakeNode;
  const HostVolumes = { st: { ID: '', Name: 'st', Path: '/srv', ReadOnly: false } };
  await archives.world.call('Node.Register', { Node: { ...node, HostVolumes } });
  await archives.world.call('VolumeData.Backup', { Volume: 'st' });
  await archives.world.time.advance(5_000);
  const [, other] = archives.nodes.filter(Boolean).map(({ node }) => node.ID);
  const wanted = { Volume: 'st', TargetNodeID: other ?? '', SnapshotID: '', As: '' };
  const why = /a volume of a node's configuration is .*: make a new volume of its backup with volume restore -as/;
  await t.rejects(archives.world.call('VolumeData.Restore', { ...wanted, Force: true }), { message: why });
  await t.rejects(archives.world.call('VolumeData.Move', { ...wanted, Keep: false }), { message: why });
});

t.test('whose archive is told by its id, whatever is called the same', async (t) => {
  const archives = new Archives();
  for (const number of [1, 2]) await archives.addNode(number);
  const VolumeID = await archives.create(1);
  const { ID, VolumeID: of } = await archives.backUp();
  t.equal(of, VolumeID);
  await archives.world.call('VolumeData.Restore', {
    Volume: 'db',
    As: 'db',
    SnapshotID: '',
    TargetNodeID: '',
    Force: false,
  });
  await archives.world.time.advance(5_000);
  await t.rejects(archives.get(), { message: /"db" could be/ });
  t.match(await archives.world.call('VolumeData.Get', { Volume: ID }), {
    Archive: { VolumeID, LastOperation: { Kind: 'restore', Step: 'done' } },
  });
});

t.test('how far a copy is can be seen while it is made', async (t) => {
  const archives = new Archives();
  for (const number of [1, 2]) await archives.addNode(number);
  await archives.create(1, { Backup: { Replicas: 1 } });
  archives.answer = (_, { Kind }) =>
    Kind === 'hold'
      ? { State: 'running', Progress: { ...noProgress(), Phase: '4 of 9 blocks are copied' } }
      : undefined;
  await archives.world.call('VolumeData.Backup', { Volume: 'db' });
  t.match((await archives.settle(10_000)).Health, /0 of 1 other nodes \(\S+: 4 of 9 blocks are copied\)/);
  archives.answer = null;
  t.equal((await archives.settle(30_000)).Health, '');
});

t.test('rules say what is kept; what nobody needs is pruned, and at last dropped everywhere', async (t) => {
  const archives = new Archives();
  for (const number of [1, 2]) await archives.addNode(number);
  await archives.create(1, { Backup: { Replicas: 1, KeepLast: 2 } });
  for (let i = 0; i < 3; i++) await archives.backUp();
  const archive = await archives.get();
  t.strictSame(
    archive.Snapshots.map(({ Length }) => Length),
    [20, 30],
  );
  const [pruned] = archives.told('prune');
  t.match(pruned, { node: 1, order: { Length: 30, Snapshots: [{ Length: 20 }, { Length: 30 }] } });
  t.match(archive.Cores, [{ HasGarbage: false }]);
  t.equal(archive.Health, '');
  await archives.world.call('VolumeData.Forget', { Volume: 'db', SnapshotIDs: [], All: true });
  const empty = await archives.settle(30_000);
  t.match(empty, { Snapshots: [], Cores: [] });
  t.strictSame(
    archives
      .told('drop')
      .map(({ node }) => node)
      .sort(),
    [1, 2],
  );
});

t.test('a schedule is followed, also by the next leader, and made up for once', async (t) => {
  const archives = new Archives();
  await archives.addNode(1);
  await archives.create(1, { Backup: { Cron: '*/10 * * * *', Replicas: 0 } });
  await archives.settle(21 * MINUTE_MS);
  t.equal((await archives.get()).Snapshots.length, 2);
  archives.world.consensus.lead(false);
  await archives.world.time.advance(60 * MINUTE_MS);
  archives.world.consensus.lead(true);
  const archive = await archives.settle(5_000);
  t.equal(archive.Snapshots.length, 3, 'what was missed is made up for once');
  t.match(archive.Snapshots.at(-1), { Reason: 'schedule' });
  await t.rejects(archives.world.call('VolumeData.SetPlan', { Volume: 'db', Plan: { Cron: 'often' } }), {
    code: 'E_BAD_REQUEST',
    message: /cron "often"/,
  });
  await archives.world.call('VolumeData.SetPlan', { Volume: 'db', Plan: { Cron: '' } });
  t.equal((await archives.settle(60 * MINUTE_MS)).Snapshots.length, 3);
});

t.test(
  'a schedule whose node goes down in the middle is made up for when it is back; one that never comes is refused',
  async (t) => {
    const archives = new Archives();
    await archives.addNode(1, { Name: 'tower' });
    await archives.create(1, { Backup: { Cron: '0 * * * *', Replicas: 0 } });
    archives.answer = () => {
      throw new MeshError('E_NO_NODE_PATH', 'no path');
    };
    await archives.settle(61 * MINUTE_MS);
    await archives.lose(1);
    t.match(await archives.settle(), { LastOperation: { Step: 'failed', Message: /tower is down/ }, Snapshots: [] });
    archives.answer = null;
    await archives.world.call('Node.Register', { Node: (archives.nodes[1] as FakeNode).node });
    t.match(
      await archives.settle(MINUTE_MS),
      { Snapshots: [{ Reason: 'schedule' }] },
      'long before the next full hour',
    );
    await t.rejects(archives.world.call('VolumeData.SetPlan', { Volume: 'db', Plan: { Cron: '0 0 31 2 *' } }), {
      code: 'E_BAD_REQUEST',
      message: /never comes/,
    });
  },
);

t.test('the only backup that another node has stays, whatever is to be kept, until a newer one is there', async (t) => {
  const archives = new Archives();
  for (const number of [1, 2]) await archives.addNode(number);
  await archives.create(1, { Backup: { Replicas: 1, KeepLast: 1 } });
  const [first] = (await archives.backUp()).Snapshots;
  archives.answer = (_, { Kind }) =>
    Kind === 'hold' ? { State: 'failed', Code: 'E_TOO_LARGE', Message: 'the disk is full' } : undefined;
  for (let more = 0; more < 3; more++) await archives.backUp();
  const { Snapshots } = await archives.settle();
  t.equal(Snapshots.length, 2);
  t.equal(Snapshots[0]?.ID, first?.ID);
  archives.answer = null;
  const after = await archives.settle(20 * MINUTE_MS);
  t.equal(after.Snapshots.length, 1, 'the newest is there, and enough');
  t.equal(after.Health, '');
});

t.test('an operation is gone on with by the next leader, under the same order', async (t) => {
  const archives = new Archives();
  await archives.addNode(1);
  await archives.create(1);
  archives.answer = () => ({
    State: 'running',
    Progress: { Phase: 'backing up', Files: 3, Bytes: 5, BytesTotal: 0, NewBytes: 0, Skipped: 0, Notes: [] },
  });
  await archives.world.call('VolumeData.Backup', { Volume: 'db' });
  t.match(await archives.settle(), { Progress: { Files: 3 }, Operation: { Step: 'backup' } });
  await t.rejects(archives.world.call('VolumeData.Backup', { Volume: 'db' }), {
    code: 'E_CONFLICT',
    message: /under way/,
  });
  archives.world.consensus.lead(false);
  await archives.world.time.advance(5_000);
  archives.answer = null;
  archives.world.consensus.lead(true);
  t.match(await archives.settle(), { LastOperation: { Step: 'done' }, Snapshots: [{}] });
  t.equal(new Set(archives.told('backup').map(({ order }) => order.ID)).size, 1);
});

t.test('a backup of a node that is lost meanwhile fails, and says so', async (t) => {
  const archives = new Archives();
  await archives.addNode(1, { Name: 'tower' });
  await archives.create(1);
  archives.answer = () => {
    throw new MeshError('E_NO_NODE_PATH', 'no path');
  };
  await archives.world.call('VolumeData.Backup', { Volume: 'db' });
  t.match((await archives.settle()).Operation, { Message: /tower does not answer: no path/ });
  await archives.lose(1);
  t.match(await archives.settle(), { Operation: null, LastOperation: { Step: 'failed', Message: /tower is down/ } });
  archives.answer = null;
  await archives.world.call('Node.Register', { Node: (archives.nodes[1] as FakeNode).node });
  t.match(await archives.backUp(), { LastOperation: { Step: 'done' } });
  t.match(archives.told('prune'), [{ node: 1 }], 'what the attempt before has appended is let go');
});

t.test('a volume comes back in its place only if that is meant, and nobody uses it', async (t) => {
  const archives = new Archives();
  await archives.addNode(1);
  const ID = await archives.create(1);
  const { call } = archives.world;
  const restore = { Volume: 'db', SnapshotID: '', TargetNodeID: '', As: '', Force: false };
  await t.rejects(call('VolumeData.Restore', restore), { code: 'E_NOT_FOUND' }, 'there is no backup');
  await archives.backUp();
  await t.rejects(call('VolumeData.Restore', restore), { code: 'E_CONFLICT', message: /is lost: say so with -force/ });
  await t.rejects(call('VolumeData.Restore', { ...restore, SnapshotID: 'ffff' }), { code: 'E_NOT_FOUND' });
  await t.rejects(call('VolumeData.Restore', { ...restore, As: '../x' }), { code: 'E_BAD_REQUEST' });
  const user = await archives.world.place(archives.nodes[1] as FakeNode, { volume: { Type: 'host' } });
  await t.rejects(call('VolumeData.Restore', { ...restore, Force: true }), { message: /in use by allocation/ });
  t.match(await archives.backUp(), { Snapshots: [{ InUse: false }, { InUse: true }] });
  await archives.world.end(archives.nodes[1] as FakeNode, user.allocId);
  await call('VolumeData.Restore', { ...restore, Force: true });
  t.match(await archives.settle(), { LastOperation: { Kind: 'restore', Step: 'done' } });
  t.match(archives.told('restore').at(-1)?.order, { Volume: { ID, Replaces: true }, Snapshot: { Length: 20 } });
  await call('VolumeData.Restore', { ...restore, As: 'copy' });
  await archives.settle();
  const copy = [...archives.world.store.snapshot().hostVolumes()].find(({ Name }) => Name === 'copy');
  t.match(copy, { HostPath: '/volumes/1', NodeID: archives.nodes[1]?.node.ID });
  t.not(copy?.ID, ID);
});

t.test(
  'what is lost with its node is made again on another one; the old place is cleared when it is back',
  async (t) => {
    const archives = new Archives();
    for (const number of [1, 2, 3]) await archives.addNode(number);
    const ID = await archives.create(1);
    await archives.backUp();
    await archives.lose(1);
    const restore = { Volume: 'db', SnapshotID: '', TargetNodeID: '', As: '', Force: true };
    await archives.world.call('VolumeData.Restore', restore);
    const archive = await archives.settle();
    t.match(archive, { LastOperation: { Step: 'done' }, Leftovers: [{ HostPath: '/volumes/1', Keep: true }] });
    const volume = archives.world.store.snapshot().hostVolumeById(ID);
    t.not(volume?.NodeID, archives.nodes[1]?.node.ID);
    t.match(volume, { Name: 'db', PluginID: 'mkdir' });
    t.equal(archive.NodeID, volume?.NodeID);
    t.strictSame(archives.told('retire'), []);
    await archives.show(1, ID);
    t.strictSame((await archives.settle()).Leftovers, []);
    t.match(archives.told('retire'), [{ node: 1, order: { VolumeID: ID, HostPath: '/volumes/1', Keep: true } }]);
  },
);

t.test('a move takes a last backup, and the volume only if nobody used it meanwhile', async (t) => {
  const archives = new Archives();
  for (const number of [1, 2]) await archives.addNode(number);
  const ID = await archives.create(1);
  const target = archives.nodes[2]?.node.ID ?? '';
  const move = { Volume: 'db', TargetNodeID: target, Keep: false };
  archives.answer = (_, { Kind }) => {
    if (Kind === 'restore') void archives.world.place(archives.nodes[1] as FakeNode, { volume: { Type: 'host' } });
    return undefined;
  };
  await archives.world.call('VolumeData.Move', move);
  t.match((await archives.settle()).LastOperation, { Step: 'failed', Message: /used the volume while|is in use/ });
  t.match(archives.told('retire'), [{ node: 2, order: { VolumeID: ID, HostPath: '/volumes/2', Keep: false } }]);
  t.equal(archives.world.store.snapshot().hostVolumeById(ID)?.NodeID, archives.nodes[1]?.node.ID);
  await t.rejects(archives.world.call('VolumeData.Move', move), { code: 'E_CONFLICT', message: /in use/ });
  archives.answer = null;
  for (const alloc of archives.world.allocs()) await archives.world.end(archives.nodes[1] as FakeNode, alloc.ID);
  await archives.world.call('VolumeData.Move', move);
  t.match(await archives.settle(), { LastOperation: { Step: 'done' }, NodeID: target, Leftovers: [] });
  t.match(archives.world.store.snapshot().hostVolumeById(ID), { NodeID: target, HostPath: '/volumes/2' });
  t.match(archives.told('retire').at(-1), { node: 1, order: { Keep: false, HostPath: '/volumes/1' } });
});

t.test('what a node cannot remove after a move is told with its place, and keeps nothing else waiting', async (t) => {
  const archives = new Archives();
  for (const number of [1, 2, 3]) await archives.addNode(number);
  const ID = await archives.create(1);
  const refused = new Set([1]);
  archives.answer = (node, { Kind }) =>
    Kind === 'retire' && refused.has(node)
      ? { State: 'failed', Code: 'E_INTERNAL', Message: `EPERM on ${node}` }
      : undefined;
  const moveTo = (number: number) =>
    archives.world.call('VolumeData.Move', {
      Volume: 'db',
      TargetNodeID: archives.nodes[number]?.node.ID ?? '',
      Keep: false,
    });
  await moveTo(2);
  const left = { VolumeID: ID, HostPath: '/volumes/1', Message: 'EPERM on 1' };
  t.match(await archives.settle(), { LastOperation: { Step: 'done' }, Leftovers: [left] });
  await t.rejects(moveTo(1), { message: /what an earlier move left at \/volumes\/1 .*: EPERM on 1/ });
  await moveTo(3);
  const archive = await archives.settle(60_000);
  t.match(archive.Leftovers, [left]);
  t.equal(archive.Leftovers.length, 1, 'the second place is cleared');
  refused.clear();
  t.strictSame((await archives.settle(120_000)).Leftovers, [], 'it was tried again');
});

t.test('the backups of a deleted volume outlive it until they are forgotten', async (t) => {
  const archives = new Archives();
  await archives.addNode(1);
  const ID = await archives.create(1);
  await archives.backUp();
  await archives.world.call('HostVolume.Delete', { VolumeID: ID });
  await archives.world.call('Node.Register', { Node: (archives.nodes[1] as FakeNode).node });
  await t.rejects(archives.world.call('VolumeData.Backup', { Volume: 'db' }), {
    code: 'E_NOT_FOUND',
    message: /deleted/,
  });
  const restore = { Volume: 'db', SnapshotID: '', TargetNodeID: '', As: '', Force: false };
  await archives.world.call('VolumeData.Restore', restore);
  await archives.settle();
  t.match(archives.world.store.snapshot().hostVolumeById(ID), { Name: 'db', HostPath: '/volumes/1' });
  await archives.world.call('HostVolume.Delete', { VolumeID: ID });
  await archives.world.call('VolumeData.Forget', { Volume: 'db', SnapshotIDs: [], All: true });
  await archives.world.time.advance(30_000);
  t.strictSame([...archives.world.store.snapshot().volumeArchives()], []);
});

t.test('a volume is deleted as soon as the job that was told to stop has ended', async (t) => {
  const archives = new Archives();
  await archives.addNode(1);
  const ID = await archives.create(1);
  const node = archives.nodes[1] as FakeNode;
  const { job, allocId } = await archives.world.place(node, { volume: { Type: 'host' } });
  const remove = () => archives.world.call('HostVolume.Delete', { VolumeID: ID });
  await t.rejects(remove(), { code: 'E_CONFLICT', message: /: stop the job first/ });
  await archives.world.call('Job.Deregister', { JobID: job.ID, Purge: true });
  const removed = remove();
  await archives.world.time.advance(1_000);
  t.ok(archives.world.store.snapshot().hostVolumeById(ID));
  await archives.world.end(node, allocId);
  await archives.world.time.advance(1_000);
  await removed;
  t.notOk(archives.world.store.snapshot().hostVolumeById(ID));
});

t.test('a move waits for a job that was told to stop, and not for one that runs', async (t) => {
  const archives = new Archives();
  for (const number of [1, 2]) await archives.addNode(number);
  await archives.create(1);
  const node = archives.nodes[1] as FakeNode;
  const target = archives.nodes[2]?.node.ID ?? '';
  const move = { Volume: 'db', TargetNodeID: target, Keep: false };
  const { job, allocId } = await archives.world.place(node, { volume: { Type: 'host' } });
  await t.rejects(archives.world.call('VolumeData.Move', move), { message: /: stop the job first/ });
  await archives.world.call('Job.Deregister', { JobID: job.ID, Purge: true });
  await archives.world.time.advance(100);
  const impatient = archives.world.call('VolumeData.Move', move);
  impatient.catch(() => {});
  await archives.world.time.advance(31_000);
  await t.rejects(impatient, { message: /was told to stop, and has not yet: try again/ });
  const moved = archives.world.call('VolumeData.Move', move);
  await archives.world.time.advance(1_000);
  t.strictSame(archives.told('backup'), []);
  await archives.world.end(node, allocId);
  await archives.world.time.advance(1_000);
  t.match(await moved, { Operation: { Kind: 'move', TargetNodeID: target } });
  t.match(await archives.settle(), { LastOperation: { Step: 'done' }, NodeID: target });
});
