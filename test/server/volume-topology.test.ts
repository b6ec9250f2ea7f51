import t from 'tap';
import type { CsiInfo } from '../../lib/structs/csi.js';
import { MeshError } from '../../lib/structs/errors.js';
import type { RpcMethod } from '../../lib/transport/rpc.js';
import { createVolumeWorld, csiInfo, type FakeNode, nodeInfo, type VolumeWorld } from './volume-world.js';

// Volumes that lie on one machine: the controller there is asked, and no other.

const zone = (z: string) => ({ Segments: { z } });

async function inZone(world: VolumeWorld, number: number, z: string): Promise<FakeNode> {
  const NodeInfo = { ...nodeInfo(`ext-${number}`), AccessibleTopology: zone(z) };
  const node = await world.addFakeNode(number, {
    controller: true,
    changes: { CSINodePlugins: { nfs: csiInfo({ NodeInfo, RequiresControllerPlugin: true }) } },
  });
  node.answers['ClientCSI.ControllerCreate'] = ({ Name }) => ({
    ExternalID: `ext-${Name}`,
    CapacityBytes: 10,
    VolumeContext: null,
    SnapshotID: '',
    CloneID: '',
    Topologies: [zone(z)],
  });
  node.answers['ClientCSI.ControllerExpand'] = () => ({ CapacityBytes: 20, NodeExpansionRequired: false });
  return node;
}

t.test('a volume is made, grown and deleted by the controller of the machine that has it', async (t) => {
  const world = createVolumeWorld();
  const nodes = [await inZone(world, 1, 'a'), await inZone(world, 2, 'b'), await inZone(world, 3, 'c')];
  const askedFor = (method: RpcMethod): number[] =>
    nodes.map(({ asked }) => asked.filter((question) => question.method === method).length);
  await world.call('CSIVolume.Create', {
    Volumes: [
      {
        ID: 'v',
        Name: 'v',
        PluginID: 'nfs',
        RequestedCapabilities: [{ AccessMode: 'single-node-writer', AttachmentMode: 'file-system' }],
        RequestedTopologies: { Required: [zone('b')], Preferred: null },
      },
    ],
  });
  t.same(askedFor('ClientCSI.ControllerCreate'), [0, 1, 0]);
  await world.call('CSIVolume.Expand', { VolumeID: 'v', CapacityMin: 20, CapacityMax: 0 });
  t.same(askedFor('ClientCSI.ControllerExpand'), [0, 1, 0]);
  await world.call('CSIVolume.Delete', { VolumeIDs: ['v'] });
  t.same(askedFor('ClientCSI.ControllerDelete'), [0, 1, 0]);
});

const CAPABILITY = { AccessMode: 'single-node-writer', AttachmentMode: 'file-system' } as const;

t.test('what nobody says the place of is looked for on all machines', async (t) => {
  const world = createVolumeWorld();
  const nodes = [await inZone(world, 1, 'a'), await inZone(world, 2, 'b'), await inZone(world, 3, 'c')];
  for (const [i, { answers }] of nodes.entries()) {
    answers['ClientCSI.ControllerValidate'] = () => {
      if (i === 1) return { Message: '' };
      throw new MeshError('E_NOT_FOUND', `there is no volume here (${i})`);
    };
    answers['ClientCSI.ControllerDeleteSnapshot'] = () => {
      if (i === 2) return {};
      throw new MeshError('E_CONFLICT', 'it lies on another machine');
    };
  }
  const volume = { PluginID: 'nfs', RequestedCapabilities: [CAPABILITY] };
  await world.call('CSIVolume.Register', { Volumes: [{ ...volume, ID: 'v', ExternalID: 'there' }] });
  t.match(world.store.snapshot().csiVolumeById('default', 'v'), { Topologies: [zone('b')] }, 'jobs are placed there');
  await world.call('CSIVolume.DeleteSnapshot', { Snapshots: [{ ID: 's', PluginID: 'nfs' }] });
  for (const { answers } of nodes) {
    answers['ClientCSI.ControllerValidate'] = () => {
      throw new MeshError('E_NOT_FOUND', 'there is no volume "nowhere"');
    };
  }
  const nowhere = { Volumes: [{ ...volume, ID: 'w', ExternalID: 'nowhere' }] };
  await t.rejects(world.call('CSIVolume.Register', nowhere), { code: 'E_NOT_FOUND', message: /no volume "nowhere"/ });
  let asked = 0;
  for (const { answers } of nodes) {
    answers['ClientCSI.ControllerCreate'] = () => {
      if (++asked === 3)
        return {
          ExternalID: 'x',
          CapacityBytes: 1,
          VolumeContext: null,
          SnapshotID: '',
          CloneID: '',
          Topologies: null,
        };
      throw new MeshError('E_TOO_LARGE', 'the disk is full');
    };
  }
  await world.call('CSIVolume.Create', { Volumes: [{ ...volume, ID: 'x' }] });
  t.equal(asked, 3, 'a volume goes where there is room');
});

