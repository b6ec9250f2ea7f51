// The scheduler's order of options against a scorer that is slow and plain: every node is judged anew for every placement,
// straight from the formulas.
import t from 'tap';
import type { Allocation } from '../../lib/structs/allocation.js';
import type { Affinity, Constraint, Spread } from '../../lib/structs/constraint.js';
import type { Job } from '../../lib/structs/job.js';
import type { Node } from '../../lib/structs/node.js';
import { type Random, randomInt, seededRandom } from '../../lib/util/random.js';
import { Harness } from './harness.js';
import { mockAlloc, mockAllocated, mockGroup, mockJob, mockNode, mockResources, mockTask } from './mock.js';

const SEEDS = 120;

interface Case {
  readonly harness: Harness;
  readonly job: Job;
}

/** What the slow scorer keeps of a node. */
interface Load {
  readonly node: Node;
  cpu: number;
  memory: number;
  own: number;
}

function pick<T>(random: Random, from: readonly T[]): T {
  return from[randomInt(random, from.length)] as T;
}

function makeCase(seed: number): Case {
  const random = seededRandom(seed);
  const harness = new Harness();
  harness.config = { ...harness.config, SchedulerAlgorithm: pick(random, ['binpack', 'spread']) };
  const count = 3 + randomInt(random, 40);
  for (let i = 0; i < count; i++) {
    const rack = `r${randomInt(random, 5)}`;
    const Datacenter = `dc${randomInt(random, 3)}`;
    const node = mockNode(i, { Datacenter, ComputedClass: `v1:${rack}${Datacenter}` });
    const Attributes = { ...node.Attributes, rack, 'unique.n': String(i % 7) };
    const Cpu = { ...node.NodeResources.Cpu, CpuShares: pick(random, [2000, 4000, 8000]) };
    harness.addNode({ ...node, Attributes, NodeResources: { ...node.NodeResources, Cpu } });
  }
  const other = harness.register(mockJob({ ID: 'other' }));
  for (const { ID } of harness.nodes.values()) {
    if (random.next() < 0.5) continue;
    const held = mockAllocated({ cpu: randomInt(random, 1800), memory: randomInt(random, 4000), disk: 1 });
    harness.addAlloc(mockAlloc(other, { NodeID: ID, AllocatedResources: held }));
  }
  const job = harness.register(
    mockJob({
      ID: 'own',
      Datacenters: ['*'],
      Constraints: pick<Constraint[] | null>(random, [
        null,
        null,
        [{ LTarget: '${attr.rack}', Operand: '!=', RTarget: 'r0' }],
        [{ LTarget: '', Operand: 'distinct_hosts', RTarget: '' }],
        [{ LTarget: '${attr.unique.n}', Operand: 'distinct_property', RTarget: '2' }],
      ]),
      Affinities: pick<Affinity[] | null>(random, [
        null,
        [{ LTarget: '${attr.rack}', Operand: '=', RTarget: 'r1', Weight: 50 }],
        [
          { LTarget: '${attr.rack}', Operand: '=', RTarget: 'r2', Weight: 30 },
          { LTarget: '${attr.unique.n}', Operand: '>', RTarget: '4', Weight: -70 },
        ],
      ]),
      Spreads: pick<Spread[]>(random, [
        [{ Attribute: '${node.datacenter}', Weight: 100, SpreadTarget: null }],
        [{ Attribute: '${attr.rack}', Weight: 50, SpreadTarget: [{ Value: 'r1', Percent: 60 }] }],
        [
          { Attribute: '${node.datacenter}', Weight: 75, SpreadTarget: [{ Value: 'dc0', Percent: 100 }] },
          { Attribute: '${attr.unique.n}', Weight: 25, SpreadTarget: null },
        ],
        [{ Attribute: '${attr.absent}', Weight: 10, SpreadTarget: null }],
      ]),
      TaskGroups: [
        mockGroup({
          Count: 1 + randomInt(random, 30),
          Tasks: [mockTask({ Resources: mockResources({ CPU: 50 + randomInt(random, 900), MemoryMB: 200 }) })],
        }),
      ],
    }),
  );
  return { harness, job };
}

/** Score of a node for the next placement; undefined where it may not go. */
function slowScore({ harness, job }: Case, loads: readonly Load[], load: Load): number | undefined {
  const group = job.TaskGroups[0];
  const ask = group?.Tasks[0]?.Resources;
  if (!group || !ask || refuses(job, loads, load)) return undefined;
  const { Cpu, Memory } = load.node.NodeResources;
  const [cpu, memory] = [load.cpu + ask.CPU, load.memory + ask.MemoryMB];
  if (cpu > Cpu.CpuShares || memory > Memory.MemoryMB) return undefined;
  const fill = 10 ** (1 - cpu / Cpu.CpuShares) + 10 ** (1 - memory / Memory.MemoryMB);
  const fit = harness.config.SchedulerAlgorithm === 'spread' ? fill - 2 : 20 - fill;
  const scores = [Math.min(18, Math.max(0, fit)) / 18];
  if (load.own > 0) scores.push(-(load.own + 1) / group.Count);
  const affinity = slowAffinity(job.Affinities ?? [], load.node);
  if ((job.Affinities ?? []).length > 0) scores.push(affinity);
  const spreads = job.Spreads ?? [];
  const weights = spreads.reduce((sum, { Weight }) => sum + Weight, 0);
  const boost = spreads.reduce(
    (sum, spread) => sum + slowSpread(spread, { loads, load, count: group.Count, share: spread.Weight / weights }),
    0,
  );
  if (boost !== 0) scores.push(boost);
  return scores.reduce((sum, score) => sum + score, 0) / scores.length;
}

