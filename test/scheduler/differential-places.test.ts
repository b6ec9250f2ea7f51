// What hangs on the node itself, against rules that are slow and plain: the configuration of its pool, the topology of CSI
// volumes, and whole cores of several tasks with their devices on NUMA nodes. Every node is judged anew for every placement.
import t from 'tap';
import { allocsFit } from '../../lib/scheduler/fit.js';
import { schedule } from '../../lib/scheduler/schedule.js';
import type { Allocation } from '../../lib/structs/allocation.js';
import type { CsiTopology, StoredCsiVolume } from '../../lib/structs/csi.js';
import type { Job, TaskGroup } from '../../lib/structs/job.js';
import type { Node, NodeDeviceResource } from '../../lib/structs/node.js';
import type { NodePool } from '../../lib/structs/node-pool.js';
import type { VolumeRequest } from '../../lib/structs/volume.js';
import { type Random, randomInt, seededRandom } from '../../lib/util/random.js';
import { csiInfo, nodeInfo } from '../server/volume-world.js';
import { Harness } from './harness.js';
import { mockAlloc, mockAllocated, mockEval, mockGroup, mockJob, mockNode, mockResources, mockTask } from './mock.js';

const SEEDS = 60;
/** Where one of several tasks took the card that another one needed. */
const CARD_SEEDS = [768, 1080, 1580, 1604];
const MHZ = 1000;
const pick = <T>(random: Random, ...from: readonly T[]): T => from[randomInt(random, from.length)] as T;
const times = <T>(count: number, make: (index: number) => T): T[] => Array.from({ length: count }, (_, i) => make(i));

/** What is taken of a node so far, as the plain rules count it. */
interface Load {
  readonly node: Node;
  cpu: number;
  memory: number;
  own: number;
}

const loadOf = (node: Node): Load => ({ node, cpu: 0, memory: 0, own: 0 });

/** The formulas; undefined where it does not fit. */
function scoreOf(
  { node, cpu, memory, own }: Load,
  ask: { cpu: number; memory: number },
  { count, algorithm }: { count: number; algorithm: string },
): number | undefined {
  const { Cpu, Memory } = node.NodeResources;
  const freeCpu = 1 - (cpu + ask.cpu) / Cpu.CpuShares;
  const freeMemory = 1 - (memory + ask.memory) / Memory.MemoryMB;
  if (freeCpu < 0 || freeMemory < 0) return undefined;
  const fill = 10 ** freeCpu + 10 ** freeMemory;
  const fit = algorithm === 'spread' ? fill - 2 : 20 - fill;
  const scores = [Math.min(18, Math.max(0, fit)) / 18, node.Attributes['rack'] === 'r1' ? 1 : 0];
  if (own > 0) scores.push(-(own + 1) / count);
  return scores.reduce((sum, score) => sum + score, 0) / scores.length;
}

/** With an affinity every node is looked at, so the best one must be found. */
const AFFINITIES = [{ LTarget: '${attr.rack}', Operand: '=', RTarget: 'r1', Weight: 50 }];

function randomNode(random: Random, index: number, changes: Partial<Node> = {}): Node {
  const node = mockNode(index, { ComputedClass: `v1:${index}`, ...changes });
  return { ...node, Attributes: { ...node.Attributes, rack: `r${randomInt(random, 3)}` } };
}

const placedOf = (harness: Harness, job: Job): Map<string, Allocation> =>
  new Map(harness.live(job).map((alloc) => [alloc.Name, alloc]));