t.test('a list is what all machines have, page by page', async (t) => {
  const world = createVolumeWorld();
  const nodes = [await inZone(world, 1, 'a'), await inZone(world, 2, 'b'), await inZone(world, 3, 'c')];
  for (const [i, { answers }] of nodes.entries()) {
    answers['ClientCSI.ControllerListVolumes'] = ({ MaxEntries, StartingToken }) => {
      const all = [0, 1, 2].slice(0, i + 1).map((n) => `vol-${i}-${n}`);
      const from = Number(StartingToken || '0');
      const Entries = all.slice(from, from + MaxEntries).map((ExternalID) => ({ ExternalID }) as never);
      return { Entries, NextToken: from + MaxEntries < all.length ? String(from + MaxEntries) : '' };
    };
  }
  const list = (args: object) => world.call('CSIVolume.ListExternal', { PluginID: 'nfs', ...args });
  const names = ({ Volumes }: { Volumes: { ExternalID: string }[] }): string[] =>
    Volumes.map(({ ExternalID }) => ExternalID);
  const all = names(await list({}));
  t.same([...all].sort(), ['vol-0-0', 'vol-1-0', 'vol-1-1', 'vol-2-0', 'vol-2-1', 'vol-2-2']);
  for (const PerPage of [1, 2, 4]) {
    const seen: string[] = [];
    for (let NextToken = '', isFirst = true; isFirst || NextToken !== ''; isFirst = false) {
      const page = await list({ PerPage, NextToken });
      t.ok(page.Volumes.length <= PerPage);
      seen.push(...names(page));
      ({ NextToken } = page);
    }
    t.same(seen, all, `${PerPage} at a time`);
  }
  await t.rejects(list({ NextToken: 'odd' }), { code: 'E_BAD_REQUEST' });
});

t.test('storage may take minutes to make a volume; to attach one it is asked again', async (t) => {
  const world = createVolumeWorld();
  const node = await inZone(world, 1, 'a');
  const volume = { ID: 'db', PluginID: 'nfs', RequestedCapabilities: [CAPABILITY] };
  await world.call('CSIVolume.Create', { Volumes: [volume] });
  node.answers['ClientCSI.ControllerAttach'] = () => ({ PublishContext: {} });
  await world.claim(node, (await world.place(node)).allocId);
  const patience = (method: RpcMethod) => node.asked.find((one) => one.method === method)?.timeoutMs ?? 0;
  t.ok(patience('ClientCSI.ControllerCreate') >= 600_000);
  t.ok(patience('ClientCSI.ControllerAttach') < 60_000);
});

t.test('where the one node that reaches a volume has no healthy plugin, no other one is asked', async (t) => {
  const world = createVolumeWorld();
  const nodes = [await inZone(world, 1, 'a'), await inZone(world, 2, 'b')];
  const volume = { ID: 'v', PluginID: 'nfs', RequestedCapabilities: [CAPABILITY] };
  await world.call('CSIVolume.Create', {
    Volumes: [{ ...volume, RequestedTopologies: { Required: [zone('b')], Preferred: null } }],
  });
  const { node } = nodes[1] as FakeNode;
  const sick = { ...node.CSIControllerPlugins?.['nfs'], Healthy: false } as CsiInfo;
  await world.call('Node.Register', { Node: { ...node, CSIControllerPlugins: { nfs: sick } } });
  await t.rejects(world.call('CSIVolume.Delete', { VolumeIDs: ['v'] }), {
    code: 'E_CONFLICT',
    message: /plugin "nfs" is healthy on no node that reaches z=b/,
  });
  t.notOk(nodes[0]?.asked.some(({ method }) => method === 'ClientCSI.ControllerDelete'));
});
