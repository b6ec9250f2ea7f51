import t from 'tap';
import { type CoreAsk, chooseCores, NO_PINS } from '../../lib/scheduler/feasible/cores.js';
import { allocsFit } from '../../lib/scheduler/fit.js';
import type { Job, Task } from '../../lib/structs/job.js';
import type { Node, NodeDeviceResource } from '../../lib/structs/node.js';
import type { Resources } from '../../lib/structs/resources.js';
import type { NodeTopology } from '../../lib/structs/topology.js';
import { randomInt, seededRandom } from '../../lib/util/random.js';
import { Harness } from './harness.js';
import { mockGroup, mockJob, mockNode, mockResources, mockTask } from './mock.js';

/** NUMA nodes of `each` cores: node 0 has cores 0, 1, …; the farther their numbers, the farther they are. */
function topology(nodes: number, each: number, bus: Record<string, number> = {}): NodeTopology {
  const Nodes = Array.from({ length: nodes }, (_, id) => id);
  return {
    Nodes,
    Distances: Nodes.map((a) => Nodes.map((b) => 10 + 10 * Math.abs(a - b))),
    Cores: Array.from({ length: nodes * each }, (_, ID) => ({
      SocketID: 0,
      NodeID: Math.floor(ID / each),
      ID,
      Grade: true,
      Disable: false,
      BaseSpeed: 1000,
      MaxSpeed: 0,
      GuessSpeed: 0,
    })),
    BusAssociativity: bus,
  };
}
const cores = (from: number, to: number): number[] => Array.from({ length: to - from + 1 }, (_, i) => from + i);
const ask = (task: string, count: number, affinity: CoreAsk['affinity']): CoreAsk => ({
  task,
  count,
  affinity,
  devices: [],
});

t.test('which cores tasks get', async (t) => {
  const two = topology(2, 4);
  const four = topology(4, 2);
  for (const [name, asks, free, on, wanted] of [
    ['none: the lowest', [ask('a', 2, 'none'), ask('b', 1, 'none')], cores(1, 7), two, { a: [1, 2], b: [3] }],
    [
      'prefer: of one node, the fullest that will do',
      [ask('a', 3, 'prefer')],
      [0, 1, 2, 3, 5, 6, 7],
      two,
      { a: [5, 6, 7] },
    ],
    ['prefer: else near each other', [ask('a', 3, 'prefer')], [0, 3, 4, 5], four, { a: [3, 4, 5] }],
    ['require: of one node', [ask('a', 4, 'require')], cores(0, 7), two, { a: [0, 1, 2, 3] }],
    ['require: or not at all', [ask('a', 3, 'require')], [0, 1, 4, 5], two, null],
    [
      'who is choosy chooses first',
      [ask('n', 4, 'none'), ask('r', 4, 'require')],
      cores(0, 7),
      two,
      { n: [4, 5, 6, 7], r: [0, 1, 2, 3] },
    ],
    [
      'the larger before the smaller',
      [ask('s', 2, 'require'), ask('l', 4, 'require')],
      cores(2, 7),
      two,
      { s: [2, 3], l: [4, 5, 6, 7] },
    ],
    ['too few', [ask('a', 9, 'prefer')], cores(0, 7), two, null],
    ['nobody knows the nodes: all are one', [ask('a', 3, 'require')], [1, 5, 7], null, { a: [1, 5, 7] }],
  ] as const) {
    t.same(chooseCores(asks, free, on), wanted, name);
  }
  const soft = (node: number) => ({ ...NO_PINS, soft: new Map([['a', node]]) });
  t.same(chooseCores([ask('a', 2, 'prefer')], cores(0, 7), two, soft(1)), { a: [4, 5] }, 'a wish is heard');
  t.same(chooseCores([ask('a', 3, 'prefer')], [0, 1, 2, 3, 4], two, soft(1)), { a: [0, 1, 2] }, 'as far as it can be');
  const hard = { ...NO_PINS, hard: new Map([['a', 1]]) };
  t.equal(chooseCores([ask('a', 3, 'prefer')], [0, 1, 2, 3, 4], two, hard), null);
});

