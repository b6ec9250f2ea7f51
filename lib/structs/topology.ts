/** The processors of a machine and how near they are to its memory and its devices; Nomad's shape (`NodeResources.Processors`). */
export interface NodeTopology {
  /** Ids of the NUMA nodes. */
  Nodes: number[];
  /** Between NUMA nodes, in the order of `Nodes`, as the firmware tells it: 10 to itself, more to the others. */
  Distances: number[][];
  Cores: NodeCore[];
  /** PCI address of a device → NUMA node. */
  BusAssociativity: Record<string, number> | null;
}

export interface NodeCore {
  SocketID: number;
  NodeID: number;
  ID: number;
  /** True: a performance core; false: an efficiency core. */
  Grade: boolean;
  /** Not for tasks. */
  Disable: boolean;
  /** MHz; 0 = not known. */
  BaseSpeed: number;
  MaxSpeed: number;
  GuessSpeed: number;
}

/** What a core does for good, MHz: its base frequency, else its largest, else what was guessed. */
export function coreMhz({ BaseSpeed, MaxSpeed, GuessSpeed }: NodeCore): number {
  return BaseSpeed || MaxSpeed || GuessSpeed;
}

/** More processors than any machine has. */
const CORE_MAX = 65_536;

/** `0-2,5`, as the kernel writes lists of processors. */
export function formatCoreList(cores: readonly number[]): string {
  const sorted = [...cores].sort((a, b) => a - b);
  const ranges: [number, number][] = [];
  for (const core of sorted) {
    const last = ranges.at(-1);
    if (last && core === last[1] + 1) last[1] = core;
    else ranges.push([core, core]);
  }
  return ranges.map(([from, to]) => (from === to ? String(from) : `${from}-${to}`)).join(',');
}

/** The numbers in such a list, ascending; undefined when it is none. An empty text is an empty list. */
export function parseCoreList(text: string): number[] | undefined {
  const cores = new Set<number>();
  for (const part of text.split(',').map((one) => one.trim())) {
    if (part === '') continue;
    const match = /^(\d{1,5})(?:-(\d{1,5}))?$/.exec(part);
    if (!match) return undefined;
    const from = Number(match[1]);
    const to = Number(match[2] ?? match[1]);
    if (to < from || to >= CORE_MAX) return undefined;
    for (let core = from; core <= to; core++) cores.add(core);
  }
  return [...cores].sort((a, b) => a - b);
}
