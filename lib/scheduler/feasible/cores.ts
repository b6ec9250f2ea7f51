import type { TaskGroup } from '../../structs/job.js';
import type { NodeTopology } from '../../structs/topology.js';

// Which whole cores the tasks of a group get on a node. A task may prefer or require that all of its cores belong to one NUMA
// node, where its memory then is too.

/** What one task asks for. */
export interface CoreAsk {
  readonly task: string;
  readonly count: number;
  readonly affinity: 'none' | 'prefer' | 'require';
  /** Its device asks, by their names, that are to be on the same NUMA node. */
  readonly devices: readonly string[];
}

/** The tasks of a group that ask for whole cores, in their order. */
export function coreAsks(group: Pick<TaskGroup, 'Tasks'>): CoreAsk[] {
  return group.Tasks.filter(({ Resources }) => Resources.Cores > 0).map(({ Name, Resources: { Cores, NUMA } }) => ({
    task: Name,
    count: Cores,
    affinity: NUMA?.Affinity === 'prefer' || NUMA?.Affinity === 'require' ? NUMA.Affinity : 'none',
    devices: NUMA?.Devices ?? [],
  }));
}

/** Cores by task. */
export type CoreOffer = Readonly<Record<string, number[]>>;

/** NUMA nodes by task: where its cores have to be, and where they had better be. */
export interface Pins {
  readonly hard: ReadonlyMap<string, number>;
  readonly soft: ReadonlyMap<string, number>;
}

export const NO_PINS: Pins = { hard: new Map(), soft: new Map() };

/** Gives every ask its cores out of the free ones (lowest first); null when they do not suffice. Pure. */
export function chooseCores(
  asks: readonly CoreAsk[],
  free: readonly number[],
  topology: NodeTopology | null,
  pins: Pins = NO_PINS,
): CoreOffer | null {
  const pool = new CorePool(free, topology);
  const offer: Record<string, number[]> = {};
  // Who is choosy chooses first; among equals who needs most.
  for (const ask of [...asks].sort((a, b) => urgency(b, pins) - urgency(a, pins) || b.count - a.count)) {
    const cores = pool.take(ask, pins);
    if (!cores) return null;
    offer[ask.task] = cores;
  }
  return offer;
}

function urgency({ task, affinity }: CoreAsk, { hard }: Pins): number {
  if (affinity === 'none') return 0;
  return (hard.has(task) ? 2 : 0) + (affinity === 'require' ? 2 : 1);
}

/** The cores of a node that nobody has, by NUMA node. */
class CorePool {
  readonly #byNode = new Map<number, number[]>();
  readonly #topology: NodeTopology | null;

  constructor(free: readonly number[], topology: NodeTopology | null) {
    this.#topology = topology;
    const nodeOf = new Map(topology?.Cores.map(({ ID, NodeID }) => [ID, NodeID]));
    for (const core of free) {
      const node = nodeOf.get(core) ?? 0;
      const cores = this.#byNode.get(node);
      if (cores) cores.push(core);
      else this.#byNode.set(node, [core]);
    }
  }

  take({ task, count, affinity }: CoreAsk, { hard, soft }: Pins): number[] | null {
    if (affinity === 'none') return this.#takeAny(count);
    const pinned = hard.get(task);
    if (pinned !== undefined) return this.#left(pinned) < count ? null : this.#takeFrom([pinned], count);
    const wish = soft.get(task);
    if (wish !== undefined && this.#left(wish) >= count) return this.#takeFrom([wish], count);
    const fitting = [...this.#byNode.keys()].filter((node) => this.#left(node) >= count);
    // The fullest that will do, so that larger asks find a node too.
    const [best] = fitting.sort((a, b) => this.#left(a) - this.#left(b) || a - b);
    if (best !== undefined) return this.#takeFrom([best], count);
    return affinity === 'require' ? null : this.#takeFrom(this.#nearest(wish), count);
  }

  /** All NUMA nodes, those nearest to `wish` (else to the one with most cores left) first. */
  #nearest(wish: number | undefined): number[] {
    const nodes = [...this.#byNode.keys()];
    const start = wish ?? nodes.sort((a, b) => this.#left(b) - this.#left(a) || a - b)[0];
    const ids = this.#topology?.Nodes ?? [];
    const row = this.#topology?.Distances[ids.indexOf(start ?? 0)];
    const distance = (node: number): number => (node === start ? 0 : (row?.[ids.indexOf(node)] ?? 255));
    return nodes.sort((a, b) => distance(a) - distance(b) || a - b);
  }

  #left(node: number): number {
    return this.#byNode.get(node)?.length ?? 0;
  }

  #takeAny(count: number): number[] | null {
    const all = [...this.#byNode.values()].flat().sort((a, b) => a - b);
    return this.#remove(all.slice(0, count), count);
  }

  #takeFrom(nodes: readonly number[], count: number): number[] | null {
    const all = nodes.flatMap((node) => this.#byNode.get(node) ?? []);
    return this.#remove(all.slice(0, count), count);
  }

  #remove(cores: number[], count: number): number[] | null {
    if (cores.length < count) return null;
    const taken = new Set(cores);
    for (const [node, left] of this.#byNode)
      this.#byNode.set(
        node,
        left.filter((core) => !taken.has(core)),
      );
    return cores.sort((a, b) => a - b);
  }
}
