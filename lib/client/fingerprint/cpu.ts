import { availableParallelism, cpus } from 'node:os';
import { HostFiles } from '../../plugin/sdk/host-files.js';
import { coreMhz, formatCoreList, type NodeCore, type NodeTopology } from '../../structs/topology.js';
import type { Facts, Fingerprint } from './fact.js';
import { readTopology } from './topology.js';

/** Assumed where nothing tells the frequency (some virtual machines, small ARM boards): Nomad users can override it. */
const FALLBACK_MHZ = 1000;

/** Cores of both kinds, their frequency and NUMA nodes, and what is left of them for tasks. */
export const cpuFingerprint: Fingerprint = {
  name: 'cpu',
  // Virtual machines are given cores, and lose some, while they run.
  periodMs: 60_000,
  async run({ config }): Promise<Facts> {
    const found = cpus();
    // Kept: where nothing tells what a core can do, how fast it is this second must not change what the node is worth.
    const host = new HostFiles();
    guess ??=
      Math.max(0, ...found.map(({ speed }) => speed)) ||
      speedIn((await host.text('/proc/cpuinfo')) ?? '') ||
      FALLBACK_MHZ;
    const rules = { reserved: config.reserved.cores, reservable: config.reservableCores };
    const topology =
      (await readTopology(host, guess, rules)) ?? plainTopology(availableParallelism(), guess, rules.reserved);
    return cpuFacts(topology, {
      totalMhz: config.cpuTotalMhz,
      reservedMhz: config.reserved.cpuMhz,
      model: found[0]?.model ?? '',
    });
  },
};

let guess: number | undefined;

/** MHz of the fastest core in /proc/cpuinfo, the only place that tells it in most virtual machines; 0 = it does not. Pure. */
export function speedIn(cpuinfo: string): number {
  return Math.max(0, ...[...cpuinfo.matchAll(/^cpu MHz\s*:\s*(\d+(?:\.\d+)?)$/gm)].map(([, mhz]) => Number(mhz)));
}

/** What the processors come to. Pure. */
export function cpuFacts(
  topology: NodeTopology,
  options: { totalMhz: number | null; reservedMhz: number; model: string },
): Facts {
  const { Cores } = topology;
  const sum = (cores: readonly NodeCore[]): number => cores.reduce((all, core) => all + coreMhz(core), 0);
  const disabled = Cores.filter(({ Disable }) => Disable);
  const usable = Cores.filter(({ Disable }) => !Disable);
  const foundMhz = sum(Cores);
  const totalMhz = options.totalMhz ?? foundMhz;
  // With another total than was found, cores are worth their part of that.
  const worth = foundMhz > 0 ? totalMhz / foundMhz : 0;
  const reservedMhz = Math.min(totalMhz, Math.floor(sum(disabled) * worth) + options.reservedMhz);
  return {
    cpu: { totalMhz, cores: Cores.length, reservable: usable.map(({ ID }) => ID), reservedMhz, topology },
    attributes: {
      ...coreAttributes(Cores),
      ...numaAttributes(topology),
      'cpu.reservablecores': String(usable.length),
      'cpu.totalcompute': String(totalMhz),
      'cpu.usablecompute': String(totalMhz - reservedMhz),
      ...(options.model === '' || options.model === 'unknown' ? {} : { 'cpu.modelname': options.model }),
    },
  };
}

function coreAttributes(cores: readonly NodeCore[]): Record<string, string> {
  const fast = cores.filter(({ Grade }) => Grade);
  const slow = cores.filter(({ Grade }) => !Grade);
  const speed = (of: readonly NodeCore[]): string => String(Math.max(...of.map(coreMhz)));
  if (slow.length === 0 || fast.length === 0) {
    return { 'cpu.numcores': String(cores.length), 'cpu.frequency': speed(cores) };
  }
  return {
    'cpu.numcores': String(cores.length),
    'cpu.numcores.performance': String(fast.length),
    'cpu.numcores.efficiency': String(slow.length),
    'cpu.frequency.performance': speed(fast),
    'cpu.frequency.efficiency': speed(slow),
  };
}

function numaAttributes({ Nodes, Cores }: NodeTopology): Record<string, string> {
  const lists = Nodes.map((id): [string, string] => {
    const cores = Cores.filter(({ NodeID }) => NodeID === id).map(({ ID }) => ID);
    return [`numa.node${id}.cores`, formatCoreList(cores)];
  });
  return { 'numa.node.count': String(Nodes.length), ...Object.fromEntries(lists) };
}

/** So many cores of one kind and one node. */
function plainTopology(count: number, mhz: number, reserved: readonly number[]): NodeTopology {
  const Cores = Array.from({ length: Math.max(1, count) }, (_, ID) => ({
    SocketID: 0,
    NodeID: 0,
    ID,
    Grade: true,
    Disable: reserved.includes(ID),
    BaseSpeed: 0,
    MaxSpeed: 0,
    GuessSpeed: mhz,
  }));
  return { Nodes: [0], Distances: [[10]], Cores, BusAssociativity: null };
}
