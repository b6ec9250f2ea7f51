import t from 'tap';
import type { CsiInfo } from '../../lib/structs/csi.js';
import { MeshError } from '../../lib/structs/errors.js';
import type { VolumeOrder, VolumeWork } from '../../lib/structs/rpc-volume-data.js';
import type { VolumeArchiveView } from '../../lib/structs/volume-data.js';
import {
  controllerInfo,
  createVolumeWorld,
  csiInfo,
  type FakeNode,
  nodeInfo,
  type VolumeWorld,
} from './volume-world.js';

const SECRET = 'to-be-told-to-the-plugin-alone';
const TOLD = 'the disk of [REDACTED] is full';
const RESTORE = { Volume: 'db', SnapshotID: '', TargetNodeID: '', As: '', Force: false };

/** A plugin whose volumes lie on one node each, as csi-local's do, and nodes that do at once what they are told. */
const UNHEARD = new MeshError('E_CONFLICT', 'no node with a controller can be reached');

class Storage {
  readonly world: VolumeWorld = createVolumeWorld();
  readonly nodes: FakeNode[] = [];
  /** Volumes and snapshots at the plugin: where each is. */
  readonly volumes = new Map<string, string>();
  readonly snapshots = new Map<string, string>();
  readonly attached = new Set<string>();
  readonly told: { node: number; order: VolumeOrder }[] = [];
  /** What a node answers instead. */
  answer: ((node: number, order: VolumeOrder) => VolumeWork | undefined) | null = null;
  /** What the plugin answers instead. */
  refuse: ((what: string) => MeshError | undefined) | null = null;
  /** The plugin makes what it is asked for, and its answer is lost. */
  unheard: 'create' | 'snapshot' | null = null;
  #length = 0;

  async addNode(number: number): Promise<FakeNode> {
    const topology = { Segments: { node: `n${number}` } };
    const info: CsiInfo = csiInfo({
      RequiresControllerPlugin: true,
      NodeInfo: { ...nodeInfo(`ext-${number}`), AccessibleTopology: topology },
    });
    const changes = { CSINodePlugins: { nfs: info }, CSIControllerPlugins: { nfs: controllerInfo() } };
    const fake = await this.world.addFakeNode(number, { changes });
    this.nodes[number] = fake;
    const { answers } = fake;
    answers['ClientVolumeData.Work'] = ({ Order }) => {
      this.told.push({ node: number, order: Order });
      return this.answer?.(number, Order) ?? this.#obey(number, Order);
    };
    const asked = (what: string, secrets: object | null): void => {
      t.same(secrets, { password: SECRET }, `${what} is told the secrets`);
      const refusal = this.refuse?.(what);
      if (refusal) throw refusal;
    };
    answers['ClientCSI.ControllerCreate'] = ({ Name, Secrets, SnapshotID, RequestedTopologies }) => {
      asked('create', Secrets);
      t.same(RequestedTopologies?.Required, [topology], 'the controller of that node is asked');
      if (SnapshotID !== '') t.equal(this.snapshots.get(SnapshotID), `n${number}`);
      this.volumes.set(`vol-${Name}`, `n${number}`);
      if (this.unheard === 'create') throw UNHEARD;
      const made = { ExternalID: `vol-${Name}`, CapacityBytes: 100, VolumeContext: { of: Name } };
      return { ...made, SnapshotID: '', CloneID: '', Topologies: [topology] };
    };
    answers['ClientCSI.ControllerCreateSnapshot'] = ({ Name, ExternalSourceVolumeID, Secrets }) => {
      asked('snapshot', Secrets);
      t.equal(this.volumes.get(ExternalSourceVolumeID), `n${number}`);
      const isReady = this.snapshots.has(`snap-${Name}`);
      this.snapshots.set(`snap-${Name}`, `n${number}`);
      if (this.unheard === 'snapshot') throw UNHEARD;
      return { ExternalSourceVolumeID, ID: `snap-${Name}`, SizeBytes: 1, CreateTime: 1, IsReady: isReady };
    };
    answers['ClientCSI.ControllerDeleteSnapshot'] = ({ ID, Secrets }) => {
      asked('delete snapshot', Secrets);
      this.snapshots.delete(ID);
      return {};
    };
    answers['ClientCSI.ControllerDelete'] = ({ ExternalID, Secrets }) => {
      asked('delete', Secrets);
      t.notOk(this.attached.has(ExternalID), 'nothing is deleted that is attached');
      this.volumes.delete(ExternalID);
      return {};
    };
    answers['ClientCSI.ControllerAttach'] = ({ ExternalID, Secrets, ExternalNodeID }) => {
      asked('attach', Secrets);
      this.attached.add(ExternalID);
      return { PublishContext: { at: ExternalNodeID } };
    };
    answers['ClientCSI.ControllerValidate'] = () => ({ Message: '' });
    answers['ClientCSI.ControllerDetach'] = ({ ExternalID }) => {
      this.attached.delete(ExternalID);
      return {};
    };
    return fake;
  }

