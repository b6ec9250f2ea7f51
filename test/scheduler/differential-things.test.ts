// Whole cores on NUMA nodes, parts of devices and sticky volumes against rules that are slow and plain: every node is judged
// anew for every placement, and one is refused only where no node will do.
import t from 'tap';
import { schedule } from '../../lib/scheduler/schedule.js';
import type { Allocation } from '../../lib/structs/allocation.js';
import type { HostVolume, TaskGroupHostVolumeClaim } from '../../lib/structs/host-volume.js';
import type { Job } from '../../lib/structs/job.js';
import type { Node } from '../../lib/structs/node.js';
import type { RequestedDevice, Resources } from '../../lib/structs/resources.js';
import { type Random, randomInt, seededRandom } from '../../lib/util/random.js';
import { Harness } from './harness.js';
import { mockEval, mockGroup, mockJob, mockNode, mockResources, mockTask } from './mock.js';

const SEEDS = 60;
const MHZ = 1000;
const CARD_MIB = 10_000;
const VOLUME = 'data';

/** What is left of a node, as the plain rules see it. */
interface Left {
  readonly node: Node;
  cpu: number;
  memory: number;
  own: number;
  /** Cores nobody has, and the NUMA node of each. */
  cores: Map<number, number>;
  /** MiB left of each card. */
  cards: Map<string, number>;
}

/** A kind of thing: worlds with it, and its rules. */
interface Kind {
  node(node: Node, random: Random, index: number): Node;
  ask(random: Random): Partial<Resources>;
  volumes?: boolean;
  /** Whether an allocation of this name may go there, as far as the thing goes. */
  fits(left: Left, ask: Resources, name: string, world: World): boolean;
  /** What is wrong with what it got; '' when nothing is. Takes it from what is left. */
  take(left: Left, ask: Resources, alloc: Allocation): string;
}

interface World {
  readonly claims: readonly TaskGroupHostVolumeClaim[];
}

const pick = <T>(random: Random, ...from: readonly T[]): T => from[randomInt(random, from.length)] as T;
const onNuma = (left: Left, numa: number): number => [...left.cores.values()].filter((of) => of === numa).length;
const someNuma = (left: Left, count: number): boolean => [0, 1, 2].some((numa) => onNuma(left, numa) >= count);
const neededOf = ({ MemoryMB = 0, Share = 0 }: RequestedDevice): number =>
  Math.max(MemoryMB ?? 0, ((Share ?? 0) * CARD_MIB) / 100);

const numa: Kind = {
  node(node, random) {
    const each = 2 + randomInt(random, 3);
    const Nodes = [0, 1, 2];
    const IDs = Array.from({ length: each * 3 }, (_, id) => id);
    const Cores = IDs.map((ID) => ({
      ...{ SocketID: 0, NodeID: Math.floor(ID / each), ID, Grade: true, Disable: false },
      ...{ BaseSpeed: MHZ, MaxSpeed: 0, GuessSpeed: 0 },
    }));
    const Distances = Nodes.map((a) => Nodes.map((b) => 10 + 10 * Math.abs(a - b)));
    const Cpu = { CpuShares: IDs.length * MHZ, TotalCpuCores: IDs.length, ReservableCpuCores: IDs };
    const Processors = { Topology: { Nodes, Distances, Cores, BusAssociativity: {} } };
    return { ...node, NodeResources: { ...node.NodeResources, Cpu, Processors } };
  },
  ask: (random) => ({
    CPU: 0,
    Cores: 1 + randomInt(random, 4),
    NUMA: { Affinity: pick(random, 'none', 'prefer', 'require'), Devices: null },
  }),
  fits: (left, { Cores, NUMA }) => (NUMA?.Affinity === 'require' ? someNuma(left, Cores) : left.cores.size >= Cores),
  take(left, { Cores, NUMA }, alloc) {
    const { ReservedCores, CpuShares } = alloc.AllocatedResources.Tasks['web']?.Cpu ?? {
      ReservedCores: null,
      CpuShares: 0,
    };
    const given = ReservedCores ?? [];
    const near = NUMA?.Affinity !== 'none' && someNuma(left, Cores);
    const nodes = new Set(given.map((core) => left.cores.get(core)));
    if (new Set(given).size !== Cores) return `${Cores} cores asked for, got ${given}`;
    if (CpuShares !== Cores * MHZ) return `${CpuShares} MHz for ${Cores} cores`;
    if (nodes.has(undefined)) return `cores ${given} are not all free`;
    if (near && nodes.size !== 1) return `cores ${given} are not of one NUMA node`;
    for (const core of given) left.cores.delete(core);
    return '';
  },
};

