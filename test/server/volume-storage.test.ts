import t from 'tap';
import type { CsiControllerInfo, CsiTopologyRequest, CsiVolumeAtStorage } from '../../lib/structs/csi.js';
import { MeshError } from '../../lib/structs/errors.js';
import {
  controllerInfo,
  createVolumeWorld,
  csiInfo,
  type FakeNode,
  nodeInfo,
  type VolumeWorld,
} from './volume-world.js';

// What only the storage knows: how much room it has, and whether a volume is still there, is well, and is attached where it should be.

const GIB = 2 ** 30;
const zone = (z: string) => ({ Segments: { z } });
const CAPABILITY = { AccessMode: 'single-node-writer', AttachmentMode: 'file-system' } as const;

async function node(
  world: VolumeWorld,
  number: number,
  { z, can = {} }: { z?: string; can?: Partial<CsiControllerInfo> },
): Promise<FakeNode> {
  const NodeInfo = { ...nodeInfo(`ext-${number}`), AccessibleTopology: z === undefined ? null : zone(z) };
  return world.addFakeNode(number, {
    changes: {
      CSINodePlugins: { nfs: csiInfo({ NodeInfo, RequiresControllerPlugin: true }) },
      CSIControllerPlugins: { nfs: controllerInfo({ SupportsGetCapacity: true, ...can }) },
    },
  });
}

const made = (id: string) => () => ({
  ExternalID: id,
  CapacityBytes: GIB,
  VolumeContext: null,
  SnapshotID: '',
  CloneID: '',
  Topologies: null,
});

t.test('a plugin is asked for its room in each place it has, and no longer than a person looks', async (t) => {
  const world = createVolumeWorld();
  const nodes = [await node(world, 1, { z: 'a' }), await node(world, 2, { z: 'b' }), await node(world, 3, { z: 'c' })];
  for (const [i, { answers }] of nodes.entries()) {
    answers['ClientCSI.ControllerGetCapacity'] = () => {
      if (i === 2) throw new MeshError('E_TIMEOUT', 'no answer within 5 s');
      return { Available: (i + 1) * GIB, MaximumVolume: i === 0 ? GIB / 2 : 0 };
    };
  }
  const { Places } = await world.call('CSIPlugin.Capacity', { ID: 'nfs' });
  t.match(Places, [
    { Topology: zone('a'), Available: GIB, MaximumVolume: GIB / 2, Error: '' },
    { Topology: zone('b'), Available: 2 * GIB, MaximumVolume: 0, Error: '' },
    { Topology: zone('c'), Error: /no answer/ },
  ]);
  for (const { asked } of nodes) t.match(asked, [{ args: { Capabilities: [] }, timeoutMs: 5_000 }]);
  await t.rejects(world.call('CSIPlugin.Capacity', { ID: 'other' }), { code: 'E_NOT_FOUND' });
});

t.test('a plugin that tells no places apart is asked once; one that cannot say is not asked', async (t) => {
  const world = createVolumeWorld();
  const a = await node(world, 1, {});
  await node(world, 2, {});
  a.answers['ClientCSI.ControllerGetCapacity'] = () => ({ Available: GIB, MaximumVolume: 0 });
  t.equal((await world.call('CSIPlugin.Capacity', { ID: 'nfs' })).Places.length, 1);
  const other = createVolumeWorld();
  const b = await node(other, 1, { can: { SupportsGetCapacity: false } });
  t.same((await other.call('CSIPlugin.Capacity', { ID: 'nfs' })).Places, []);
  t.same(b.asked, []);
});

t.test('a volume is made where there is room for it, and a plugin that says it has too little is quoted', async (t) => {
  const world = createVolumeWorld();
  const room = [1, 20, 3];
  const nodes = [await node(world, 1, { z: 'a' }), await node(world, 2, { z: 'b' }), await node(world, 3, { z: 'c' })];
  const makers: number[] = [];
  for (const [i, { answers }] of nodes.entries()) {
    answers['ClientCSI.ControllerGetCapacity'] = () => ({ Available: (room[i] as number) * GIB, MaximumVolume: 0 });
    answers['ClientCSI.ControllerCreate'] = ({ Name, CapacityMin }) => {
      makers.push(i);
      if (Name === 'refused') throw new MeshError('E_TOO_LARGE', 'the disk is full');
      return { ...made(`id-${Name}`)(), CapacityBytes: CapacityMin };
    };
  }
  const create = (ID: string, RequestedCapacityMin: number, RequestedTopologies: CsiTopologyRequest | null = null) =>
    world.call('CSIVolume.Create', {
      Volumes: [
        {
          ID,
          Name: ID,
          PluginID: 'nfs',
          RequestedCapabilities: [CAPABILITY],
          RequestedCapacityMin,
          RequestedTopologies,
        },
      ],
    });
  t.equal((await create('fits', 10 * GIB)).Warnings, '');
  t.same(makers, [1], 'where there is the most room');
  t.match(
    (await create('promised', 30 * GIB)).Warnings,
    /volume "promised" is made.*plugin "nfs" says that it has room for 20 GiB where it has the most of 3 places, and 30 GiB are asked for/,
    'who makes it all the same is believed, and whoever asked is warned',
  );
  await t.rejects(create('refused', 30 * GIB), {
    code: 'E_TOO_LARGE',
    message: /disk is full; plugin "nfs" says .* 20 GiB/,
  });
  makers.length = 0;
  await create('there', 2 * GIB, { Required: [zone('c')], Preferred: null });
  t.same(makers, [2], 'a place that is asked for goes before');
  for (const { answers } of nodes) {
    answers['ClientCSI.ControllerGetCapacity'] = () => {
      throw new MeshError('E_CONFLICT', 'not now');
    };
  }
  t.equal((await create('unsaid', 30 * GIB)).Warnings, '', 'a plugin that does not say is no obstacle');
});

