import type { Allocation } from '../../lib/structs/allocation.js';
import type { Constraint } from '../../lib/structs/constraint.js';
import type { Evaluation } from '../../lib/structs/evaluation.js';
import type { Job, TaskGroup } from '../../lib/structs/job.js';
import type { Node } from '../../lib/structs/node.js';
import type { Plan } from '../../lib/structs/plan.js';
import { type Random, randomInt, randomUuid, seededRandom } from '../../lib/util/random.js';
import { Harness } from './harness.js';
import { mockAlloc, mockAllocated, mockEval, mockGroup, mockJob, mockNode, mockResources, mockTask } from './mock.js';

// Small worlds by number: a few unlike nodes with residents, and a job with all sorts of wishes.

const ATTRIBUTES: Readonly<Record<string, readonly string[]>> = {
  'kernel.version': ['5.10.0-8-amd64', '6.1.0', '4.19.0', '6.6.31+rpt-rpi', 'abc'],
  rack: ['r0', 'r1', 'r2', '10', '9'],
  'os.version': ['12', '11.4', '22.04', 'v1.2.3', '1.2.3-beta1', '1.2'],
  tags: ['a,b,c', 'a', 'b, c', '', 'c,a'],
  num: ['1', '10', '9', '2.5', 'x'],
  flag: ['true', 'false', '1'],
};
const OPERANDS = [
  ...['=', '==', 'is', '!=', 'not', '<', '<=', '>', '>=', 'regexp', 'version', 'semver'],
  ...['set_contains', 'set_contains_all', 'set_contains_any', 'is_set', 'is_not_set'],
];
const RIGHT: Readonly<Record<string, readonly string[]>> = {
  regexp: ['^r[01]$', '6\\.', 'a.*b', '(', '[0-9]+'],
  version: ['>= 5.0', '< 6.2, > 4', '~> 1.2', '1.2.3', '>= 1.2.3', 'xx', '!= 12'],
  semver: ['>= 1.2.3', '< 12', '>= 1.2.3-alpha'],
  set_contains: ['a', 'a,b', 'c, a', 'z'],
  other: ['r1', 'r0', '10', '9', '2', 'true', '', '1.2', '12', '${attr.rack}', '${node.class}', 'dc1'],
};
const LEFT = [
  ...['${attr.kernel.version}', '${attr.rack}', '${attr.os.version}', '${attr.tags}', '${attr.num}', '${attr.flag}'],
  ...['${meta.room}', '${node.class}', '${node.datacenter}', '${node.unique.name}', '${attr.nope}', '${node.pool}'],
  ...['literal', '${attr.unique.x}'],
];

/** Draws from one world's numbers. */
class Dice {
  readonly random: Random;

  constructor(seed: number) {
    this.random = seededRandom(seed);
  }

  chance(share: number): boolean {
    return randomInt(this.random, 1000) < share * 1000;
  }

  below(count: number): number {
    return randomInt(this.random, count);
  }

  pick<T>(...of: readonly T[]): T {
    return of[this.below(of.length)] as T;
  }

  condition(): Constraint {
    const Operand = this.pick(...OPERANDS);
    const LTarget = this.pick(...LEFT);
    const kind = Operand.startsWith('set_') ? 'set_contains' : Operand;
    const RTarget = this.pick(...(RIGHT[kind] ?? (RIGHT['other'] as readonly string[])));
    return { LTarget, RTarget: Operand.startsWith('is_') ? '' : RTarget, Operand };
  }
}

export interface PlacementWorld {
  readonly harness: Harness;
  readonly evaluation: Evaluation;
}

/** The world of a number, always the same; ids are UUIDs, so that any Nomad takes it. */
export function placementWorld(seed: number): PlacementWorld {
  const dice = new Dice(seed);
  const harness = new Harness();
  harness.config.SchedulerAlgorithm = dice.pick('binpack', 'spread');
  for (let i = 0; i < 2 + dice.below(6); i++) harness.addNode(node(dice, i));
  const nodes = [...harness.nodes.values()];
  for (let i = 0; i < dice.below(12); i++) harness.addAlloc(resident(dice, harness, dice.pick(...nodes), i));
  const job = harness.register(wish(dice));
  return { harness, evaluation: mockEval(job, { ID: randomUuid(dice.random), SnapshotIndex: harness.index }) };
}