function refuses(job: Job, loads: readonly Load[], load: Load): boolean {
  return (job.Constraints ?? []).some(({ LTarget, Operand, RTarget }) => {
    const value = valueAt(load.node, LTarget);
    if (Operand === '!=') return value === RTarget;
    if (Operand === 'distinct_hosts') return load.own > 0;
    const used = loads.filter(({ node }) => valueAt(node, LTarget) === value).reduce((sum, { own }) => sum + own, 0);
    return used >= Number(RTarget);
  });
}

function valueAt(node: Node, target: string): string | undefined {
  if (target === '${node.datacenter}') return node.Datacenter;
  return node.Attributes[target.slice('${attr.'.length, -1)];
}

function slowAffinity(affinities: readonly Affinity[], node: Node): number {
  const matched = affinities.filter(({ LTarget, Operand, RTarget }) => {
    const value = valueAt(node, LTarget) ?? '';
    return Operand === '>' ? Number(value) > Number(RTarget) : value === RTarget;
  });
  const sum = (list: readonly Affinity[]): number => list.reduce((total, { Weight }) => total + Weight, 0);
  const all = affinities.reduce((total, { Weight }) => total + Math.abs(Weight), 0);
  return all === 0 ? 0 : sum(matched) / all;
}

function slowSpread(
  spread: Spread,
  { loads, load, count, share }: { loads: readonly Load[]; load: Load; count: number; share: number },
): number {
  const counts = new Map<string, number>();
  for (const { node, own } of loads) {
    const value = valueAt(node, spread.Attribute);
    if (value !== undefined && own > 0) counts.set(value, (counts.get(value) ?? 0) + own);
  }
  const value = valueAt(load.node, spread.Attribute);
  const targets = spread.SpreadTarget ?? [];
  if (value === undefined) return -1;
  if (targets.length > 0) {
    const named = targets.find((target) => target.Value === value);
    const rest = count - targets.reduce((sum, { Percent }) => sum + (Percent / 100) * count, 0);
    const desired = named ? (named.Percent / 100) * count : rest;
    if (desired <= 0) return -1;
    return ((desired - ((counts.get(value) ?? 0) + 1)) / desired) * share;
  }
  if (counts.size === 0) return 0;
  const [min, max] = [Math.min(...counts.values()), Math.max(...counts.values())];
  const current = counts.get(value) ?? 0;
  if (current !== min) return (min - current) / min;
  return min === max ? -1 : (max - min) / min;
}

function loadsOf(harness: Harness): Load[] {
  return [...harness.nodes.values()].map((node) => {
    const held = [...harness.allocs.values()].filter(({ NodeID }) => NodeID === node.ID);
    const sum = (part: (alloc: Allocation) => number): number => held.reduce((total, alloc) => total + part(alloc), 0);
    return {
      node,
      cpu: sum(({ AllocatedResources }) => AllocatedResources.Tasks['web']?.Cpu.CpuShares ?? 0),
      memory: sum(({ AllocatedResources }) => AllocatedResources.Tasks['web']?.Memory.MemoryMB ?? 0),
      own: 0,
    };
  });
}

t.test('every placement has the best score that any node has, and the five best are told', async (t) => {
  let compared = 0;
  for (let seed = 1; seed <= SEEDS; seed++) {
    const world = makeCase(seed);
    const { harness, job } = world;
    const loads = loadsOf(harness);
    await harness.run(job);
    const indexOf = ({ Name }: Allocation): number => Number(/\[(\d+)\]$/.exec(Name)?.[1]);
    const placed = harness.live(job).sort((a, b) => indexOf(a) - indexOf(b));
    const ask = job.TaskGroups[0]?.Tasks[0]?.Resources;
    const found: string[] = [];
    const wanted: string[] = [];
    for (const { NodeID, Metrics } of placed) {
      const scores = loads.map((load) => slowScore(world, loads, load)).filter((score) => score !== undefined);
      scores.sort((a, b) => b - a);
      const chosen = loads.find(({ node }) => node.ID === NodeID) as Load;
      const told = Metrics?.ScoreMetaData?.map(({ NormScore }) => NormScore.toFixed(9)) ?? [];
      found.push(`${slowScore(world, loads, chosen)?.toFixed(9)} of ${told.join()}`);
      const best = scores.slice(0, 5).map((score) => score.toFixed(9));
      wanted.push(`${best[0]} of ${best.join()}`);
      chosen.cpu += ask?.CPU ?? 0;
      chosen.memory += ask?.MemoryMB ?? 0;
      chosen.own++;
      compared++;
    }
    t.same(found, wanted, `seed ${seed}`);
    const left = loads.some((load) => slowScore(world, loads, load) !== undefined);
    t.ok(placed.length === job.TaskGroups[0]?.Count || !left, `seed ${seed}: nothing is left unplaced that would fit`);
  }
  t.ok(compared > SEEDS * 5, `${compared} placements compared`);
});