t.test('the configuration of a pool stands above the one for all', async (t) => {
  let compared = 0;
  for (let seed = 1; seed <= SEEDS; seed++) {
    const random = seededRandom(seed);
    const harness = new Harness();
    const general = pick(random, 'binpack' as const, 'spread' as const);
    const isMore = random.next() < 0.5;
    harness.config = {
      ...harness.config,
      SchedulerAlgorithm: general,
      MemoryOversubscriptionEnabled: isMore,
      // 0: nobody has written it, and few nodes are spread.
      ModifyIndex: pick(random, 0, 1),
    };
    const own = {
      SchedulerAlgorithm: pick(random, '' as const, 'binpack' as const, 'spread' as const),
      MemoryOversubscriptionEnabled: pick(random, null, true, false),
    };
    const pools = new Map<string, NodePool | undefined>([
      ['gpu', { Name: 'gpu', SchedulerConfiguration: pick(random, null, own) } as NodePool],
      ['default', { Name: 'default', SchedulerConfiguration: null } as NodePool],
    ]);
    const nodes = times(2 + randomInt(random, 9), (i) =>
      randomNode(random, i, { NodePool: pick(random, 'default', 'gpu', 'gpu') }),
    );
    harness.addNode(...nodes);
    const NodePoolOfJob = pick(random, 'gpu', 'gpu', 'default', 'all');
    const ask = { cpu: 100 + randomInt(random, 900), memory: 200 };
    const Count = 1 + randomInt(random, 15);
    const Resources = mockResources({ CPU: ask.cpu, MemoryMB: ask.memory, MemoryMaxMB: 400 });
    const job = harness.register(
      mockJob({
        ...{ ID: 'own', NodePool: NodePoolOfJob, Affinities: AFFINITIES },
        TaskGroups: [mockGroup({ Count, Tasks: [mockTask({ Resources })] })],
      }),
    );
    const state = { ...harness.snapshot(), nodePoolByName: (name: string) => pools.get(name) };
    await schedule(mockEval(job), { state, planner: harness, now: harness.now, random: harness.random });
    const special = pools.get(NodePoolOfJob)?.SchedulerConfiguration;
    const few = harness.config.ModifyIndex === 0 && nodes.length < 5;
    const algorithm = special?.SchedulerAlgorithm || (few ? 'spread' : general);
    const most = (special?.MemoryOversubscriptionEnabled ?? isMore) ? 400 : 0;
    const loads = nodes
      .filter(({ NodePool }) => NodePoolOfJob === 'all' || NodePool === NodePoolOfJob)
      .map((node) => loadOf(node));
    const placed = placedOf(harness, job);
    for (const name of times(Count, (i) => `own.web[${i}]`)) {
      const scores = loads.map((load) => scoreOf(load, ask, { count: Count, algorithm }) ?? Number.NEGATIVE_INFINITY);
      const best = Math.max(...scores, Number.NEGATIVE_INFINITY);
      const alloc = placed.get(name);
      compared++;
      if (!alloc) {
        t.equal(best, Number.NEGATIVE_INFINITY, `seed ${seed}: ${name} would fit`);
        continue;
      }
      const at = loads.findIndex(({ node }) => node.ID === alloc.NodeID);
      t.equal(scores[at]?.toFixed(9), best.toFixed(9), `seed ${seed}: ${name} by ${algorithm}`);
      t.equal(alloc.AllocatedResources.Tasks['web']?.Memory.MemoryMaxMB, most, `seed ${seed}: ${name}`);
      const load = loads[at] as Load;
      load.cpu += ask.cpu;
      load.memory += ask.memory;
      load.own++;
    }
  }
  t.ok(compared > SEEDS * 5, `${compared} placements compared`);
});