function node(dice: Dice, index: number): Node {
  const Attributes: Record<string, string> = { 'kernel.name': 'linux', 'driver.mock_driver': '1' };
  for (const [name, values] of Object.entries(ATTRIBUTES))
    if (dice.chance(0.85)) Attributes[name] = dice.pick(...values);
  const plain = { ...Attributes };
  if (dice.chance(0.5)) Attributes['unique.x'] = dice.pick('1', '2');
  const made = mockNode(index, {
    ID: randomUuid(dice.random),
    SecretID: randomUuid(dice.random),
    Datacenter: dice.pick('dc1', 'dc2'),
    NodeClass: dice.pick('', 'a', 'b'),
    Attributes,
    Meta: dice.chance(0.5) ? { room: dice.pick('attic', 'cellar') } : null,
  });
  made.NodeResources.Cpu = { ...made.NodeResources.Cpu, CpuShares: dice.pick(2000, 4000, 8000) };
  made.NodeResources.Memory = { MemoryMB: dice.pick(1024, 4096, 8192) };
  if (dice.chance(0.4)) made.NodeResources.Devices = [gpus(dice, index)];
  if (dice.chance(0.3)) {
    made.ReservedResources.Cpu = { CpuShares: 500 };
    made.ReservedResources.Memory = { MemoryMB: 256 };
    made.ReservedResources.Networks = { ReservedHostPorts: dice.pick('', '22,8080') };
  }
  const devices = made.NodeResources.Devices?.map(({ Name, Attributes: of }) => [Name, of]);
  return { ...made, ComputedClass: JSON.stringify([made.Datacenter, made.NodeClass, plain, made.Meta, devices]) };
}

function gpus(dice: Dice, index: number): NonNullable<Node['NodeResources']['Devices']>[number] {
  return {
    Vendor: 'nvidia',
    Type: 'gpu',
    Name: dice.pick('1080ti', '4090'),
    Attributes: { memory: { Int: dice.pick(8, 11, 24), Unit: 'GiB' }, brand: { String: dice.pick('x', 'y') } },
    Instances: Array.from({ length: 1 + dice.below(3) }, (_, at) => ({
      ID: `gpu-${index}-${at}`,
      Healthy: dice.chance(0.9),
      HealthDescription: '',
      Locality: null,
    })),
  };
}

function resident(dice: Dice, harness: Harness, { ID, Name, NodeResources }: Node, index: number): Allocation {
  const name = `o${index}`;
  const job = harness.register(mockJob({ ID: name, Name: name }));
  const cpu = dice.pick(200, 500, 1500);
  const allocated = mockAllocated({ cpu, memory: dice.pick(128, 512, 700), disk: 300 });
  const taken = [...harness.allocs.values()].filter(({ NodeID }) => NodeID === ID);
  const [device] = NodeResources.Devices ?? [];
  const free = device?.Instances?.find((one) => !JSON.stringify(taken).includes(one.ID));
  const task = allocated.Tasks['web'];
  if (device && free && task && dice.chance(0.4)) {
    task.Devices = [{ Vendor: device.Vendor, Type: device.Type, Name: device.Name, DeviceIDs: [free.ID] }];
  }
  const ids = { ID: randomUuid(dice.random), EvalID: randomUuid(dice.random) };
  return mockAlloc(job, { ...ids, Name: `${name}.web[0]`, NodeID: ID, NodeName: Name, AllocatedResources: allocated });
}