  #obey(node: number, order: VolumeOrder): VolumeWork {
    if (order.Kind === 'list') return { State: 'done', Ranges: [[0, order.Length]] };
    if ((order.Kind === 'backup' || order.Kind === 'restore') && order.Csi) {
      t.match(order.Csi, { Secrets: { password: SECRET }, PublishContext: { at: `ext-${node}` } });
      t.equal(this.volumes.get(order.Csi.ExternalID), `n${node}`, 'a node mounts what it reaches');
      t.not(order.Csi.ExternalID, this.external(), 'nobody but its users mounts the volume itself');
    }
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

  async create(node: number): Promise<void> {
    const Topologies = [{ Segments: { node: `n${node}` } }];
    this.volumes.set('vol-first', `n${node}`);
    const spec = { ID: 'db', PluginID: 'nfs', ExternalID: 'vol-first', Topologies, Secrets: { password: SECRET } };
    const RequestedCapabilities = [{ AccessMode: 'single-node-writer', AttachmentMode: 'file-system' } as const];
    await this.world.call('CSIVolume.Register', { Volumes: [{ ...spec, RequestedCapabilities }] });
  }

  external(): string | undefined {
    return this.world.store.snapshot().csiVolumeById('default', 'db')?.ExternalID;
  }

  async backUp(): Promise<VolumeArchiveView> {
    await this.world.call('VolumeData.Backup', { Volume: 'db' });
    return this.settle();
  }

  async settle(ms = 10_000): Promise<VolumeArchiveView> {
    await this.world.time.advance(ms);
    const { Archive } = await this.world.call('VolumeData.Get', { Volume: 'db' });
    if (!Archive) throw new Error('there is no archive');
    return Archive;
  }

  async lose(node: number): Promise<void> {
    const { ID, SecretID } = (this.nodes[node] as FakeNode).node;
    await this.world.call('Node.UpdateStatus', { NodeID: ID, SecretID, Status: 'down' });
    await this.world.time.advance(10);
  }
}

async function storage(nodes = 2): Promise<Storage> {
  const made = new Storage();
  for (let number = 1; number <= nodes; number++) await made.addNode(number);
  await made.create(1);
  return made;
}

t.test('a backup of a CSI volume is made of a snapshot, and nothing of it is left at the plugin', async (t) => {
  const s = await storage();
  await s.world.call('VolumeData.SetPlan', { Volume: 'db', Plan: { Replicas: 1 } });
  const user = await s.world.place(s.nodes[1] as FakeNode);
  await s.world.claim(s.nodes[1] as FakeNode, user.allocId);
  const archive = await s.backUp();
  t.match(archive, {
    LastOperation: { Step: 'done', Message: '' },
    Snapshots: [{ InUse: true }],
    Health: '',
    Scratch: [],
  });
  t.notMatch(JSON.stringify(archive), SECRET);
  t.notMatch(JSON.stringify([...s.world.store.snapshot().volumeArchives()]), SECRET);
  t.same([...s.volumes.keys()], ['vol-first']);
  t.equal(s.snapshots.size, 0);
  t.same([...s.attached], ['vol-first'], 'its user has it all the while');
  const order = ({ order }: { order: VolumeOrder }): string => order.Kind;
  t.same(
    s.told
      .filter(({ node }) => node === 1)
      .map(order)
      .slice(0, 2),
    ['backup', 'unmount'],
  );
  const again = await s.backUp();
  t.equal(again.Snapshots.length, 2);
  t.match(s.told.findLast(({ order }) => order.Kind === 'backup')?.order, { Previous: { Length: 10 } });
});