const cards: Kind = {
  node(node, random, index) {
    const Instances = Array.from({ length: randomInt(random, 4) }, (_, i) => ({
      ...{ ID: `card-${index}-${i}`, Healthy: random.next() < 0.8, HealthDescription: '', Locality: null },
    }));
    const Attributes = { memory: { Int: CARD_MIB, Unit: 'MiB' } };
    const Devices = [{ Vendor: 'nvidia', Type: 'gpu', Name: 'a', Instances, Attributes }];
    return { ...node, NodeResources: { ...node.NodeResources, Devices } };
  },
  ask: (random) => ({
    Devices: [
      {
        ...{ Name: 'gpu', Count: 1, Constraints: null, Affinities: null },
        ...pick<Partial<RequestedDevice>>(
          random,
          {},
          { MemoryMB: 1000 + randomInt(random, 6000) },
          { Share: 5 + randomInt(random, 60) },
          { Share: 30, MemoryMB: 2000 + randomInt(random, 2000) },
        ),
      },
    ],
  }),
  fits: (left, { Devices }) => {
    const needed = neededOf(Devices?.[0] as RequestedDevice);
    return [...left.cards.values()].some((mib) => (needed === 0 ? mib === CARD_MIB : mib >= needed));
  },
  take(left, { Devices }, alloc) {
    const needed = neededOf(Devices?.[0] as RequestedDevice);
    const [given, ...more] = alloc.AllocatedResources.Tasks['web']?.Devices ?? [];
    const id = given?.DeviceIDs[0] ?? '';
    const mib = left.cards.get(id);
    if (mib === undefined || more.length > 0 || given?.DeviceIDs.length !== 1) return `got ${JSON.stringify(given)}`;
    if (needed === 0 ? mib !== CARD_MIB : mib < needed)
      return `${mib} MiB were left of ${id}, and ${needed} are needed`;
    left.cards.set(id, needed === 0 ? 0 : mib - needed);
    return '';
  },
};

const sticky: Kind = {
  volumes: true,
  node(node, random, index) {
    if (random.next() < 0.3) return node;
    return { ...node, HostVolumes: { [VOLUME]: { Name: VOLUME, Path: '/d', ReadOnly: false, ID: `volume-${index}` } } };
  },
  ask: () => ({}),
  fits({ node }, _, name, { claims }) {
    const volume = node.HostVolumes?.[VOLUME];
    const claim = claims.find(({ AllocName }) => AllocName === name);
    return volume !== undefined && (claim === undefined || claim.VolumeID === volume.ID);
  },
  take: () => '',
};

function leftOf(node: Node): Left {
  const { Cpu, Memory, Processors, Devices } = node.NodeResources;
  const cores = new Map((Processors?.Topology?.Cores ?? []).map(({ ID, NodeID }) => [ID, NodeID]));
  const healthy = (Devices ?? []).flatMap(({ Instances }) => Instances.filter(({ Healthy }) => Healthy));
  const left = { node, cpu: Cpu.CpuShares, memory: Memory.MemoryMB, own: 0, cores };
  return { ...left, cards: new Map(healthy.map(({ ID }) => [ID, CARD_MIB])) };
}

const isWell = (node: Node): boolean => node.Attributes['rack'] === 'r1';

function jobOf(kind: Kind, random: Random): Job {
  const volume = {
    ...{ Name: VOLUME, Type: 'host' as const, Source: VOLUME, ReadOnly: false, Sticky: true, PerAlloc: false },
    ...{ AccessMode: '', AttachmentMode: '', MountOptions: null },
  };
  const Resources = mockResources({ CPU: 100 + randomInt(random, 900), MemoryMB: 200, ...kind.ask(random) });
  return mockJob({
    ID: 'own',
    // With an affinity every node is looked at, so the best one must be found.
    Affinities: [{ LTarget: '${attr.rack}', Operand: '=', RTarget: 'r1', Weight: 50 }],
    TaskGroups: [
      mockGroup({
        Count: 1 + randomInt(random, 25),
        Volumes: kind.volumes ? { [VOLUME]: volume } : null,
        Tasks: [mockTask({ Resources })],
      }),
    ],
  });
}

/** The score of a node, from the formulas; undefined where it may not go. */
function slowScore(kind: Kind, left: Left, job: Job, name: string, world: World): number | undefined {
  const [group] = job.TaskGroups;
  const ask = group?.Tasks[0]?.Resources;
  if (!group || !ask || !kind.fits(left, ask, name, world)) return undefined;
  const { Cpu, Memory } = left.node.NodeResources;
  const cpu = left.cpu - (ask.Cores > 0 ? ask.Cores * MHZ : ask.CPU);
  const memory = left.memory - ask.MemoryMB;
  if (cpu < 0 || memory < 0) return undefined;
  const fit = 20 - (10 ** (cpu / Cpu.CpuShares) + 10 ** (memory / Memory.MemoryMB));
  const scores = [Math.min(18, Math.max(0, fit)) / 18, isWell(left.node) ? 1 : 0];
  if (left.own > 0) scores.push(-(left.own + 1) / group.Count);
  return scores.reduce((sum, score) => sum + score, 0) / scores.length;
}

