import t from 'tap';
import { type ClientConfig, defaultClientConfig } from '../../lib/client/config.js';
import { versionFingerprint } from '../../lib/client/fingerprint/version.js';
import { buildNode } from '../../lib/client/node.js';
import type { Node } from '../../lib/structs/node.js';

async function nodeOf(changes: Partial<ClientConfig>): Promise<Node> {
  const config = defaultClientConfig({ stateDir: null, allocDir: '/a', nodeName: 'n', ...changes });
  return buildNode({
    config,
    identity: { nodeId: 'id', secretId: 'secret' },
    httpAddr: '127.0.0.1:4646',
    facts: [await versionFingerprint.run({ config, httpAddr: '127.0.0.1:4646', version: '1' })],
    drivers: {},
    devices: null,
    meta: {},
    hostVolumes: {},
    csi: { controllers: null, nodes: null },
  });
}

t.test('what the configuration says of placements is part of the node', async (t) => {
  const plain = await nodeOf({});
  t.match(plain, { SchedulingEligibility: 'eligible', Attributes: { 'nomad.service_discovery': 'true' } });
  t.notOk('NodeMaxAllocs' in plain, 'a server of an earlier version sees what it knows');
  const careful = await nodeOf({ nodeMaxAllocs: 3, defaultIneligible: true, serviceDiscovery: false });
  t.match(careful, {
    NodeMaxAllocs: 3,
    SchedulingEligibility: 'ineligible',
    Attributes: { 'nomad.service_discovery': 'false' },
  });
});
