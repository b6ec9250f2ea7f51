import t from 'tap';
import { explainJob } from '../../lib/scheduler/explain/explain.js';
import type { Refusal } from '../../lib/scheduler/explain/refusal.js';
import { refusalSentences } from '../../lib/scheduler/explain/sentences.js';
import type { Constraint } from '../../lib/structs/constraint.js';
import type { TaskGroup } from '../../lib/structs/job.js';
import type { NodeDeviceResource } from '../../lib/structs/node.js';
import { atOnce } from './at-once.js';
import { Harness } from './harness.js';
import { mockAlloc, mockAllocated, mockGroup, mockJob, mockNode, mockResources, mockTask } from './mock.js';

const ASK = { cpuMhz: 100, memoryMb: 100, diskMb: 100, network: null };

/** All there are, by the word of the compiler. */
const KINDS: Record<Refusal['kind'], true> = {
  ...{ status: true, place: true, rule: true, volume: true, distinct: true, property: true, allocations: true },
  ...{
    cpu: true,
    memory: true,
    disk: true,
    port: true,
    address: true,
    'dynamic-ports': true,
    cores: true,
    devices: true,
    numa: true,
  },
};

t.test('each kind of refusal is a sentence, with what would have to change', async (t) => {
  const table = [
    ['status', 'ineligible', [0], '1 of 3 nodes is ineligible', /node eligibility -enable/],
    ['status', 'draining', [0, 0], '2 of 3 nodes are draining', /node drain -disable/],
    ['status', 'down', [0], '1 of 3 nodes is down', /bring the agent on one of them back/],
    ['place', 'node pool "gpu"', [0], '1 of 3 nodes is not in node pool "gpu"', /^change the node_pool of the job,/],
    ['place', 'datacenters a', [0, 0], '2 of 3 nodes are not in datacenters a', /^change the datacenters of the job,/],
    ['rule', '${attr.x} = 1', [0], '1 of 3 nodes does not meet: ${attr.x} = 1', /change the constraint/],
    ['rule', 'missing drivers', [0, 0], '2 of 3 nodes do not meet: missing drivers', /enable or install the driver/],
    [
      'rule',
      'missing secrets provider',
      [0],
      '1 of 3 nodes does not meet: missing secrets provider',
      /common_plugin_dir\/secrets/,
    ],
    ['rule', 'missing network', [0], '1 of 3 nodes does not meet: missing network', /provide what is missing/],
    [
      'distinct',
      'distinct_hosts',
      [0, 0],
      '2 of 3 nodes already run one, and distinct_hosts allows one on each node',
      /lower the count, remove distinct_hosts, or add a node/,
    ],
    ['port', 'port 80', [0], '1 of 3 nodes has the static port 80 in use by ', /ask for another port/],
    [
      'address',
      'wan',
      [0],
      '1 of 3 nodes has no address on the network "wan" to give ports out on',
      /network_interface/,
    ],
    ['dynamic-ports', 'dynamic ports', [0], '1 of 3 nodes has no dynamic port left ()', /max_dynamic_port/],
    [
      'allocations',
      '2',
      [1, 1],
      '2 of 3 nodes have as many allocations as they may have (2)',
      /raise client.node_max_allocs/,
    ],
    [
      'cpu',
      'cpu',
      [30, 40],
      '2 of 3 nodes lack 30 to 40 MHz of free CPU',
      /^free 30 MHz .*resources.cpu from 100 to 70 MHz/,
    ],
    ['cpu', 'cpu', [100], '1 of 3 nodes lacks 100 MHz of free CPU', /^free 100 MHz on one of them, or add a node$/],
    ['memory', 'memory', [1], '1 of 3 nodes lacks 1 MiB of free memory', /resources.memory from 100 to 99 MiB/],
    ['cores', 'cores', [1], '1 of 3 nodes lacks 1 free whole core', /fewer or for resources.cpu/],
    ['cores', 'cores', [1, 3], '2 of 3 nodes lack 1 to 3 free whole cores', /ask for 1 fewer/],
    ['devices', 'devices', [0], '1 of 3 nodes has the devices that are asked for, but others hold them', /stop what/],
    [
      'numa',
      'numa',
      [0, 0],
      '2 of 3 nodes have the cores and devices that are asked for, but not free on one NUMA node',
      /prefer/,
    ],
    [
      'volume',
      'host volume "db" lies on another node now',
      [0],
      '1 of 3 nodes cannot give what is asked for: host volume "db" lies on another node now',
      /volume move/,
    ],
    [
      'volume',
      'did not meet topology requirement',
      [0],
      '1 of 3 nodes cannot give what is asked for: did not meet topology requirement',
      /^move the volume to one of them/,
    ],
    [
      'volume',
      'CSI plugin nfs is unhealthy on client',
      [0],
      '1 of 3 nodes cannot give what is asked for: CSI plugin nfs is unhealthy on client',
      /plugin status/,
    ],
    [
      'volume',
      'CSI volume db has exhausted its available writer claims',
      [0],
      '1 of 3 nodes cannot give what is asked for: CSI volume db has exhausted its available writer claims',
      /access mode/,
    ],
    [
      'property',
      '${attr.rack} = r1 (2 there, 2 allowed)',
      [0],
      '1 of 3 nodes is where as many are as distinct_property allows: ${attr.rack} = r1 (2 there, 2 allowed)',
      /another value/,
    ],
    ['disk', 'disk', [40], '1 of 3 nodes lacks 40 MiB of free disk', /lower ephemeral_disk.size from 100 to 60/],
  ] as const;
  t.same([...new Set(table.map(([kind]) => kind))].sort(), Object.keys(KINDS).sort(), 'none is left out');
  for (const [kind, rule, shorts, sentence, change] of table) {
    const found = refusalSentences(
      shorts.map((short) => ({ kind, rule, short })),
      3,
      ASK,
    );
    t.equal(found.Sentence, sentence);
    t.match(found.Change, change);
    t.equal(found.Nodes, shorts.length);
  }
});