for (const [what, kind] of Object.entries({
  'cores and NUMA nodes': numa,
  'parts of devices': cards,
  'sticky volumes': sticky,
})) {
  t.test(`${what}: as plain rules have it`, async (t) => {
    let compared = 0;
    for (let seed = 1; seed <= SEEDS; seed++) {
      const random = seededRandom(seed);
      const harness = new Harness();
      for (let i = 0; i < 2 + randomInt(random, 8); i++) {
        const node = mockNode(i, { ComputedClass: `v1:${i}` });
        const Attributes = { ...node.Attributes, rack: `r${randomInt(random, 3)}` };
        harness.addNode(kind.node({ ...node, Attributes }, random, i));
      }
      const job = harness.register(jobOf(kind, random));
      const lefts = [...harness.nodes.values()].map(leftOf);
      const volumes = [...harness.nodes.values()].flatMap(({ ID, HostVolumes }) => {
        const info = HostVolumes?.[VOLUME];
        return info
          ? [{ ID: info.ID, Name: VOLUME, NodeID: ID, Namespace: job.Namespace, State: 'ready' } as HostVolume]
          : [];
      });
      const names = Array.from({ length: job.TaskGroups[0]?.Count ?? 0 }, (_, i) => `own.web[${i}]`);
      const claims = names
        .filter(() => volumes.length > 0 && random.next() < 0.5)
        .map((AllocName) => ({ AllocName, VolumeName: VOLUME, VolumeID: pick(random, ...volumes).ID }))
        .map((claim) => claim as TaskGroupHostVolumeClaim);
      const state = {
        ...harness.snapshot(),
        hostVolumeById: (id: string) => volumes.find(({ ID }) => ID === id),
        hostVolumeClaimsByGroup: () => claims,
      };
      await schedule(mockEval(job), { state, planner: harness, now: harness.now, random: harness.random });
      const byName = new Map(harness.live(job).map((alloc) => [alloc.Name, alloc]));
      for (const name of names) {
        const scores = lefts.map((left) => slowScore(kind, left, job, name, { claims }) ?? Number.NEGATIVE_INFINITY);
        const best = Math.max(...scores);
        const alloc = byName.get(name);
        const at = lefts.findIndex(({ node }) => node.ID === alloc?.NodeID);
        compared++;
        if (!alloc) {
          t.equal(best, Number.NEGATIVE_INFINITY, `seed ${seed}: ${name} would fit`);
          continue;
        }
        t.equal(scores[at]?.toFixed(9), best.toFixed(9), `seed ${seed}: ${name}`);
        const left = lefts[at] as Left;
        const ask = job.TaskGroups[0]?.Tasks[0]?.Resources as Resources;
        t.equal(kind.take(left, ask, alloc), '', `seed ${seed}: ${name}`);
        left.cpu -= ask.Cores > 0 ? ask.Cores * MHZ : ask.CPU;
        left.memory -= ask.MemoryMB;
        left.own++;
      }
    }
    t.ok(compared > SEEDS * 5, `${compared} placements compared`);
  });
}

t.test(
  'sticky disks: a new version stays where its disk is as long as that node may run it, and goes elsewhere if not',
  async (t) => {
    let stayed = 0;
    let moved = 0;
    for (let seed = 1; seed <= SEEDS; seed++) {
      const random = seededRandom(seed);
      const harness = new Harness();
      const count = 4 + randomInt(random, 6);
      for (let i = 0; i < count; i++) {
        const node = mockNode(i, { ComputedClass: `v1:${i}` });
        harness.addNode({ ...node, Attributes: { ...node.Attributes, rack: `r${randomInt(random, 3)}` } });
      }
      const group = mockGroup({
        Count: 1 + randomInt(random, 12),
        EphemeralDisk: { Sticky: true, SizeMB: 300, Migrate: false },
        Tasks: [mockTask({ Resources: mockResources({ CPU: 100 + randomInt(random, 900), MemoryMB: 200 }) })],
        Update: null,
      });
      const first = harness.register(mockJob({ ID: 'own', TaskGroups: [group] }));
      await harness.run(first);
      const before = new Map(harness.live(first).map((alloc) => [alloc.Name, alloc]));
      // Some nodes take nothing new, others are not wanted any more.
      for (const node of [...harness.nodes.values()])
        if (random.next() < 0.25) harness.addNode({ ...node, SchedulingEligibility: 'ineligible' });
      const unwanted = pick(random, 'r0', 'none');
      const Constraints = [{ LTarget: '${attr.rack}', Operand: '!=', RTarget: unwanted }];
      const Tasks = [mockTask({ ...group.Tasks[0], Env: { V: '2' } })];
      const second = harness.register({ ...first, Constraints, TaskGroups: [{ ...group, Tasks }] });
      await harness.run(second);
      for (const alloc of harness.live(second).filter(({ Job }) => Job?.Version === second.Version)) {
        const old = before.get(alloc.Name);
        const node = harness.nodes.get(old?.NodeID ?? '');
        const may = node?.SchedulingEligibility === 'eligible' && node.Attributes['rack'] !== unwanted;
        t.equal(alloc.NodeID === old?.NodeID, may, `seed ${seed}: ${alloc.Name}`);
        if (may) stayed++;
        else moved++;
      }
    }
    t.ok(stayed > SEEDS && moved > SEEDS / 2, `${stayed} stayed and ${moved} moved`);
  },
);
