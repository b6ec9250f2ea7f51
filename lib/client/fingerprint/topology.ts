import type { HostFiles } from '../../plugin/sdk/host-files.js';
import { type NodeCore, type NodeTopology, parseCoreList } from '../../structs/topology.js';

const CPUS = '/sys/devices/system/cpu';
const NODES = '/sys/devices/system/node';
const PCI = '/sys/bus/pci/devices';
/** The distance that a machine without a table has between two nodes, and within one. */
const FAR = 20;
const NEAR = 10;

/** What is kept from tasks. */
export interface CoreRules {
  /** Never given to tasks. */
  reserved: readonly number[];
  /** Only these are; null: all. */
  reservable: readonly number[] | null;
}

/**
 * Cores, their speeds and kinds, and the NUMA nodes they belong to, as Linux shows them. `guessMhz` stands where nothing
 * tells a core's speed. Null where the kernel shows none (another system, a restricted container).
 */
export async function readTopology(host: HostFiles, guessMhz: number, rules: CoreRules): Promise<NodeTopology | null> {
  const online = parseCoreList((await host.text(`${CPUS}/online`)) ?? '') ?? [];
  if (online.length === 0) return null;
  const nodes = await numaNodes(host, online);
  const nodeOf = new Map(nodes.flatMap(({ id, cores }) => cores.map((core): [number, number] => [core, id])));
  const slow = await efficiencyCores(host, online);
  const reserved = new Set(rules.reserved);
  const reservable = rules.reservable && new Set(rules.reservable);
  const cores = await Promise.all(
    online.map(async (ID): Promise<NodeCore> => {
      const folder = `${CPUS}/cpu${ID}`;
      return {
        SocketID: Math.max(0, (await host.number(`${folder}/topology/physical_package_id`)) ?? 0),
        NodeID: nodeOf.get(ID) ?? nodes[0]?.id ?? 0,
        ID,
        Grade: !slow.has(ID),
        Disable: reserved.has(ID) || (reservable !== null && !reservable.has(ID)),
        BaseSpeed: mhz(await host.number(`${folder}/cpufreq/base_frequency`)),
        MaxSpeed: mhz(await host.number(`${folder}/cpufreq/cpuinfo_max_freq`)),
        GuessSpeed: Math.round(guessMhz),
      };
    }),
  );
  return {
    Nodes: nodes.map(({ id }) => id),
    Distances: nodes.map(({ distances }) => distances),
    Cores: cores,
    BusAssociativity: nodes.length > 1 ? await busNodes(host) : null,
  };
}

function mhz(khz: number | null): number {
  return khz === null ? 0 : Math.round(khz / 1000);
}

interface NumaNode {
  id: number;
  cores: number[];
  distances: number[];
}

/** Nodes with processors; memory alone is none to run on. A kernel without NUMA has one node. */
async function numaNodes(host: HostFiles, online: readonly number[]): Promise<NumaNode[]> {
  const found: { id: number; cores: number[]; row: number[] }[] = [];
  const all: number[] = [];
  for (const name of await host.names(NODES)) {
    const id = /^node(\d{1,4})$/.exec(name)?.[1];
    if (id === undefined) continue;
    all.push(Number(id));
    const listed = parseCoreList((await host.text(`${NODES}/${name}/cpulist`)) ?? '') ?? [];
    const cores = listed.filter((core) => online.includes(core));
    const row = ((await host.text(`${NODES}/${name}/distance`)) ?? '').split(/\s+/).filter(Boolean).map(Number);
    if (cores.length > 0) found.push({ id: Number(id), cores, row });
  }
  if (found.length === 0) return [{ id: 0, cores: [...online], distances: [NEAR] }];
  // A row has a column for each node, in order of their ids, also for those without processors.
  const columns = found.map(({ id }) => all.indexOf(id));
  return found.map(({ id, cores, row }, i) => ({
    id,
    cores,
    distances: columns.map((column, j) => row[column] || (i === j ? NEAR : FAR)),
  }));
}

/** Of processors with two kinds of cores the slower ones: named by the kernel on Intel's, told by their capacity on ARM's. */
async function efficiencyCores(host: HostFiles, online: readonly number[]): Promise<Set<number>> {
  const atoms = parseCoreList((await host.text('/sys/devices/cpu_atom/cpus')) ?? '') ?? [];
  if (atoms.length > 0 && atoms.length < online.length) return new Set(atoms);
  const capacities = await Promise.all(online.map((core) => host.number(`${CPUS}/cpu${core}/cpu_capacity`)));
  const largest = Math.max(0, ...capacities.map((capacity) => capacity ?? 0));
  // Less than two thirds: boards have cores of one kind that differ by a few percent.
  return new Set(online.filter((_, i) => (capacities[i] ?? largest) * 3 < largest * 2));
}

/** NUMA nodes of cards that compute (display controllers, accelerators, co-processors), by PCI address. */
async function busNodes(host: HostFiles): Promise<Record<string, number>> {
  const nodes: Record<string, number> = {};
  for (const address of await host.names(PCI)) {
    const pciClass = (await host.number(`${PCI}/${address}/class`)) ?? 0;
    if (![0x03, 0x0b, 0x12].includes(pciClass >> 16)) continue;
    const node = await host.number(`${PCI}/${address}/numa_node`);
    if (node !== null && node >= 0) nodes[address] = node;
  }
  return nodes;
}