t.test('the file of a CSI volume says when it is backed up, and how many copies there are', async (t) => {
  const s = await storage();
  const { call, store } = s.world;
  const RequestedCapabilities = [{ AccessMode: 'single-node-writer', AttachmentMode: 'file-system' } as const];
  const spec = { ID: 'made', PluginID: 'nfs', Secrets: { password: SECRET }, RequestedCapabilities };
  const RequestedTopologies = { Required: [{ Segments: { node: 'n1' } }], Preferred: null };
  const make = (more: object): Promise<unknown> =>
    call('CSIVolume.Create', { Volumes: [{ ...spec, RequestedTopologies, ...more }] });
  const refusals: [object, { code: string; message: RegExp }][] = [
    [{ Backup: { Cron: 'now and then' } }, { code: 'E_BAD_REQUEST', message: /cron "now and then"/ }],
    [{ Backup: { Replicas: 99 } }, { code: 'E_BAD_REQUEST', message: /replicas is a number from 0 to/ }],
    [
      {
        Backup: { Cron: '0 3 * * *' },
        RequestedCapabilities: [{ AccessMode: 'single-node-writer', AttachmentMode: 'block-device' }],
      },
      { code: 'E_NOT_SUPPORTED', message: /block device/ },
    ],
    [
      { Backup: { Cron: '0 3 * * *' }, PluginID: 'none' },
      { code: 'E_CONFLICT', message: /"none" is on no node/ },
    ],
  ];
  for (const [more, refusal] of refusals) await t.rejects(make(more), refusal);
  t.same([...s.volumes.keys()], ['vol-first'], 'nothing was made');
  await make({ Backup: { Cron: '0 3 * * *', Replicas: 1, KeepLast: 2 } });
  const plan = async (Volume: string): Promise<object | undefined> =>
    (await call('VolumeData.Get', { Volume })).Archive?.Plan;
  t.match(await plan('made'), { Cron: '0 3 * * *', TimeZone: 'UTC', Replicas: 1, Keep: { Last: 2, Daily: 0 } });
  t.notOk(JSON.stringify(store.snapshot().csiVolumeById('default', 'made')).includes('0 3 * * *'));
  await make({});
  t.match(await plan('made'), { Replicas: 1 }, 'what a file does not say stays');
  const again = { ...spec, ID: 'db', ExternalID: 'vol-first', Backup: { Replicas: 0 } };
  await call('CSIVolume.Register', { Volumes: [again] });
  t.match(await plan('db'), { Cron: '', Replicas: 0 });
  await s.world.time.advance(25 * 3_600_000);
  const { Archive } = await call('VolumeData.Get', { Volume: 'made' });
  t.match(Archive, { Snapshots: [{ Reason: 'schedule' }] });
});

t.test('what fails half-way leaves nothing either', async (t) => {
  const s = await storage();
  for (const what of ['snapshot', 'create', 'attach']) {
    s.refuse = (asked) => (asked === what ? new MeshError('E_TOO_LARGE', `the disk of ${SECRET} is full`) : undefined);
    const { LastOperation, Scratch = [] } = await s.backUp();
    t.match({ LastOperation, Scratch }, { LastOperation: { Step: 'failed', Message: TOLD }, Scratch: [] }, what);
    t.same([[...s.volumes.keys()], s.snapshots.size, s.attached.size], [['vol-first'], 0, 0], what);
  }
  s.refuse = null;
  s.answer = (_, { Kind }) =>
    Kind === 'backup' ? { State: 'failed', Code: 'E_STORAGE', Message: 'bad disk' } : undefined;
  t.match(await s.backUp(), { LastOperation: { Step: 'failed', Message: 'bad disk' }, Scratch: [] });
  t.same([[...s.volumes.keys()], s.snapshots.size, s.attached.size], [['vol-first'], 0, 0]);
});

t.test('what a plugin made and did not come to say is asked for again, and goes', async (t) => {
  const s = await storage();
  const begin = async (what: 'backup' | 'restore') => {
    const restore = { Volume: 'db', SnapshotID: '', TargetNodeID: '', As: 'copy', Force: false };
    if (what === 'backup') await s.world.call('VolumeData.Backup', { Volume: 'db' });
    else await s.world.call('VolumeData.Restore', restore);
    return s.settle(150_000);
  };
  await s.backUp();
  for (const [what, unheard, made] of [
    ['backup', 'create', [2, 1]],
    ['backup', 'snapshot', [1, 1]],
    ['restore', 'create', [2, 0]],
  ] as const) {
    s.unheard = unheard;
    t.match(await begin(what), { LastOperation: { Kind: what, Step: 'failed' }, Scratch: [{ ExternalID: '' }] });
    t.same([s.volumes.size, s.snapshots.size], made, `${what}: it made a ${unheard}`);
    s.unheard = null;
    t.match(await s.settle(300_000), { Scratch: [] }, `${what} ${unheard}`);
    t.same([[...s.volumes.keys()], s.snapshots.size], [['vol-first'], 0], `${what} ${unheard}`);
  }
});