const gpus = (...buses: (string | null)[]): NodeDeviceResource => ({
  Vendor: 'nvidia',
  Type: 'gpu',
  Name: 'x',
  Instances: buses.map((PciBusID, i) => ({
    ID: `g${i}`,
    Healthy: true,
    HealthDescription: '',
    Locality: PciBusID === null ? null : { PciBusID },
  })),
  Attributes: null,
});
const BUS = { '0000:01:00.0': 0, '0000:81:00.0': 1 };

function machine(index: number, devices: NodeDeviceResource[], on = topology(2, 4, BUS)): Node {
  const node = mockNode(index);
  const Cpu = {
    CpuShares: 8000,
    TotalCpuCores: on.Cores.length,
    ReservableCpuCores: on.Cores.filter(({ Disable }) => !Disable).map(({ ID }) => ID),
  };
  const Processors = { Topology: on };
  return {
    ...node,
    ComputedClass: `v1:${index}`,
    NodeResources: { ...node.NodeResources, Cpu, Processors, Devices: devices },
  };
}

const task = (Name: string, Cores: number, changes: Partial<Resources>): Task =>
  mockTask({ Name, Resources: mockResources({ CPU: 0, Cores, MemoryMB: 1, ...changes }) });
const job = (ID: string, ...Tasks: Task[]): Job => mockJob({ ID, TaskGroups: [mockGroup({ Count: 1, Tasks })] });
const gpuAsk = { Name: 'nvidia/gpu', Count: 1, Constraints: null, Affinities: null };

async function place(harness: Harness, wanted: Job) {
  const registered = harness.register(wanted);
  const evaluation = await harness.run(registered);
  const tasks = harness.live(registered)[0]?.AllocatedResources.Tasks;
  const got =
    tasks &&
    Object.fromEntries(
      Object.entries(tasks).map(([name, { Cpu, Devices }]) => [
        name,
        {
          cores: Cpu.ReservedCores,
          mhz: Cpu.CpuShares,
          devices: (Devices ?? []).flatMap(({ DeviceIDs }) => DeviceIDs),
        },
      ]),
    );
  return { got, evaluation };
}

t.test('a task is put where its card is', async (t) => {
  const harness = new Harness();
  harness.addNode(machine(0, [gpus('0000:01:00.0', '00000000:81:00.0')]));
  const numa = { Affinity: 'require', Devices: ['nvidia/gpu'] };
  const near = (id: string, count: number): Job => job(id, task('web', count, { Devices: [gpuAsk], NUMA: numa }));
  t.same((await place(harness, near('one', 3))).got, { web: { cores: [0, 1, 2], mhz: 3000, devices: ['g0'] } });
  t.same((await place(harness, near('two', 3))).got, { web: { cores: [4, 5, 6], mhz: 3000, devices: ['g1'] } });

  const other = new Harness();
  other.addNode(machine(0, [gpus('0000:01:00.0')]));
  await place(other, job('blocks', task('web', 2, {})));
  const { got, evaluation } = await place(other, near('late', 3));
  t.equal(got, undefined, 'its card is where only two cores are left');
  t.ok(
    evaluation.FailedTGAllocs?.['web']?.DimensionExhausted?.[
      'cores: not as many, with their devices, on one NUMA node'
    ],
  );
  const prefers = job('prefers', task('web', 3, { Devices: [gpuAsk], NUMA: { ...numa, Affinity: 'prefer' } }));
  t.same((await place(other, prefers)).got, { web: { cores: [4, 5, 6], mhz: 3000, devices: ['g0'] } });
});

