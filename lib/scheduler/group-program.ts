import type { Job, TaskGroup } from '../structs/job.js';
import type { Node } from '../structs/node.js';
import type {
  AllocatedPort,
  AllocatedResources,
  AllocatedTaskResources,
  NetworkResource,
  Port,
  Resources,
} from '../structs/resources.js';
import type { Columns } from './columns.js';
import { addressesOf } from './feasible/addresses.js';
import { groupChecks } from './feasible/checks.js';
import { ClassMemo } from './feasible/class-memo.js';
import { type CoreAsk, coreAsks } from './feasible/cores.js';
import { DeviceProgram } from './feasible/devices.js';
import { type DistinctCheck, distinctChecks } from './feasible/distinct.js';
import type { Assignment } from './feasible/numa.js';
import type { VolumeWorld } from './feasible/volumes.js';
import type { Fleet } from './fleet.js';
import type { Ledger } from './ledger.js';
import type { Occupancy } from './occupancy.js';
import type { StateReader } from './ports.js';
import { AffinityScorer } from './rank/affinity.js';
import { type Judge, OptionPool } from './rank/option-pool.js';
import { SpreadScorer } from './rank/spread.js';
import { ToldScores } from './rank/told-scores.js';
import { addResources, emptyUsage } from './usage.js';

/** A group compiled for one evaluation: what it asks for, and what refuses and ranks its nodes. */
export interface GroupProgram {
  readonly job: Job;
  readonly group: TaskGroup;
  readonly memo: ClassMemo;
  readonly availability: ReturnType<typeof groupChecks>['availability'];
  readonly distinct: readonly DistinctCheck[];
  readonly affinity: AffinityScorer | null;
  readonly spreads: readonly SpreadScorer[];
  /** Options in order of their scores, where affinities or spreads ask for looking at many. */
  readonly pool: OptionPool | null;
  /** Spread and distinct_*: they go by where other allocations are. */
  readonly judge: Judge;
  readonly cpuMhz: number;
  readonly memoryMb: number;
  readonly diskMb: number;
  /** Whole CPU cores; their MHz, which depend on the node, come on top of cpuMhz. */
  readonly cores: number;
  readonly coreAsks: readonly CoreAsk[];
  /** A task requires its cores, or its devices too, on one NUMA node: counting them is not enough. */
  readonly requiresNuma: boolean;
  readonly devices: DeviceProgram | null;
  /** Share of the device affinities that a node's free devices match; right where fitScores is a number. */
  readonly deviceScores: Float64Array;
  readonly network: NetworkResource | null;
  readonly hasStaticPorts: boolean;
  /** By row: 1 where no condition on the node itself refuses it. Only conditions that hold for good are remembered. */
  readonly admitted: Uint8Array;
  /** Score of the fit by row; NaN where unknown, −∞ where it does not fit. */
  readonly fitScores: Float64Array;
  /** Allocations of the group by row. */
  readonly collisions: Int32Array;
  readonly told: ToldScores;
  /** Shared by all allocations of the group, for it is the same for all when no cores are given out. */
  readonly tasks: Record<string, AllocatedTaskResources>;
  readonly lifecycles: AllocatedResources['TaskLifecycles'];
}

/** What compiling needs to know of the world. */
export interface ProgramWorld {
  readonly fleet: Fleet;
  readonly columns: Columns;
  readonly occupancy: Occupancy;
  readonly ledger: Ledger;
  readonly memoryOversubscription: boolean;
  readonly state: StateReader;
}

const NO_SCORES = new Float64Array(0);