t.test('the next leader goes on with what was made, and a plugin that is busy is asked again', async (t) => {
  const s = await storage();
  let busy = 3;
  s.refuse = (what) => (what === 'create' && busy-- > 0 ? new MeshError('E_CONFLICT', 'not now') : undefined);
  s.answer = (_, { Kind }) =>
    Kind === 'backup'
      ? {
          State: 'running',
          Progress: { Phase: 'x', Files: 1, Bytes: 1, BytesTotal: 0, NewBytes: 0, Skipped: 0, Notes: [] },
        }
      : undefined;
  await s.world.call('VolumeData.Backup', { Volume: 'db' });
  const half = await s.settle(20_000);
  t.match(half, { Operation: { Step: 'backup' }, Scratch: [{ NodeID: s.nodes[1]?.node.ID }] });
  s.world.consensus.lead(false);
  await s.world.time.advance(5_000);
  s.answer = null;
  s.world.consensus.lead(true);
  t.match(await s.settle(), { LastOperation: { Step: 'done' }, Scratch: [] });
  t.same([...s.volumes.keys()], ['vol-first']);
});

t.test('a node that goes away with a copy mounted keeps it until it is back or forgotten', async (t) => {
  const s = await storage();
  s.answer = (_, { Kind }) => {
    if (Kind === 'backup') throw new MeshError('E_NO_NODE_PATH', 'no path');
    return undefined;
  };
  await s.world.call('VolumeData.Backup', { Volume: 'db' });
  await s.settle();
  await s.lose(1);
  t.match(await s.settle(), { LastOperation: { Step: 'failed' }, Scratch: [{}] });
  t.equal(s.volumes.size, 2);
  s.answer = null;
  await s.world.call('Node.Register', { Node: (s.nodes[1] as FakeNode).node });
  t.match(await s.settle(120_000), { Scratch: [] });
  t.same([...s.volumes.keys()], ['vol-first']);
});

t.test('a restore makes a new volume, which takes the place of the old one, or stands beside it', async (t) => {
  const s = await storage();
  await s.backUp();
  const { call } = s.world;
  await t.rejects(call('VolumeData.Restore', RESTORE), { code: 'E_CONFLICT', message: /is lost: say so with -force/ });
  const user = await s.world.place(s.nodes[1] as FakeNode);
  await s.world.claim(s.nodes[1] as FakeNode, user.allocId);
  await t.rejects(call('VolumeData.Restore', { ...RESTORE, Force: true }), { message: /in use: it is held by/ });
  await call('VolumeData.Restore', { ...RESTORE, As: 'copy', TargetNodeID: s.nodes[2]?.node.ID ?? '' });
  t.match(await s.settle(), { LastOperation: { Step: 'done', TargetVolumeID: 'copy' } });
  const copy = s.world.store.snapshot().csiVolumeById('default', 'copy');
  t.match(copy, {
    PluginID: 'nfs',
    Topologies: [{ Segments: { node: 'n2' } }],
    Claims: {},
    Secrets: { Keys: ['password'] },
  });
  t.equal(s.volumes.get(copy?.ExternalID ?? ''), 'n2');
  await t.rejects(call('VolumeData.Restore', { ...RESTORE, As: 'copy' }), { code: 'E_CONFLICT', message: /already/ });
  await s.world.end(s.nodes[1] as FakeNode, user.allocId);
  await s.settle();
  await call('VolumeData.Restore', { ...RESTORE, Force: true });
  t.match(await s.settle(), { LastOperation: { Step: 'done', Message: '' }, Scratch: [] });
  t.not(s.external(), 'vol-first');
  t.notOk(s.volumes.has('vol-first'), 'what it had before is gone');
  t.equal(s.volumes.get(s.external() ?? ''), 'n1');
  t.equal(s.attached.size, 0);
});

