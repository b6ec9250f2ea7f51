import t from 'tap';
import { cpuFacts, speedIn } from '../../lib/client/fingerprint/cpu.js';
import { readTopology } from '../../lib/client/fingerprint/topology.js';
import { HostFiles } from '../../lib/plugin/sdk/host-files.js';
import { formatCoreList, parseCoreList } from '../../lib/structs/topology.js';
import { type HostTree, layHostTree } from '../support/host-tree.js';

// Trees after what Linux shows in /sys/devices/system on such machines.

function cores(count: number, files: (core: number) => HostTree): HostTree {
  const tree: HostTree = { 'sys/devices/system/cpu/online': `0-${count - 1}` };
  for (let core = 0; core < count; core++) {
    for (const [path, text] of Object.entries(files(core))) tree[`sys/devices/system/cpu/cpu${core}/${path}`] = text;
  }
  return tree;
}
const TWO_SOCKETS: HostTree = {
  ...cores(8, (core) => ({
    'topology/physical_package_id': String(core % 2),
    'cpufreq/base_frequency': '2100000',
    'cpufreq/cpuinfo_max_freq': '3900000',
  })),
  'sys/devices/system/node/node0/cpulist': '0,2,4,6',
  'sys/devices/system/node/node0/distance': '10 21 17',
  'sys/devices/system/node/node1/cpulist': '1,3,5,7',
  'sys/devices/system/node/node1/distance': '21 10 28',
  'sys/devices/system/node/node2/cpulist': '',
  'sys/devices/system/node/node2/distance': '17 28 10',
  'sys/bus/pci/devices/0000:81:00.0/class': '0x030200',
  'sys/bus/pci/devices/0000:81:00.0/numa_node': '1',
  'sys/bus/pci/devices/0000:01:00.0/class': '0x120000',
  'sys/bus/pci/devices/0000:01:00.0/numa_node': '0',
  'sys/bus/pci/devices/0000:02:00.0/class': '0x020000',
  'sys/bus/pci/devices/0000:02:00.0/numa_node': '0',
};
const HYBRID: HostTree = {
  ...cores(6, (core) => ({ 'cpufreq/cpuinfo_max_freq': core < 4 ? '5000000' : '3800000' })),
  'sys/devices/cpu_atom/cpus': '4-5',
};
const BIG_LITTLE = cores(6, (core) => ({
  cpu_capacity: core < 4 ? '391' : '1024',
  'cpufreq/cpuinfo_max_freq': core < 4 ? '1416000' : '1800000',
}));
const NO_RULES = { reserved: [], reservable: null };
const facts = { totalMhz: null, reservedMhz: 0, model: 'X' };

t.test('two sockets: nodes, distances, and where the cards are', async (t) => {
  const topology = await readTopology(new HostFiles(layHostTree(t, TWO_SOCKETS)), 1, {
    reserved: [0, 1],
    reservable: null,
  });
  if (!topology) throw new Error('nothing found');
  t.same(topology.Nodes, [0, 1], 'memory alone is no node to run on');
  t.same(topology.Distances, [
    [10, 21],
    [21, 10],
  ]);
  t.same(topology.BusAssociativity, { '0000:01:00.0': 0, '0000:81:00.0': 1 });
  t.match(topology.Cores[3], {
    SocketID: 1,
    NodeID: 1,
    ID: 3,
    Grade: true,
    Disable: false,
    BaseSpeed: 2100,
    MaxSpeed: 3900,
  });
  const { cpu, attributes } = cpuFacts(topology, { ...facts, reservedMhz: 100 });
  t.match(cpu, { totalMhz: 16800, cores: 8, reservable: [2, 3, 4, 5, 6, 7], reservedMhz: 4300 });
  t.same(attributes, {
    'cpu.numcores': '8',
    'cpu.frequency': '2100',
    'cpu.reservablecores': '6',
    'cpu.totalcompute': '16800',
    'cpu.usablecompute': '12500',
    'cpu.modelname': 'X',
    'numa.node.count': '2',
    'numa.node0.cores': '0,2,4,6',
    'numa.node1.cores': '1,3,5,7',
  });
});

t.test('two kinds of cores, by name and by capacity', async (t) => {
  for (const [tree, expected] of [
    [HYBRID, { performance: ['4', '5000'], efficiency: ['2', '3800'], total: '27600' }],
    [BIG_LITTLE, { performance: ['2', '1800'], efficiency: ['4', '1416'], total: '9264' }],
  ] as const) {
    const topology = await readTopology(new HostFiles(layHostTree(t, tree)), 1, NO_RULES);
    if (!topology) throw new Error('nothing found');
    t.match(cpuFacts(topology, facts).attributes, {
      'cpu.numcores': '6',
      'cpu.numcores.performance': expected.performance[0],
      'cpu.numcores.efficiency': expected.efficiency[0],
      'cpu.frequency.performance': expected.performance[1],
      'cpu.frequency.efficiency': expected.efficiency[1],
      'cpu.totalcompute': expected.total,
      'numa.node.count': '1',
      'numa.node0.cores': '0-5',
    });
  }
});

t.test('a kernel that tells little: one node, guessed speed; one that tells nothing: null', async (t) => {
  const bare = await readTopology(
    new HostFiles(
      layHostTree(
        t,
        cores(2, () => ({})),
      ),
    ),
    1234.5,
    NO_RULES,
  );
  t.match(bare, {
    Nodes: [0],
    Distances: [[10]],
    Cores: [
      { ID: 0, GuessSpeed: 1235 },
      { ID: 1, GuessSpeed: 1235 },
    ],
    BusAssociativity: null,
  });
  t.equal(await readTopology(new HostFiles(layHostTree(t)), 1, NO_RULES), null);
});

t.test('a virtual machine without cpufreq: the speed is in /proc/cpuinfo', async (t) => {
  const core = (mhz: string): string =>
    `processor\t: 0\nmodel name\t: AMD EPYC\ncpu MHz\t\t: ${mhz}\ncache size\t: 1024 KB\n\n`;
  t.equal(speedIn(core('2596.136') + core('2601.5')), 2601.5);
  t.equal(speedIn('processor\t: 0\nBogoMIPS\t: 108.00\n'), 0, 'boards with ARM tell none');
  t.equal(speedIn(''), 0);
});

t.test('another total than was found is what the cores are worth a part of', async (t) => {
  const topology = await readTopology(new HostFiles(layHostTree(t, TWO_SOCKETS)), 1, {
    reserved: [],
    reservable: [0, 1],
  });
  if (!topology) throw new Error('nothing found');
  const { cpu } = cpuFacts(topology, { ...facts, totalMhz: 8000 });
  t.match(cpu, { totalMhz: 8000, reservable: [0, 1], reservedMhz: 6000 });
});

t.test('lists of cores', async (t) => {
  for (const [text, list] of [
    ['0-3,8', [0, 1, 2, 3, 8]],
    [' 5 , 1-2', [1, 2, 5]],
    ['', []],
    ['3-1', undefined],
    ['a', undefined],
    ['0-99999', undefined],
    ['-1', undefined],
  ] as const) {
    t.same(parseCoreList(text), list, JSON.stringify(text));
  }
  t.equal(formatCoreList([8, 2, 0, 1, 3]), '0-3,8');
});
