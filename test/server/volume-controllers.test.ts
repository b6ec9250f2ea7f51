import t from 'tap';
import { MeshError } from '../../lib/structs/errors.js';
import type { Node } from '../../lib/structs/node.js';
import { controllerInfo, createVolumeWorld, type FakeNode, type VolumeWorld } from './volume-world.js';

// Which controller is asked when one of two does not answer: before the servers know, while it is being asked, and after.

const DB = {
  ID: 'db',
  Name: 'db',
  ExternalID: '',
  PluginID: 'nfs',
  RequestedCapabilities: [{ AccessMode: 'single-node-writer', AttachmentMode: 'file-system' }],
} as const;

const create = (world: VolumeWorld) =>
  world.call('CSIVolume.Create', { Volumes: [{ ...DB, RequestedCapabilities: [...DB.RequestedCapabilities] }] });
const asked = (node: FakeNode) => node.asked.filter(({ method }) => method === 'ClientCSI.ControllerCreate').length;
const made = () => ({
  ExternalID: 'vol-1',
  CapacityBytes: 1,
  VolumeContext: null,
  SnapshotID: '',
  CloneID: '',
  Topologies: null,
});

async function withTwo(): Promise<{ world: VolumeWorld; nodes: [FakeNode, FakeNode] }> {
  const world = createVolumeWorld();
  const nodes: [FakeNode, FakeNode] = [
    await world.addFakeNode(1, { controller: true }),
    await world.addFakeNode(2, { controller: true }),
  ];
  for (const { answers } of nodes) answers['ClientCSI.ControllerCreate'] = made;
  return { world, nodes };
}

/** The servers hear that a node's controller does not answer. */
async function turn(world: VolumeWorld, { node }: FakeNode): Promise<void> {
  const ill = controllerInfo();
  const changed: Node = {
    ...node,
    CSIControllerPlugins: { nfs: { ...ill, Healthy: false, HealthDescription: 'Probe: no answer within 5 s' } },
  };
  await world.call('Node.Register', { Node: changed });
}

t.test('a controller whose process is gone is passed over for another, before the servers know', async (t) => {
  for (const dead of [0, 1] as const) {
    const { world, nodes } = await withTwo();
    nodes[dead].answers['ClientCSI.ControllerCreate'] = () => {
      throw new MeshError('E_TIMEOUT', 'the plugin does not answer at its socket');
    };
    t.match(await create(world), { Volumes: [{ ExternalID: 'vol-1' }] });
    t.equal(asked(nodes[1 - dead] as FakeNode), 1);
  }
});

t.test('one that stops to answer is waited for until that is known, and then another is asked', async (t) => {
  const { world, nodes } = await withTwo();
  const silent = () => new Promise<never>(() => {}) as never;
  for (const { answers } of nodes) answers['ClientCSI.ControllerCreate'] = silent;
  const first = create(world);
  await world.time.advance(10);
  const [busy, idle] = asked(nodes[0]) === 1 ? nodes : ([nodes[1], nodes[0]] as const);
  t.same([asked(busy), asked(idle)], [1, 0]);
  idle.answers['ClientCSI.ControllerCreate'] = made;
  await turn(world, busy);
  t.match(await first, { Volumes: [{ ExternalID: 'vol-1' }] });
  t.equal(asked(idle), 1);
});

t.test('when none answers any more, it is said which and why, and nobody waits longer', async (t) => {
  const world = createVolumeWorld();
  const only = await world.addFakeNode(1, { controller: true });
  only.answers['ClientCSI.ControllerCreate'] = () => new Promise<never>(() => {}) as never;
  const waiting = t.rejects(create(world), {
    code: 'E_TIMEOUT',
    message:
      /volume "db": the controller of plugin "nfs" on node \S+ does not answer any more \(Probe: no answer within 5 s\): try again/,
  });
  await world.time.advance(10);
  await turn(world, only);
  await waiting;
  await t.rejects(create(world), { code: 'E_CONFLICT', message: /no controller of plugin "nfs" is healthy/ });
});

t.test('the list of plugins names the drivers of an id that several share', async (t) => {
  const { world, nodes } = await withTwo();
  const list = async () => (await world.call('CSIPlugin.List', {})).Plugins;
  t.notOk('Providers' in ((await list())[0] ?? {}));
  const { node } = nodes[0];
  const other = { ...controllerInfo(), Provider: 'other.csi' };
  await world.call('Node.Register', { Node: { ...node, CSIControllerPlugins: { nfs: other } } });
  t.match(await list(), [{ ID: 'nfs', Providers: ['nfs.csi.test', 'other.csi'] }]);
});