const whyOf = (harness: Harness, group: Partial<TaskGroup>, Constraints: Constraint[] | null = null): string[] => {
  const job = harness.register(mockJob({ ID: 'own', Constraints, TaskGroups: [mockGroup({ Count: 2, ...group })] }));
  const input = { state: harness.snapshot(), evals: [], deployments: [] };
  return atOnce(explainJob(job, input)).Groups[0]?.Refusals.map(({ Sentence }) => Sentence) ?? [];
};

t.test('of a system job only nodes without one are told of', async (t) => {
  const harness = new Harness();
  harness.addNode(mockNode(1), mockNode(2), mockNode(3));
  const Tasks = [mockTask({ Resources: mockResources({ CPU: 2000 }) })];
  const job = harness.register(
    mockJob({ ID: 'own', Type: 'system', Constraints: null, TaskGroups: [mockGroup({ Count: 1, Tasks })] }),
  );
  const other = harness.register(mockJob({ ID: 'other', Priority: 100 }));
  const [first = '', second = ''] = [...harness.nodes.keys()];
  const AllocatedResources = mockAllocated({ cpu: 3000 });
  harness.addAlloc(
    mockAlloc(other, { NodeID: first, AllocatedResources }),
    mockAlloc(job, { NodeID: second, TaskGroup: 'web', AllocatedResources }),
  );
  const input = { state: harness.snapshot(), evals: [], deployments: [] };
  const group = atOnce(explainJob(job, input)).Groups[0];
  t.match(group, { Wanted: 3, Placed: 1, NodesWithRoom: 1 });
  t.match(group?.Refusals, [{ Nodes: 1, Sentence: /^1 of 3 nodes lacks \d+ MHz of free CPU$/ }]);
});

t.test('what the scheduler counts as short is told as short', async (t) => {
  const harness = new Harness();
  harness.addNode(mockNode(1), mockNode(2));
  const other = harness.register(mockJob({ ID: 'other' }));
  const [first] = [...harness.nodes.keys()];
  harness.addAlloc(
    mockAlloc(other, { NodeID: first ?? '', AllocatedResources: mockAllocated({ cores: [0, 1, 2], cpu: 0 }) }),
  );
  const cores = (Cores: number) => ({ Tasks: [mockTask({ Resources: mockResources({ Cores }) })] });
  t.same(whyOf(harness, cores(2)), ['1 of 2 nodes lacks 1 free whole core']);
  t.same(whyOf(harness, cores(6)), ['2 of 2 nodes have 2 whole cores less than is asked for, also when empty']);
});

