import t from 'tap';
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