async function withVolume(
  can: Partial<CsiControllerInfo>,
  z?: string,
): Promise<{
  world: VolumeWorld;
  a: FakeNode;
  b: FakeNode;
  look: () => Promise<CsiVolumeAtStorage>;
}> {
  const world = createVolumeWorld();
  const places = z === undefined ? [{}, {}] : [{ z }, { z: `${z}2` }];
  const a = await node(world, 1, { ...places[0], can });
  const b = await node(world, 2, { ...places[1], can });
  for (const { answers } of [a, b]) {
    answers['ClientCSI.ControllerCreate'] = () => ({
      ...made('vol-7')(),
      Topologies: z === undefined ? null : [zone(z)],
    });
    answers['ClientCSI.ControllerAttach'] = () => ({ PublishContext: {} });
  }
  await world.call('CSIVolume.Create', {
    Volumes: [
      {
        ID: 'db',
        Name: 'db',
        PluginID: 'nfs',
        RequestedCapabilities: [CAPABILITY],
        Secrets: { key: 'hunter2-secret' },
      },
    ],
  });
  return { world, a, b, look: async () => (await world.call('CSIVolume.AtStorage', { ID: 'db' })).AtStorage };
}

const external = (changes: object = {}) => ({
  ExternalID: 'vol-7',
  CapacityBytes: GIB,
  VolumeContext: null,
  CloneID: '',
  SnapshotID: '',
  PublishedExternalNodeIDs: ['ext-1', 'ext-2', 'elsewhere'],
  IsAbnormal: true,
  Status: 'half of hunter2-secret is gone',
  ...changes,
});

t.test('the storage says whether a volume is well and where it is attached, with and without a claim', async (t) => {
  const can = { SupportsGet: true, SupportsCondition: true, SupportsListVolumesAttachedNodes: true };
  const { world, a, b, look } = await withVolume(can);
  for (const { answers } of [a, b]) answers['ClientCSI.ControllerGetVolume'] = () => ({ Volume: external() });
  await world.claim(a, (await world.place(a)).allocId);
  t.match(await look(), {
    State: 'known',
    CapacityBytes: GIB,
    Condition: { Abnormal: true, Message: 'half of [REDACTED] is gone' },
    Published: [
      { ExternalNodeID: 'ext-1', NodeID: a.node.ID, IsClaimed: true },
      { ExternalNodeID: 'ext-2', NodeID: b.node.ID, IsClaimed: false },
      { ExternalNodeID: 'elsewhere', NodeID: '', IsClaimed: false },
    ],
  });
  const asked = [...a.asked, ...b.asked].filter(({ method }) => method === 'ClientCSI.ControllerGetVolume');
  t.match(asked, [{ args: { ExternalID: 'vol-7' }, timeoutMs: 5_000 }]);
  await t.rejects(world.call('CSIVolume.AtStorage', { ID: 'other' }), { code: 'E_NOT_FOUND' });
});

t.test(
  'a volume that was deleted behind our back is told as lost; a plugin that fails says nothing of the kind',
  async (t) => {
    const { a, b, look } = await withVolume({ SupportsGet: true });
    for (const { answers } of [a, b]) answers['ClientCSI.ControllerGetVolume'] = () => ({ Volume: null });
    t.match(await look(), { State: 'lost', Condition: null, Published: null });
    for (const { answers } of [a, b]) {
      answers['ClientCSI.ControllerGetVolume'] = () => {
        throw new MeshError('E_TIMEOUT', 'no answer for hunter2-secret');
      };
    }
    t.match(await look(), { State: 'unknown', Reason: /no answer for \[REDACTED\]/ });
    const silent = await withVolume({});
    t.match(await silent.look(), { State: 'unknown', Reason: '' }, 'and one that cannot say is not asked');
  },
);

t.test('only the machine that has a volume can say that it is lost', async (t) => {
  const { world, a, b, look } = await withVolume({ SupportsGet: true }, 'here');
  b.answers['ClientCSI.ControllerGetVolume'] = () => ({ Volume: null });
  a.answers['ClientCSI.ControllerGetVolume'] = () => ({ Volume: external({ PublishedExternalNodeIDs: [] }) });
  t.match(await look(), { State: 'known', Condition: null, Published: null });
  const { node: there } = a;
  await world.consensus.propose({
    type: 'node-register',
    node: { ...there, CSINodePlugins: null, CSIControllerPlugins: null },
    event: null,
    evals: [],
  });
  t.match(await look(), { State: 'unknown', Reason: /on no node that reaches it/ });
});

t.test('of a plugin that lists and cannot get, the list tells; what it does not list is not lost', async (t) => {
  const { a, b, look } = await withVolume({ SupportsCondition: true });
  let pages = 0;
  for (const { answers } of [a, b]) {
    answers['ClientCSI.ControllerListVolumes'] = ({ StartingToken }) => {
      pages++;
      return StartingToken === ''
        ? { Entries: [external({ ExternalID: 'vol-1' })], NextToken: 'more' }
        : { Entries: [external({ Status: '' })], NextToken: '' };
    };
  }
  t.match(await look(), { State: 'known', Condition: { Abnormal: true, Message: '' }, Published: [{}, {}, {}] });
  t.equal(pages, 2);
  for (const { answers } of [a, b]) answers['ClientCSI.ControllerListVolumes'] = () => ({ Entries: [], NextToken: '' });
  t.match(await look(), { State: 'unknown', Reason: '' });
});