t.test('CSI volumes take an allocation to a node from which they can be reached, and to no other', async (t) => {
  let compared = 0;
  let refused = 0;
  for (let seed = 1; seed <= SEEDS; seed++) {
    const random = seededRandom(seed);
    const harness = new Harness();
    const segments = (): CsiTopology => ({
      Segments: { zone: pick(random, 'a', 'b', 'c'), ...(random.next() < 0.4 ? { rack: pick(random, '1', '2') } : {}) },
    });
    const nodes = times(2 + randomInt(random, 8), (i) => {
      const NodeInfo = {
        ...nodeInfo(`n${i}`),
        AccessibleTopology: random.next() < 0.9 ? segments() : null,
        MaxVolumes: pick(random, 0, 0, 1, 2, 3),
      };
      const plugin = csiInfo({ Healthy: random.next() < 0.9, NodeInfo: random.next() < 0.95 ? NodeInfo : null });
      return randomNode(random, i, { CSINodePlugins: random.next() < 0.85 ? { nfs: plugin } : null });
    });
    harness.addNode(...nodes);
    const Count = 1 + randomInt(random, 8);
    const names = times(Count, (i) => `own.web[${i}]`);
    const volumes = new Map<string, StoredCsiVolume>();
    const PluginID = pick(random, 'nfs', 'nfs', 'nfs', 'ebs');
    for (const [i] of names.entries()) {
      if (random.next() < 0.1) continue;
      const ID = `data[${i}]`;
      volumes.set(ID, {
        ...{ ID, Name: ID, Namespace: 'default', PluginID, Claims: {} },
        Topologies: pick<CsiTopology[] | null>(random, null, [], [segments()], [segments(), segments()]),
        RequestedCapabilities: [{ AccessMode: 'single-node-writer', AttachmentMode: 'file-system' }],
      } as unknown as StoredCsiVolume);
    }
    const ask = { cpu: 100 + randomInt(random, 1500), memory: 200 };
    const request: VolumeRequest = {
      ...{ Name: 'data', Type: 'csi', Source: 'data', ReadOnly: false, Sticky: false, PerAlloc: true },
      ...{ AccessMode: 'single-node-writer', AttachmentMode: 'file-system', MountOptions: null },
    };
    const job = harness.register(
      mockJob({
        ...{ ID: 'own', Affinities: AFFINITIES },
        TaskGroups: [
          mockGroup({
            Count,
            Volumes: { data: request },
            Tasks: [mockTask({ Resources: mockResources({ CPU: ask.cpu, MemoryMB: ask.memory }) })],
          }),
        ],
      }),
    );
    const state = {
      ...harness.snapshot(),
      csiVolumeById: (_: string, id: string) => volumes.get(id),
      claimedCsiVolumes: () => [],
      allocsWithCsi: () => [],
    };
    await schedule(mockEval(job), { state, planner: harness, now: harness.now, random: harness.random });
    const loads = nodes.map((node) => loadOf(node));
    const placed = placedOf(harness, job);
    const reaches = ({ node, own }: Load, volume: StoredCsiVolume | undefined): boolean => {
      const plugin = volume && node.CSINodePlugins?.[volume.PluginID];
      if (!plugin?.Healthy) return false;
      const max = plugin.NodeInfo?.MaxVolumes ?? 0;
      // Each has a volume of its own.
      if (max > 0 && own >= max) return false;
      const where = plugin.NodeInfo?.AccessibleTopology?.Segments ?? {};
      const from = volume?.Topologies ?? [];
      return (
        from.length === 0 ||
        from.some(({ Segments }) => Object.keys(Segments).every((key) => where[key] === Segments[key]))
      );
    };
    for (const [i, name] of names.entries()) {
      const volume = volumes.get(`data[${i}]`);
      const scores = loads.map((load) =>
        reaches(load, volume)
          ? (scoreOf(load, ask, { count: Count, algorithm: 'binpack' }) ?? Number.NEGATIVE_INFINITY)
          : Number.NEGATIVE_INFINITY,
      );
      const best = Math.max(...scores);
      const alloc = placed.get(name);
      compared++;
      if (!alloc) {
        refused++;
        t.equal(best, Number.NEGATIVE_INFINITY, `seed ${seed}: ${name} would fit`);
        continue;
      }
      const at = loads.findIndex(({ node }) => node.ID === alloc.NodeID);
      t.equal(scores[at]?.toFixed(9), best.toFixed(9), `seed ${seed}: ${name}`);
      const load = loads[at] as Load;
      load.cpu += ask.cpu;
      load.memory += ask.memory;
      load.own++;
    }
  }
  t.ok(compared > SEEDS * 3 && refused > SEEDS / 2, `${compared} placements compared, ${refused} of them refused`);
});