t.test('a volume that is used while it is restored stays as it is', async (t) => {
  const s = await storage();
  await s.backUp();
  s.answer = (_, { Kind }) => {
    if (Kind !== 'restore') return undefined;
    void s.world.place(s.nodes[1] as FakeNode).then(({ allocId }) => s.world.claim(s.nodes[1] as FakeNode, allocId));
    return undefined;
  };
  await s.world.call('VolumeData.Restore', { ...RESTORE, Force: true });
  t.match(await s.settle(), { LastOperation: { Step: 'failed', Message: /is held by/ }, Scratch: [] });
  t.equal(s.external(), 'vol-first');
  t.same([...s.volumes.keys()], ['vol-first']);
});

t.test('a volume whose node is lost is made again on another one; what lies there is left', async (t) => {
  const s = await storage(3);
  await s.backUp();
  await s.lose(1);
  await t.rejects(s.world.call('VolumeData.Restore', RESTORE), { message: /no node that reaches it is ready/ });
  await s.world.call('VolumeData.Restore', { ...RESTORE, Force: true });
  t.match(await s.settle(), { LastOperation: { Step: 'done' } });
  t.match(s.volumes.get(s.external() ?? ''), /n[23]/);
  await s.world.call('Node.Register', { Node: (s.nodes[1] as FakeNode).node });
  await s.settle(120_000);
  t.ok(s.volumes.has('vol-first'), 'it may have what no backup has');
});

t.test('a move takes the volume to a node that did not reach it', async (t) => {
  const s = await storage();
  const target = s.nodes[2]?.node.ID ?? '';
  const move = { Volume: 'db', TargetNodeID: target, Keep: false };
  const here = s.nodes[1]?.node.ID ?? '';
  await t.rejects(s.world.call('VolumeData.Move', { ...move, TargetNodeID: here }), { message: /where it is/ });
  await s.world.call('VolumeData.Move', move);
  t.match(await s.settle(20_000), { LastOperation: { Step: 'done' }, NodeID: target, Scratch: [] });
  t.same([...s.volumes.values()], ['n2']);
  t.equal(s.snapshots.size, 0);
});

t.test('what cannot be backed up is refused with the reason', async (t) => {
  const s = await storage();
  const { call } = s.world;
  const block = [{ AccessMode: 'single-node-writer', AttachmentMode: 'block-device' } as const];
  const seed = { ID: 'raw', PluginID: 'nfs', ExternalID: 'vol-raw', RequestedCapabilities: block };
  await call('CSIVolume.Register', { Volumes: [seed] });
  await t.rejects(call('VolumeData.Backup', { Volume: 'raw' }), { code: 'E_NOT_SUPPORTED', message: /block device/ });
  await t.rejects(call('VolumeData.Backup', { Volume: 'none' }), {
    code: 'E_NOT_FOUND',
    message: /volume "none" not found/,
  });
  for (const { node } of s.nodes.slice(1)) {
    const CSIControllerPlugins = { nfs: controllerInfo({ SupportsCreateDeleteSnapshot: false }) };
    await call('Node.Register', { Node: { ...node, CSIControllerPlugins } });
  }
  await t.rejects(call('VolumeData.Backup', { Volume: 'db' }), {
    code: 'E_NOT_SUPPORTED',
    message: /makes no snapshots/,
  });
});

t.test('a CSI volume and a host volume of one name are told apart', async (t) => {
  const s = await storage();
  const { node } = s.nodes[2] as FakeNode;
  (s.nodes[2] as FakeNode).answers['ClientHostVolume.Create'] = () => ({ HostPath: '/volumes/2', CapacityBytes: 0 });
  const { call } = s.world;
  await call('HostVolume.Create', { Volume: { Name: 'db', NodeID: node.ID } });
  await t.rejects(call('VolumeData.Backup', { Volume: 'db' }), { code: 'E_BAD_REQUEST', message: /CSI volume db/ });
  await call('VolumeData.Backup', { Volume: 'db', Type: 'csi' });
  await s.world.time.advance(10_000);
  t.match(await call('VolumeData.Get', { Volume: 'db', Type: 'csi' }), { Archive: { Snapshots: [{}] } });
  t.match(await call('VolumeData.Get', { Volume: 'db', Type: 'host' }), { Archive: null });
});