t.test('of several cards the one is taken that has cores beside it', async (t) => {
  const harness = new Harness();
  harness.addNode(machine(0, [gpus('0000:01:00.0', '0000:81:00.0')]));
  await place(harness, job('blocks', task('web', 3, {})));
  for (const Affinity of ['prefer', 'require']) {
    const fresh = new Harness();
    fresh.addNode(machine(0, [gpus('0000:01:00.0', '0000:81:00.0')]));
    await place(fresh, job('blocks', task('web', 3, {})));
    const wants = job('w', task('web', 2, { Devices: [gpuAsk], NUMA: { Affinity, Devices: ['nvidia/gpu'] } }));
    t.same((await place(fresh, wants)).got, { web: { cores: [4, 5], mhz: 2000, devices: ['g1'] } }, Affinity);
  }
});

t.test('a card whose place nobody knows cannot be required to be near', async (t) => {
  const harness = new Harness();
  harness.addNode(machine(0, [gpus(null)]));
  const wants = (Affinity: string): Job =>
    job(Affinity, task('web', 1, { Devices: [gpuAsk], NUMA: { Affinity, Devices: ['nvidia/gpu'] } }));
  t.equal((await place(harness, wants('require'))).got, undefined);
  t.ok((await place(harness, wants('prefer'))).got);
});

t.test('reserved cores are nobody’s', async (t) => {
  const on = topology(2, 2);
  for (const core of on.Cores.slice(0, 3)) core.Disable = true;
  const harness = new Harness();
  harness.addNode(machine(0, [], on));
  t.equal((await place(harness, job('two', task('web', 2, {})))).got, undefined);
  t.same((await place(harness, job('one', task('web', 1, {})))).got?.['web']?.cores, [3]);
});

t.test('no core is given twice, and what is required is kept, whatever is asked for and stopped', async (t) => {
  for (let seed = 1; seed <= 30; seed++) {
    const random = seededRandom(seed);
    const harness = new Harness();
    harness.addNode(machine(0, [gpus('0000:01:00.0', '0000:81:00.0')]), machine(1, [], topology(4, 3)));
    for (let step = 0; step < 20; step++) {
      const tasks = Array.from({ length: 1 + randomInt(random, 2) }, (_, i) => {
        const Affinity = ['none', 'prefer', 'require'][randomInt(random, 3)] as string;
        const wantsCard = random.next() < 0.2;
        return task(`t${i}`, 1 + randomInt(random, 3), {
          Devices: wantsCard ? [gpuAsk] : null,
          NUMA: { Affinity, Devices: wantsCard ? ['nvidia/gpu'] : null },
        });
      });
      await harness.run(harness.register(job(`j${step}`, ...tasks)));
      for (const alloc of harness.allocs.values()) {
        if (random.next() < 0.1) harness.patch(alloc.ID, { ClientStatus: 'complete', DesiredStatus: 'stop' });
      }
      for (const node of harness.nodes.values()) {
        const live = [...harness.allocs.values()].filter(
          ({ NodeID, ClientStatus }) => NodeID === node.ID && ClientStatus !== 'complete',
        );
        if (!allocsFit(node, live).fits) throw new Error(`seed ${seed}: ${allocsFit(node, live).dimension}`);
        for (const alloc of live) {
          for (const [name, { Cpu, Devices }] of Object.entries(alloc.AllocatedResources.Tasks)) {
            const numa = alloc.Job?.TaskGroups[0]?.Tasks.find(({ Name }) => Name === name)?.Resources.NUMA;
            if (numa?.Affinity !== 'require') continue;
            const found = node.NodeResources.Processors?.Topology?.Cores ?? [];
            const used = new Set((Cpu.ReservedCores ?? []).map((id) => found[id]?.NodeID));
            const card = (Devices ?? []).map(({ DeviceIDs }) => (DeviceIDs[0] === 'g0' ? 0 : 1));
            for (const where of card) used.add(where);
            if (used.size !== 1) throw new Error(`seed ${seed}, ${alloc.JobID}: on nodes ${[...used].join()}`);
          }
        }
      }
    }
  }
  t.pass();
});