function wish(dice: Dice): Job {
  const system = dice.chance(0.25);
  const Type = system ? 'system' : dice.pick('service', 'batch');
  const task = mockTask({
    Resources: mockResources({ CPU: dice.pick(200, 900, 2500), MemoryMB: dice.pick(128, 900, 3000) }),
  });
  const group: TaskGroup = mockGroup({
    Count: system ? 1 : dice.pick(1, 1, 2, 4),
    Update: null,
    Migrate: null,
    Tasks: [task],
  });
  if (system) group.ReschedulePolicy = null;
  const job = mockJob({ ID: 'job', Name: 'job', Type, TaskGroups: [group] });
  for (const holder of [job, group, task]) {
    if (dice.chance(0.3)) holder.Constraints = [dice.condition()];
    const affinity = () => ({ ...dice.condition(), Weight: dice.pick(50, 100, -50, -100, 10) });
    if (!system && dice.chance(0.3)) holder.Affinities = Array.from({ length: 1 + dice.below(2) }, affinity);
  }
  if (!system && dice.chance(0.35)) dice.pick<Job | TaskGroup>(job, group).Spreads = spreads(dice);
  if (!system && dice.chance(0.1)) {
    group.Constraints = [...(group.Constraints ?? []), { LTarget: '', RTarget: 'true', Operand: 'distinct_hosts' }];
  }
  if (dice.chance(0.25)) task.Resources = { ...(task.Resources as object), Devices: [device(dice)] } as never;
  return job;
}

function spreads(dice: Dice): NonNullable<Job['Spreads']> {
  return ['${attr.rack}', '${node.datacenter}', '${meta.room}', '${node.class}', '${attr.nope}']
    .filter(() => dice.chance(0.3))
    .slice(0, 2)
    .map((Attribute) => ({
      Attribute,
      Weight: dice.pick(50, 100, 10),
      SpreadTarget: dice.chance(0.5)
        ? [
            { Value: dice.pick('dc1', 'r0', 'attic', 'a'), Percent: dice.pick(70, 30) },
            { Value: dice.pick('dc2', 'r1', 'cellar'), Percent: dice.pick(30, 20) },
          ]
        : null,
    }));
}

function device(dice: Dice): object {
  const Constraints = [
    {
      LTarget: dice.pick('${device.attr.memory}', '${device.model}', '${device.vendor}', '${device.attr.brand}'),
      RTarget: dice.pick('10 GiB', '4090', 'nvidia', '8000 MB', 'x'),
      Operand: dice.pick('>', '=', '!=', '<', 'set_contains_any'),
    },
  ];
  const Affinities = [
    { LTarget: '${device.attr.memory}', RTarget: '10 GiB', Operand: dice.pick('>', '<'), Weight: dice.pick(50, -50) },
  ];
  return {
    Name: dice.pick('gpu', 'nvidia/gpu', 'nvidia/gpu/4090', 'amd/gpu'),
    Count: dice.pick(1, 1, 2),
    Constraints: dice.chance(0.5) ? Constraints : null,
    Affinities: dice.chance(0.4) ? Affinities : null,
  };
}

/**
 * What became of it, in words that do not hang on chance: how many were placed; of a system job where; of a single one that
 * all nodes were weighed for, every score; else how many nodes were looked at, left out and full.
 */
export function outcomeOf(
  { harness }: PlacementWorld,
  plan: Plan | undefined,
  ended: Evaluation | undefined,
): unknown[] {
  const job = harness.jobs.get('job') as Job;
  const placed = Object.values(plan?.NodeAllocation ?? {}).flat();
  const name = (id: string): string => harness.nodes.get(id)?.Name ?? '';
  const failed = ended?.FailedTGAllocs?.['web'];
  if (job.Type === 'system')
    return [
      placed
        .map(({ NodeID }) => name(NodeID))
        .sort()
        .join(' '),
      failed ? 'failed' : '',
    ];
  const why = failed ? `${failed.NodesEvaluated} ${failed.NodesFiltered} ${failed.NodesExhausted}` : '';
  const [group] = job.TaskGroups;
  const holders = [job, group, ...(group?.Tasks ?? [])];
  const weighed = holders.some((of) => (of?.Affinities ?? []).length > 0) || job.Spreads || group?.Spreads;
  const [only] = placed;
  if (!only || !weighed || group?.Count !== 1) return [placed.length, why];
  const scores = (only.Metrics?.ScoreMetaData ?? []).map(({ NodeID, NormScore, Scores }) => {
    const parts = Object.entries(Scores).filter(([, score]) => score !== 0);
    const told = parts.map(([part, score]) => `${part} ${score.toFixed(4)}`).sort();
    return [name(NodeID), NormScore.toFixed(4), ...told].join(' ');
  });
  return [placed.length, why, ...scores.sort()];
}