/** Compiles a group of a job. */
export function compileGroup(job: Job, group: TaskGroup, world: ProgramWorld): GroupProgram {
  const { fleet, columns, occupancy, ledger } = world;
  const hasDevices = group.Tasks.some((task) => (task.Resources.Devices ?? []).length > 0);
  const devices = hasDevices ? new DeviceProgram(group.Tasks) : null;
  const cores = coreAsks(group);
  const checks = groupChecks(group, devices, volumeWorld(job, group, world));
  const tasks = Object.fromEntries(
    group.Tasks.map(({ Name, Resources }) => [Name, taskResources(Resources, world.memoryOversubscription)]),
  );
  const lifecycles = Object.fromEntries(group.Tasks.map((task) => [task.Name, task.Lifecycle]));
  const ask = emptyUsage();
  addResources(ask, {
    Tasks: tasks,
    TaskLifecycles: lifecycles,
    Shared: { DiskMB: group.EphemeralDisk.SizeMB, Networks: null, Ports: null },
  });
  const network = group.Networks?.[0] ?? null;
  const affinities = [
    ...(job.Affinities ?? []),
    ...(group.Affinities ?? []),
    ...group.Tasks.flatMap((task) => task.Affinities ?? []),
  ];
  const fitScores = columns.float64(Number.NaN);
  ledger.onChange((row) => {
    fitScores[row] = Number.NaN;
  });
  const distinct = distinctChecks(job, group, world);
  const spreads = compileSpreads(job, group, world);
  const hasPreferences = affinities.length > 0 || spreads.length > 0;
  return {
    job,
    group,
    memo: new ClassMemo(checks.group, fleet.classes.length),
    availability: checks.availability,
    distinct,
    judge: {
      boost: (row) => sumOfBoosts(spreads, row),
      admits: distinct.length === 0 ? () => true : (row) => distinct.every((check) => check.refusal(row) === ''),
    },
    affinity: affinities.length > 0 ? new AffinityScorer(fleet, columns, affinities) : null,
    spreads,
    pool: hasPreferences && !asksByName(group) ? compilePool(world) : null,
    cpuMhz: ask.cpuMhz,
    memoryMb: ask.memoryMb,
    diskMb: ask.diskMb,
    cores: group.Tasks.reduce((sum, task) => sum + task.Resources.Cores, 0),
    coreAsks: cores,
    requiresNuma: cores.some(({ affinity }) => affinity === 'require'),
    devices,
    deviceScores: devices ? columns.float64(0) : NO_SCORES,
    network,
    hasStaticPorts: (network?.ReservedPorts ?? []).length > 0,
    admitted: columns.uint8(0),
    fitScores,
    collisions: occupancy.column(group.Name),
    told: new ToldScores(columns),
    tasks,
    lifecycles,
  };
}

function sumOfBoosts(spreads: readonly SpreadScorer[], row: number): number {
  let sum = 0;
  for (let i = 0; i < spreads.length; i++) sum += (spreads[i] as SpreadScorer).boost(row);
  return sum;
}

/** Whether nodes will do for one allocation of the group and not for another. */
function asksByName(group: TaskGroup): boolean {
  return Object.values(group.Volumes ?? {}).some(({ PerAlloc, Sticky, Type }) => PerAlloc || Sticky || Type === 'csi');
}

function volumeWorld(job: Job, group: TaskGroup, { fleet, state, ledger, occupancy }: ProgramWorld): VolumeWorld {
  const others = new Map<string, number>();
  if (group.Volumes) {
    occupancy.follow((_row, name, change) => others.set(name, (others.get(name) ?? 0) + change));
  }
  return {
    job,
    state,
    isStopped: (allocId) => ledger.isRemoved(allocId),
    others: (name) => others.get(name) ?? 0,
    othersOn: (name, nodeId) => occupancy.byGroup(name, fleet.rowOf.get(nodeId) ?? -1),
  };
}

function compilePool({ columns, ledger, occupancy }: ProgramWorld): OptionPool {
  const pool = new OptionPool(columns);
  ledger.onChange((row) => pool.touch(row));
  occupancy.follow((row, _, change) => {
    pool.touch(row);
    if (change < 0) pool.unpark();
  });
  return pool;
}

function compileSpreads(job: Job, group: TaskGroup, { fleet, columns, occupancy }: ProgramWorld): SpreadScorer[] {
  const spreads = [...(group.Spreads ?? []), ...(job.Spreads ?? [])];
  const weights = spreads.reduce((sum, { Weight }) => sum + Weight, 0);
  return spreads.map((spread) => {
    const scorer = new SpreadScorer(fleet, columns, spread, { count: group.Count, weights });
    occupancy.follow((row, name, change) => {
      if (name === group.Name) scorer.counts.add(row, change);
    });
    return scorer;
  });
}