t.test('who has a static port is named, and a node without a dynamic port says so', async (t) => {
  const harness = new Harness();
  const few = mockNode(1);
  const NodeResources = { ...few.NodeResources, MinDynamicPort: 20_000, MaxDynamicPort: 20_001 };
  harness.addNode({ ...few, NodeResources });
  const port = (Label: string, Value: number) => ({
    Label,
    Value,
    To: 0,
    HostNetwork: 'default',
    IgnoreCollision: false,
  });
  const network = {
    ...{ Mode: '', Device: '', CIDR: '', IP: '', Hostname: '', MBits: null, DNS: null, CNI: null },
    ...{ ReservedPorts: null, DynamicPorts: null },
  };
  const held = (ID: string, Value: number) =>
    mockAlloc(harness.register(mockJob({ ID })), {
      NodeID: few.ID,
      AllocatedResources: mockAllocated({ cpu: 1, ports: [{ ...port('p', Value), HostIP: '10.0.0.1' }] }),
    });
  harness.addAlloc(held('proxy', 80), held('web', 20_000));
  const dynamic = (count: number) => Array.from({ length: count }, (_, i) => port(`d${i}`, 0));
  t.same(whyOf(harness, { Networks: [{ ...network, ReservedPorts: [port('http', 80)] }] }), [
    '1 of 1 node has the static port 80 in use by job proxy',
  ]);
  t.same(whyOf(harness, { Networks: [{ ...network, DynamicPorts: dynamic(2) }] }), [
    '1 of 1 node has no dynamic port left (20000 to 20001)',
  ]);
  t.same(whyOf(harness, { Networks: [{ ...network, DynamicPorts: dynamic(1) }] }), []);

  const cut = new Harness();
  const Attributes = { ...few.Attributes, 'unique.network.reason': 'no interface has an address but loopback' };
  cut.addNode({ ...few, Attributes, NodeResources: { ...NodeResources, Networks: null, NodeNetworks: null } });
  t.same(whyOf(cut, { Networks: [{ ...network, ReservedPorts: [port('http', 80)] }] }), [
    '1 of 1 node has no address on the network "default" to give ports out on (there: no interface has an address but loopback)',
  ]);
});

t.test('what is there instead of what is asked for is told', async (t) => {
  const harness = new Harness();
  const node = mockNode(1);
  const sick = { ...(node.Drivers['mock_driver'] as object), Healthy: false, HealthDescription: 'no daemon' } as never;
  const data = { Name: 'data', Path: '/d', ReadOnly: true, ID: '' };
  const Attributes = {
    ...node.Attributes,
    'unique.cni.config_dir': '/opt/cni/config',
    'unique.cni.config_problems': '/opt/cni/config/10-wan.conflist is not JSON',
    'unique.cni.bridge_problem': 'there is no program "iptables" on the PATH of its agent',
  };
  const kind = (Vendor: string, Type: string, Name: string, found: object): NodeDeviceResource => ({
    ...{ Vendor, Type, Name, Attributes: found as NodeDeviceResource['Attributes'] },
    Instances: [{ ID: Name, Healthy: true, HealthDescription: '', Locality: null }],
  });
  const Devices = [kind('amd', 'gpu', 'navi', { memory: { Int: 8192, Unit: 'MiB' } }), kind('intel', 'npu', 'vpu', {})];
  const large: Constraint = { LTarget: '${device.attr.memory}', Operand: '>=', RTarget: '40 GiB' };
  const NodeResources = { ...node.NodeResources, Devices };
  harness.addNode({
    ...node,
    Attributes,
    NodeResources,
    Drivers: { ...node.Drivers, docker: sick },
    HostVolumes: { data },
  });
  const network = {
    ...{ Device: '', CIDR: '', IP: '', Hostname: '', MBits: null, DNS: null, CNI: null },
    ...{ ReservedPorts: null, DynamicPorts: null },
  };
  const task = (changes: object) => ({ Tasks: [mockTask(changes)] });
  const volume = (Source: string) => ({
    v: { Name: 'v', Type: 'host', Source, ReadOnly: false, Sticky: false, AccessMode: '', AttachmentMode: '' },
  });
  const gpu = { Name: 'nvidia/gpu', Count: 1, Constraints: null, Affinities: null };
  for (const [group, sentence] of [
    [task({ Driver: 'podman' }), 'does not meet: missing drivers (there: no "podman")'],
    [task({ Driver: 'docker' }), 'does not meet: missing drivers (there: "docker" is not healthy (no daemon))'],
    [task({ Resources: mockResources({ Devices: [gpu] }) }), 'does not meet: missing devices (there: no "nvidia/gpu")'],
    [
      task({ Resources: mockResources({ Devices: [{ ...gpu, Name: 'amd/gpu', MemoryMB: 9000 }] }) }),
      'does not meet: missing devices (there: "amd/gpu/navi" has 8192 MiB of memory, 9000 are asked for)',
    ],
    [
      task({ Resources: mockResources({ Devices: [{ ...gpu, Name: 'npu', Share: 50 }] }) }),
      'does not meet: missing devices (there: the memory of "intel/npu/vpu" is not known: it is given out whole only)',
    ],
    [
      task({ Resources: mockResources({ Devices: [{ ...gpu, Name: 'amd/gpu', Constraints: [large] }] }) }),
      'does not meet: missing devices (there: "amd/gpu/navi" does not meet ${device.attr.memory} >= 40 GiB (it has 8192MiB))',
    ],
    [
      { Networks: [{ ...network, Mode: 'cni/lan' }] },
      'does not meet: missing network (there: no "cni/lan": no file in its cni_config_dir /opt/cni/config has a network of that name; /opt/cni/config/10-wan.conflist is not JSON)',
    ],
    [
      { Networks: [{ ...network, Mode: 'macvlan' }] },
      'does not meet: missing network (there: no "macvlan": there is no program "iptables" on the PATH of its agent)',
    ],
    [{ Volumes: volume('logs') }, 'cannot give what is asked for: missing compatible host volumes (there: no "logs")'],
    [
      { Volumes: volume('data') },
      'cannot give what is asked for: missing compatible host volumes (there: "data" is read-only, and read_only = true is not asked for)',
    ],
  ] as const) {
    t.same(whyOf(harness, group as Partial<TaskGroup>), [`1 of 1 node ${sentence}`]);
  }
  const arm: Constraint[] = [{ LTarget: '${attr.arch}', Operand: '=', RTarget: 'arm64' }];
  t.same(whyOf(harness, {}, arm), ['1 of 1 node does not meet: ${attr.arch} = arm64 (it has x86)']);
  const unset: Constraint[] = [{ LTarget: '${attr.arch}', Operand: 'is_not_set', RTarget: '' }];
  t.same(whyOf(harness, {}, unset), ['1 of 1 node does not meet: ${attr.arch} is_not_set (it has x86)']);
});

