import type { Node } from '../structs/node.js';
import { matchesGlob } from '../util/glob.js';
import { Columns } from './columns.js';
import type { StateReader } from './ports.js';
import type { Rest } from './turns.js';

/**
 * All nodes as columns. A scheduler looks at many nodes and changes few, so what it compares lies side by side in typed
 * arrays, and a node is its row. Made once for each version of the node table (StateReader.nodesVersion).
 */
export interface Fleet {
  readonly nodes: readonly Node[];
  readonly rowOf: ReadonlyMap<string, number>;
  /** What each node has for allocations. */
  readonly cpuMhz: Float64Array;
  readonly memoryMb: Float64Array;
  readonly diskMb: Float64Array;
  /** How many allocations each may have; null = no node has such a limit. */
  readonly allocsMax: Float64Array | null;
  /** Index into `classes`, −1 for a node without a computed class. */
  readonly classOf: Int32Array;
  readonly classes: readonly string[];
  /** Candidates by datacenters and pool, as asked for so far. */
  readonly candidates: Map<string, Candidates>;
  /** Columns that no draft holds at the moment. */
  readonly spare: Columns[];
}

/** The nodes a job may be placed on as far as readiness, datacenter and pool go. */
export interface Candidates {
  readonly rows: Uint32Array;
  /** 1 for a row that is among `rows`. */
  readonly includes: Uint8Array;
  /** How many there are in each datacenter: AllocMetric.NodesAvailable. */
  readonly available: Readonly<Record<string, number>>;
}

/** The pool that every node belongs to. */
const POOL_ALL = 'all';

const fleets = new WeakMap<object, Fleet>();

/** The nodes of a snapshot as columns; kept while the node table stays the same. */
export function fleetOf(state: StateReader): Fleet {
  const version = state.nodesVersion;
  if (!version) return buildFleet([...state.nodes()]);
  let fleet = fleets.get(version);
  if (!fleet) {
    fleet = buildFleet([...state.nodes()]);
    fleets.set(version, fleet);
  }
  return fleet;
}

/** Whether new allocations may be placed on a node at all. */
export function isReady(node: Node): boolean {
  return node.Status === 'ready' && node.DrainStrategy === null && node.SchedulingEligibility === 'eligible';
}

/** The ready nodes in some datacenters (globs) and a pool. */
export function candidatesOf(fleet: Fleet, datacenters: readonly string[], pool: string): Candidates {
  const key = `${pool}\n${datacenters.join('\n')}`;
  let candidates = fleet.candidates.get(key);
  if (!candidates) {
    candidates = findCandidates(fleet, datacenters, pool);
    fleet.candidates.set(key, candidates);
  }
  return candidates;
}

/** Whether a node lies in the datacenters (globs) and the pool of a job. */
export function isInReach(node: Node, datacenters: readonly string[], pool: string): boolean {
  if (pool !== POOL_ALL && pool !== node.NodePool) return false;
  return datacenters.some((pattern) => matchesGlob(pattern, node.Datacenter));
}

/** Lends columns to `use`, which must be done with them when it ends. */
export function* withColumns<T>(
  fleet: Fleet,
  use: (columns: Columns) => Generator<Rest, T, void>,
): Generator<Rest, T, void> {
  const columns = fleet.spare.pop() ?? new Columns(fleet.nodes.length);
  try {
    return yield* use(columns);
  } finally {
    columns.reclaim();
    fleet.spare.push(columns);
  }
}

function findCandidates(fleet: Fleet, datacenters: readonly string[], pool: string): Candidates {
  const rows: number[] = [];
  const includes = new Uint8Array(fleet.nodes.length);
  const available: Record<string, number> = {};
  fleet.nodes.forEach((node, row) => {
    if (!isReady(node) || !isInReach(node, datacenters, pool)) return;
    rows.push(row);
    includes[row] = 1;
    available[node.Datacenter] = (available[node.Datacenter] ?? 0) + 1;
  });
  return { rows: Uint32Array.from(rows), includes, available };
}

function buildFleet(nodes: readonly Node[]): Fleet {
  const count = nodes.length;
  const rowOf = new Map<string, number>();
  const classIndex = new Map<string, number>();
  const fleet = {
    nodes,
    rowOf,
    cpuMhz: new Float64Array(count),
    memoryMb: new Float64Array(count),
    diskMb: new Float64Array(count),
    allocsMax: nodes.some(({ NodeMaxAllocs }) => NodeMaxAllocs)
      ? Float64Array.from(nodes, ({ NodeMaxAllocs }) => NodeMaxAllocs || Number.POSITIVE_INFINITY)
      : null,
    classOf: new Int32Array(count).fill(-1),
    classes: [] as string[],
    candidates: new Map<string, Candidates>(),
    spare: [] as Columns[],
  };
  for (let row = 0; row < count; row++) {
    const { ID, ComputedClass, NodeResources: all, ReservedResources: reserved } = nodes[row] as Node;
    rowOf.set(ID, row);
    fleet.cpuMhz[row] = all.Cpu.CpuShares - reserved.Cpu.CpuShares;
    fleet.memoryMb[row] = all.Memory.MemoryMB - reserved.Memory.MemoryMB;
    fleet.diskMb[row] = all.Disk.DiskMB - reserved.Disk.DiskMB;
    if (ComputedClass === '') continue;
    let index = classIndex.get(ComputedClass);
    if (index === undefined) {
      index = fleet.classes.push(ComputedClass) - 1;
      classIndex.set(ComputedClass, index);
    }
    fleet.classOf[row] = index;
  }
  return fleet;
}