function taskResources(resources: Resources, memoryOversubscription: boolean): AllocatedTaskResources {
  return {
    Cpu: { CpuShares: resources.Cores > 0 ? 0 : resources.CPU, ReservedCores: null },
    Memory: {
      // The tmpfs for secrets is memory too.
      MemoryMB: resources.MemoryMB + (resources.SecretsMB ?? 0),
      MemoryMaxMB: memoryOversubscription ? resources.MemoryMaxMB : 0,
    },
    Networks: null,
    Devices: null,
  };
}

/** MHz of one core of a node. */
export function mhzPerCore(fleet: Fleet, row: number): number {
  const node = fleet.nodes[row];
  return node ? coreMhz(node) : 0;
}

export function coreMhz({ NodeResources: { Cpu } }: Node): number {
  return Cpu.TotalCpuCores > 0 ? Math.floor(Cpu.CpuShares / Cpu.TotalCpuCores) : 0;
}

/** What an allocation of the group gets on a node. */
export function resourcesOn(
  program: GroupProgram,
  place: {
    fleet: Fleet;
    row: number;
    ports: AllocatedPort[];
    /** Null when the group asks for neither. */
    own: Assignment | null;
  },
): AllocatedResources {
  return {
    Tasks: place.own ? ownTasks(program, { ...place, own: place.own }) : program.tasks,
    TaskLifecycles: program.lifecycles,
    Shared: {
      DiskMB: program.diskMb,
      Networks: program.network ? [networkOn(program.network, place)] : null,
      Ports: place.ports.length > 0 ? place.ports : null,
    },
  };
}

/** Tasks with the cores and devices that this allocation alone has. */
function ownTasks(
  program: GroupProgram,
  place: {
    fleet: Fleet;
    row: number;
    own: Assignment;
  },
): Record<string, AllocatedTaskResources> {
  const mhz = mhzPerCore(place.fleet, place.row);
  return Object.fromEntries(
    program.group.Tasks.map((task) => {
      const shared = program.tasks[task.Name] as AllocatedTaskResources;
      const devices = place.own.devices?.byTask[task.Name];
      const plain = devices ? { ...shared, Devices: devices } : shared;
      const cores = place.own.cores[task.Name];
      if (!cores) return [task.Name, plain];
      return [task.Name, { ...plain, Cpu: { CpuShares: cores.length * mhz, ReservedCores: cores } }];
    }),
  );
}

/** The asked network with its numbers filled in, and the node's own address. */
function networkOn(
  ask: NetworkResource,
  { fleet, row, ports }: { fleet: Fleet; row: number; ports: readonly AllocatedPort[] },
): NetworkResource {
  const node = fleet.nodes[row];
  const own = node ? addressesOf(node).addresses[0] : undefined;
  return {
    Mode: ask.Mode,
    Device: own?.device ?? ask.Device,
    CIDR: ask.CIDR,
    IP: own?.ip ?? ask.IP,
    Hostname: ask.Hostname,
    MBits: ask.MBits,
    DNS: ask.DNS,
    ReservedPorts: numbered(ask.ReservedPorts, ports),
    DynamicPorts: numbered(ask.DynamicPorts, ports),
    CNI: ask.CNI,
  };
}

/** The asked ports with the numbers that were given. Loops, for this is done for every placement: callbacks would be garbage. */
function numbered(asked: Port[] | null, ports: readonly AllocatedPort[]): Port[] | null {
  if (asked === null) return null;
  const filled = new Array<Port>(asked.length);
  for (let i = 0; i < asked.length; i++) {
    const port = asked[i] as Port;
    filled[i] = port;
    for (const { Label, Value, To } of ports) {
      if (Label !== port.Label) continue;
      filled[i] = { Label, Value, To, HostNetwork: port.HostNetwork, IgnoreCollision: port.IgnoreCollision };
      break;
    }
  }
  return filled;
}