/** A machine of up to three NUMA nodes with cards on their buses, and others' cores on it. */
function numaNode(random: Random, index: number): Node {
  const Nodes = times(1 + randomInt(random, 3), (i) => i);
  const sizes = Nodes.map(() => 1 + randomInt(random, 6));
  const owners = sizes.flatMap((size, node) => times(size, () => node));
  const Cores = owners.map((NodeID, ID) => ({
    ...{ SocketID: 0, NodeID, ID, Grade: true, Disable: false },
    ...{ BaseSpeed: MHZ, MaxSpeed: 0, GuessSpeed: 0 },
  }));
  const BusAssociativity: Record<string, number> = {};
  const Instances = times(randomInt(random, 4), (i) => {
    const PciBusID = `0000:0${i}:00.0`;
    if (random.next() < 0.9) BusAssociativity[PciBusID] = pick(random, ...Nodes);
    return { ID: `card-${index}-${i}`, Healthy: random.next() < 0.9, HealthDescription: '', Locality: { PciBusID } };
  });
  const Devices: NodeDeviceResource[] = [{ Vendor: 'nvidia', Type: 'gpu', Name: 'a', Instances, Attributes: null }];
  const ReservableCpuCores = owners.map((_, ID) => ID).filter(() => random.next() < 0.9);
  const Cpu = { CpuShares: owners.length * MHZ, TotalCpuCores: owners.length, ReservableCpuCores };
  const Distances = Nodes.map((a) => Nodes.map((b) => 10 + 10 * Math.abs(a - b)));
  const Processors = { Topology: { Nodes, Distances, Cores, BusAssociativity } };
  const node = randomNode(random, index);
  return { ...node, NodeResources: { ...node.NodeResources, Cpu, Devices, Processors } };
}

interface CoreWish {
  readonly task: string;
  readonly cores: number;
  readonly requires: boolean;
  readonly cards: number;
  readonly isNear: boolean;
}

/** All ways to give the wishes that require a NUMA node one, tried one by one. */
function canHave(
  node: Node,
  wishes: readonly CoreWish[],
  free: ReadonlySet<number>,
  cards: ReadonlySet<string>,
): boolean {
  const { Processors, Devices } = node.NodeResources;
  const topology = Processors?.Topology;
  if (!topology) return false;
  const left = topology.Nodes.map(
    (numa) => topology.Cores.filter(({ ID, NodeID }) => NodeID === numa && free.has(ID)).length,
  );
  const where = (Devices?.[0]?.Instances ?? [])
    .filter(({ ID, Healthy }) => Healthy && cards.has(ID))
    .map(({ Locality }) => topology.BusAssociativity?.[Locality?.PciBusID ?? '']);
  const counted = wishes.reduce((sum, wish) => sum + wish.cores, 0);
  if (counted > left.reduce((sum, count) => sum + count, 0)) return false;
  if (wishes.reduce((sum, wish) => sum + wish.cards, 0) > where.length) return false;
  const strict = wishes.filter(({ requires }) => requires);
  const tryFrom = (at: number, cores: readonly number[], gone: readonly (number | undefined)[]): boolean => {
    const wish = strict[at];
    if (!wish) return true;
    return topology.Nodes.some((numa) => {
      if ((cores[numa] ?? 0) < wish.cores) return false;
      const wanted = wish.isNear ? wish.cards : 0;
      const taken = gone.filter((one) => one === numa).length;
      // With one node for all, where a device is makes no difference.
      if (topology.Nodes.length > 1 && where.filter((one) => one === numa).length - taken < wanted) return false;
      const rest = cores.map((count, i) => (i === numa ? count - wish.cores : count));
      return tryFrom(at + 1, rest, [...gone, ...times(wanted, () => numa)]);
    });
  };
  return tryFrom(0, left, []);
}

