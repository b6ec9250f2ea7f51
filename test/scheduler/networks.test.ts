import t from 'tap';
import type { Job } from '../../lib/structs/job.js';
import type { Node, NodeNetworkResource } from '../../lib/structs/node.js';
import type { NetworkResource, Port } from '../../lib/structs/resources.js';
import { Harness } from './harness.js';
import { mockJob, mockNode } from './mock.js';

const PLUGINS = ['bridge', 'firewall', 'host-local', 'loopback', 'portmap'];
let classes = 0;

/** A node of a class of its own that has the modes, the plugins and further addresses. */
function node(
  index: number,
  has: { modes?: string[]; plugins?: string[]; version?: string; addresses?: NodeNetworkResource['Addresses'] },
): Node {
  const plain = mockNode(index, { ComputedClass: `v1:${++classes}` });
  const { modes = [], plugins = [], version = 'v1.4.0', addresses = [] } = has;
  const bare = modes.map((Mode) => ({ Mode, Device: '', MacAddress: '', Speed: 0, Addresses: [] }));
  const [host] = plain.NodeResources.NodeNetworks as [NodeNetworkResource];
  const versions = plugins.map((name) => [`plugins.cni.version.${name}`, version]);
  return {
    ...plain,
    Attributes: { ...plain.Attributes, ...Object.fromEntries(versions) },
    NodeResources: {
      ...plain.NodeResources,
      NodeNetworks: [{ ...host, Addresses: [...host.Addresses, ...addresses] }, ...bare],
    },
  };
}

function address(Alias: string, Address: string, ReservedPorts = ''): NodeNetworkResource['Addresses'][0] {
  return { Family: 'ipv4', Alias, Address, Gateway: '', ReservedPorts };
}

function port(Label: string, Value: number, HostNetwork = 'default'): Port {
  return { Label, Value, To: 0, HostNetwork, IgnoreCollision: false };
}

function jobWith(network: Partial<NetworkResource>, count = 1): Job {
  const whole = { Mode: '', Device: '', CIDR: '', IP: '', Hostname: '', MBits: null, DNS: null, CNI: null };
  const job = mockJob();
  const [group] = job.TaskGroups as [Job['TaskGroups'][0]];
  const networks = [{ ...whole, ReservedPorts: null, DynamicPorts: null, ...network }];
  return { ...job, TaskGroups: [{ ...group, Count: count, Networks: networks }] };
}

/** Where the job's allocations go, and why they do not go elsewhere. */
async function place(nodes: Node[], job: Job) {
  const harness = new Harness();
  harness.addNode(...nodes);
  const done = await harness.run(harness.register(job));
  const live = harness.live(job);
  return {
    nodes: live.map(({ NodeName }) => NodeName).sort(),
    ports: live.flatMap(({ AllocatedResources }) => AllocatedResources.Shared.Ports ?? []),
    filtered: done.FailedTGAllocs?.['web']?.ConstraintFiltered,
    exhausted: done.FailedTGAllocs?.['web']?.DimensionExhausted,
  };
}

t.test('a bridge goes where all of its plugins are, and what is missing is named as Nomad names it', async (t) => {
  const bridge = jobWith({ Mode: 'bridge' });
  const without = PLUGINS.filter((name) => name !== 'portmap');
  t.same((await place([node(0, {}), node(1, { modes: ['bridge'], plugins: PLUGINS })], bridge)).nodes, ['n1']);
  t.same((await place([node(0, { modes: ['bridge'], plugins: without })], bridge)).filtered, {
    '${attr.plugins.cni.version.portmap} semver >= 0.4.0': 1,
  });
  t.same((await place([node(0, { modes: ['bridge'], plugins: PLUGINS, version: '0.3.1' })], bridge)).filtered, {
    '${attr.plugins.cni.version.bridge} semver >= 0.4.0': 1,
  });
  t.same(
    (await place([node(0, { plugins: PLUGINS })], bridge)).filtered,
    { 'missing network': 1 },
    'no kernel module, or not root',
  );
});

t.test('a CNI network goes where it is configured; none goes anywhere', async (t) => {
  const nodes = [node(0, {}), node(1, { modes: ['cni/lan', 'bridge'], plugins: PLUGINS })];
  t.same((await place(nodes, jobWith({ Mode: 'cni/lan' }))).nodes, ['n1']);
  t.same((await place(nodes, jobWith({ Mode: 'cni/wan' }))).filtered, { 'missing network': 2 });
  t.equal((await place(nodes, jobWith({ Mode: 'none' }, 2))).nodes.length, 2);
});

t.test('a port is given out on the address of its host network, beside those that it keeps for itself', async (t) => {
  const nodes = [node(0, {}), node(1, { addresses: [address('vpn', '10.8.0.1', '9000-9001')] })];
  const mixed = { ReservedPorts: [port('web', 80), port('ssh', 80, 'vpn')], DynamicPorts: [port('any', 0, 'vpn')] };
  const placed = await place(nodes, jobWith(mixed));
  t.same(placed.nodes, ['n1']);
  t.match(placed.ports, [
    { Label: 'web', Value: 80, HostIP: '10.0.0.1' },
    { Label: 'ssh', Value: 80, HostIP: '10.8.0.1' },
    { Label: 'any', HostIP: '10.8.0.1' },
  ]);
  const { filtered } = await place([node(0, {})], jobWith(mixed));
  t.same(filtered, { 'missing host network "vpn" for port "ssh"': 1 });
  const reserved = await place(nodes, jobWith({ ReservedPorts: [port('x', 9001, 'vpn')] }));
  t.match(reserved.exhausted, { 'network: reserved port collision x=9001': 1 });
  t.same((await place(nodes, jobWith({ ReservedPorts: [port('x', 9001)] }))).nodes.length, 1, 'elsewhere it is free');
});

t.test('a static port is there once on a node, unless its group ignores that', async (t) => {
  const nodes = [node(0, {})];
  const twice = await place(nodes, jobWith({ ReservedPorts: [port('web', 80)] }, 2));
  t.same(twice.nodes, ['n0']);
  t.same(twice.exhausted, { 'network: reserved port collision web=80': 1 });
  const shared = { ...port('web', 80), IgnoreCollision: true };
  t.same((await place(nodes, jobWith({ ReservedPorts: [shared] }, 2))).nodes, ['n0', 'n0']);
});