t.test('what several nodes have instead is told as a list, and what they lack as sentences of their own', async (t) => {
  const harness = new Harness();
  for (const [i, arch] of ['x86', 'arm', 'mips'].entries()) {
    const node = mockNode(i, { ComputedClass: `v1:${i}` });
    const data = { Name: 'data', Path: '/srv/data', ReadOnly: true, ID: '' };
    const HostVolumes = i === 0 ? { data } : node.HostVolumes;
    harness.addNode({ ...node, Attributes: { ...node.Attributes, arch }, HostVolumes });
  }
  const risc: Constraint[] = [{ LTarget: '${attr.arch}', Operand: '=', RTarget: 'risc' }];
  t.match(whyOf(harness, {}, risc), [/\(they have \w+, \w+ and \w+\)$/]);
  const v = { Name: 'v', Type: 'host', Source: 'data', ReadOnly: false, Sticky: false };
  const Volumes = { v: { ...v, AccessMode: '', AttachmentMode: '' } } as never;
  t.match(whyOf(harness, { Volumes }), [/"data" is read-only, and read_only = true is not asked for/]);
  t.match(whyOf(harness, { Volumes }), [/\(there: [^;]+; [^;]+\)$/]);
});

t.test('distinct_property is told by value, as the scheduler holds to it', async (t) => {
  const harness = new Harness();
  for (const [i, rack] of ['a', 'a', 'b'].entries()) {
    const node = mockNode(i, { ComputedClass: `v1:${i}` });
    harness.addNode({ ...node, Attributes: { ...node.Attributes, rack } });
  }
  const distinct: Constraint[] = [{ LTarget: '${attr.rack}', Operand: 'distinct_property', RTarget: '1' }];
  const small = [mockTask({ Resources: mockResources({ CPU: 10, MemoryMB: 10 }) })];
  const job = harness.register(
    mockJob({ ID: 'own', Constraints: distinct, TaskGroups: [mockGroup({ Count: 3, Tasks: small })] }),
  );
  await harness.run(job);
  t.equal(harness.live(job).length, 2);
  const input = { state: harness.snapshot(), evals: [], deployments: [] };
  const sentences = atOnce(explainJob(job, input)).Groups[0]?.Refusals.map(({ Sentence }) => Sentence);
  t.same(sentences, [
    '2 of 3 nodes are where as many are as distinct_property allows: ${attr.rack} = a (1 there, 1 allowed)',
    '1 of 3 nodes is where as many are as distinct_property allows: ${attr.rack} = b (1 there, 1 allowed)',
  ]);
});