t.test('several tasks with cores and devices: one is refused only where no node has a way to serve all', async (t) => {
  let compared = 0;
  let refused = 0;
  for (const seed of [...times(SEEDS, (i) => i + 1), ...CARD_SEEDS]) {
    const random = seededRandom(seed);
    const harness = new Harness();
    const nodes = times(1 + randomInt(random, 5), (i) => numaNode(random, i));
    harness.addNode(...nodes);
    const other = harness.register(mockJob({ ID: 'other' }));
    for (const { ID, NodeResources } of nodes) {
      const cores = (NodeResources.Cpu.ReservableCpuCores ?? []).filter(() => random.next() < 0.2);
      const held = mockAllocated({ cpu: cores.length * MHZ, memory: 10, cores });
      if (cores.length > 0) harness.addAlloc(mockAlloc(other, { NodeID: ID, AllocatedResources: held }));
    }
    const wishes = times<CoreWish>(1 + randomInt(random, 4), (i) => {
      const cards = pick(random, 0, 0, 1, 2);
      return {
        ...{ task: `t${i}`, cores: 1 + randomInt(random, 3), requires: random.next() < 0.6, cards },
        isNear: cards > 0 && random.next() < 0.5,
      };
    });
    const Tasks = wishes.map(({ task, cores, requires, cards, isNear }) =>
      mockTask({
        Name: task,
        Resources: mockResources({
          ...{ CPU: 0, Cores: cores, MemoryMB: 50 },
          NUMA: { Affinity: requires ? 'require' : 'none', Devices: isNear ? ['gpu'] : null },
          Devices: cards > 0 ? [{ Name: 'gpu', Count: cards, Constraints: null, Affinities: null }] : null,
        }),
      }),
    );
    const Count = 1 + randomInt(random, 4);
    const group: TaskGroup = mockGroup({ Count, Tasks });
    const job = harness.register(mockJob({ ID: 'own', TaskGroups: [group] }));
    const state = harness.snapshot();
    await schedule(mockEval(job), { state, planner: harness, now: harness.now, random: harness.random });
    const free = new Map(
      nodes.map(({ ID, NodeResources }) => {
        const held = [...harness.allocs.values()].filter(({ JobID, NodeID }) => JobID === 'other' && NodeID === ID);
        const taken = held.flatMap(
          ({ AllocatedResources }) => AllocatedResources.Tasks['web']?.Cpu.ReservedCores ?? [],
        );
        const cores = (NodeResources.Cpu.ReservableCpuCores ?? []).filter((core) => !taken.includes(core));
        const cards = (NodeResources.Devices?.[0]?.Instances ?? []).map(({ ID: card }) => card);
        return [ID, { cores: new Set(cores), cards: new Set(cards) }];
      }),
    );
    const placed = placedOf(harness, job);
    for (const name of times(Count, (i) => `own.web[${i}]`)) {
      const alloc = placed.get(name);
      compared++;
      if (!alloc) {
        refused++;
        const able = nodes.filter((node) => {
          const left = free.get(node.ID);
          return left && canHave(node, wishes, left.cores, left.cards);
        });
        t.same(
          able.map(({ ID }) => ID),
          [],
          `seed ${seed}: ${name} would fit`,
        );
        continue;
      }
      const left = free.get(alloc.NodeID);
      const topology = nodes.find(({ ID }) => ID === alloc.NodeID)?.NodeResources.Processors?.Topology;
      for (const { task, cores, requires } of wishes) {
        const { Cpu, Devices } = alloc.AllocatedResources.Tasks[task] ?? {};
        const given = Cpu?.ReservedCores ?? [];
        t.equal(given.filter((core) => left?.cores.delete(core)).length, cores, `seed ${seed}: ${name} ${task}: cores`);
        const numas = new Set(given.map((core) => topology?.Cores.find(({ ID }) => ID === core)?.NodeID));
        if (requires) t.equal(numas.size, 1, `seed ${seed}: ${name} ${task}: ${given} of one NUMA node`);
        for (const id of (Devices ?? []).flatMap(({ DeviceIDs }) => DeviceIDs))
          t.ok(left?.cards.delete(id), `seed ${seed}: ${name} ${task}: ${id}`);
      }
    }
    for (const node of nodes) t.equal(allocsFit(node, state.allocsByNode(node.ID)).dimension, '', `seed ${seed}`);
  }
  t.ok(compared > SEEDS && refused > SEEDS / 4, `${compared} placements compared, ${refused} of them refused`);
});
