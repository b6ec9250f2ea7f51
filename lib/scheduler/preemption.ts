import type { Allocation } from '../structs/allocation.js';
import { groupOf } from '../structs/group-of.js';
import type { Job } from '../structs/job.js';
import type { Node } from '../structs/node.js';
import { addressesOf, DEFAULT_NETWORK, isReservedPort } from './feasible/addresses.js';
import type { DeviceUse } from './feasible/device-use.js';
import { freeInstances } from './feasible/devices.js';
import type { Fleet } from './fleet.js';
import { type GroupProgram, mhzPerCore } from './group-program.js';
import type { Ledger } from './ledger.js';
import { netPriority } from './rank/fit-score.js';
import { addResources, emptyUsage, isServerTerminal } from './usage.js';

/** Only allocations whose priority is lower by at least this much must make room. */
export const PRIORITY_DELTA = 10;
/** Distance added for every victim of a group beyond its migrate.max_parallel. */
const MAX_PARALLEL_PENALTY = 50;

/** An amount of cpu (MHz), memory (MB) and disk (MB). */
export type Amount = readonly [cpu: number, memory: number, disk: number];

/** How far what an allocation would free is from what is needed: 0 is a perfect match. */
export function preemptionDistance(needed: Amount, freed: Amount): number {
  let sum = 0;
  for (let i = 0; i < 3; i++) {
    const need = needed[i] as number;
    if (need > 0) sum += ((need - (freed[i] as number)) / need) ** 2;
  }
  return Math.sqrt(sum);
}

/** What `victims` of a group in this plan, the next included, cost beyond its max_parallel; 0 as long as it allows them. */
export function maxParallelPenalty(victims: number, maxParallel: number): number {
  return maxParallel > 0 && victims > maxParallel ? (victims - maxParallel) * MAX_PARALLEL_PENALTY : 0;
}

/** Chooses whom to stop on a node, so that a more important allocation fits. One for each attempt at a plan. */
export class Preemption {
  readonly #job: Job;
  readonly #fleet: Fleet;
  readonly #ledger: Ledger;
  /** Victims in this plan by group. */
  readonly #noted = new Map<string, number>();

  constructor(world: { job: Job; fleet: Fleet; ledger: Ledger }) {
    this.#job = world.job;
    this.#fleet = world.fleet;
    this.#ledger = world.ledger;
  }

  /** The plan stops them: their groups have had their share. */
  note(victims: readonly Allocation[]): void {
    for (const victim of victims) {
      const key = groupKey(victim);
      this.#noted.set(key, (this.#noted.get(key) ?? 0) + 1);
    }
  }

  /** Those on a node who may have to go, the least important first. */
  evictable(row: number): Allocation[] {
    const may = this.#ledger.standing(row).filter((alloc) => this.#mayGo(alloc));
    return may.sort((a, b) => priorityOf(a) - priorityOf(b));
  }

  /**
   * Those whose end makes room for a group's allocation, as far as cpu, memory, disk, static ports and devices go: nobody, if it
   * is something else that is short. Null when there is nobody, or not enough.
   */
  victims(program: GroupProgram, row: number): readonly Allocation[] | null {
    const standing = this.#ledger.standing(row);
    const evictable = standing.filter((alloc) => this.#mayGo(alloc));
    if (evictable.length === 0) return null;
    const chosen = new Set<Allocation>();
    const node = this.#fleet.nodes[row] as Node;
    if (!clearPorts(program, { node, standing, evictable, chosen })) return null;
    const usedWithout = (gone: ReadonlySet<Allocation>): DeviceUse => this.#ledger.devicesWithout(row, gone);
    if (!clearDevices(program, { node, standing, evictable, chosen }, usedWithout)) return null;
    if (!this.#clearRoom(program, { row, evictable, chosen })) return null;
    return this.#clearCrowd({ row, evictable, chosen }) ? [...chosen] : null;
  }

  #mayGo(alloc: Allocation): boolean {
    const { Job: theirs } = alloc;
    if (!theirs || isServerTerminal(alloc)) return false;
    if (theirs.ID === this.#job.ID && theirs.Namespace === this.#job.Namespace) return false;
    return theirs.Priority <= this.#job.Priority - PRIORITY_DELTA;
  }

  /** Adds victims until cpu, memory and disk suffice: least important first, and among equals what fits the need best. */
  #clearRoom(
    program: GroupProgram,
    scene: { row: number; evictable: readonly Allocation[]; chosen: Set<Allocation> },
  ): boolean {
    const { row, evictable, chosen } = scene;
    const ask = this.#askOn(program, row);
    const free = this.#freeOn(row);
    for (const alloc of chosen) add(free, amountOf(alloc), 1);
    const needed = [...ask] as [number, number, number];
    const extra: Allocation[] = [];
    const rest = evictable.filter((alloc) => !chosen.has(alloc));
    while (!covers(free, ask)) {
      const next = this.#closest(rest, needed, extra);
      if (!next) return false;
      rest.splice(rest.indexOf(next), 1);
      extra.push(next);
      add(free, amountOf(next), 1);
      add(needed, amountOf(next), -1);
    }
    for (const alloc of this.#withoutSuperfluous(ask, { row, chosen, extra })) chosen.add(alloc);
    return true;
  }

  /** Adds victims, the least important first, until the node may have one more allocation. */
  #clearCrowd(scene: { row: number; evictable: readonly Allocation[]; chosen: Set<Allocation> }): boolean {
    const max = this.#fleet.allocsMax?.[scene.row] ?? Number.POSITIVE_INFINITY;
    const surplus = this.#ledger.count(scene.row) + 1 - max - scene.chosen.size;
    if (surplus <= 0) return true;
    const rest = scene.evictable.filter((alloc) => !scene.chosen.has(alloc));
    if (rest.length < surplus) return false;
    rest.sort((a, b) => priorityOf(a) - priorityOf(b));
    for (const alloc of rest.slice(0, surplus)) scene.chosen.add(alloc);
    return true;
  }

  #closest(rest: readonly Allocation[], needed: Amount, extra: readonly Allocation[]): Allocation | null {
    const lowest = Math.min(...rest.map(priorityOf));
    let best: Allocation | null = null;
    let least = Number.POSITIVE_INFINITY;
    for (const alloc of rest) {
      if (priorityOf(alloc) !== lowest) continue;
      const key = groupKey(alloc);
      const others = (this.#noted.get(key) ?? 0) + extra.filter((one) => groupKey(one) === key).length;
      const penalty = maxParallelPenalty(others + 1, maxParallelOf(alloc));
      const distance = preemptionDistance(needed, amountOf(alloc)) + penalty;
      if (distance >= least) continue;
      best = alloc;
      least = distance;
    }
    return best;
  }

  /** Spares whom the others make superfluous, those farthest from the ask first. */
  #withoutSuperfluous(
    ask: Amount,
    { row, chosen, extra }: { row: number; chosen: ReadonlySet<Allocation>; extra: readonly Allocation[] },
  ): Allocation[] {
    const free = this.#freeOn(row);
    for (const alloc of [...chosen, ...extra]) add(free, amountOf(alloc), 1);
    const far = extra
      .map((alloc) => ({ alloc, amount: amountOf(alloc), distance: preemptionDistance(ask, amountOf(alloc)) }))
      .sort((a, b) => b.distance - a.distance);
    const kept: Allocation[] = [];
    for (const { alloc, amount } of far) {
      add(free, amount, -1);
      if (covers(free, ask)) continue;
      add(free, amount, 1);
      kept.push(alloc);
    }
    return kept;
  }

  #askOn({ cpuMhz, memoryMb, diskMb, cores }: GroupProgram, row: number): Amount {
    return [cpuMhz + (cores > 0 ? cores * mhzPerCore(this.#fleet, row) : 0), memoryMb, diskMb];
  }

  #freeOn(row: number): [number, number, number] {
    const fleet = this.#fleet;
    const ledger = this.#ledger;
    ledger.look(row);
    return [
      (fleet.cpuMhz[row] as number) - (ledger.cpuMhz[row] as number),
      (fleet.memoryMb[row] as number) - (ledger.memoryMb[row] as number),
      (fleet.diskMb[row] as number) - (ledger.diskMb[row] as number),
    ];
  }
}

interface Scene {
  readonly node: Node;
  readonly standing: readonly Allocation[];
  readonly evictable: readonly Allocation[];
  readonly chosen: Set<Allocation>;
}

/** Chooses who holds a static port that is asked for; false when one of them may not be stopped. */
function clearPorts(program: GroupProgram, { node, standing, evictable, chosen }: Scene): boolean {
  const asked = (program.network?.ReservedPorts ?? []).filter(({ IgnoreCollision }) => !IgnoreCollision);
  const known = addressesOf(node);
  for (const port of asked) {
    const network = port.HostNetwork === '' ? DEFAULT_NETWORK : port.HostNetwork;
    const address = known.addresses.find((one) => one.network === network);
    if (!address || isReservedPort(known, address.slot, port.Value)) return false;
    for (const alloc of standing) {
      const holds = (alloc.AllocatedResources.Shared.Ports ?? []).some(
        ({ HostIP, Value, IgnoreCollision }) => HostIP === address.ip && Value === port.Value && !IgnoreCollision,
      );
      if (!holds) continue;
      if (!evictable.includes(alloc)) return false;
      chosen.add(alloc);
    }
  }
  return true;
}

/** Chooses who holds the devices that are asked for; false when those who may be stopped hold too few. */
function clearDevices(
  program: GroupProgram,
  scene: Scene,
  usedWithout: (gone: ReadonlySet<Allocation>) => DeviceUse,
): boolean {
  const { devices } = program;
  if (!devices) return true;
  const { node, chosen } = scene;
  // Every round stops somebody more: of those who share an instance all have to go before it is whole again.
  for (let round = 0; round <= devices.asks.length + scene.evictable.length; round++) {
    const use = usedWithout(chosen);
    if (devices.offer(node, use)) return true;
    const before = chosen.size;
    for (const ask of devices.asks) {
      const options = (node.NodeResources.Devices ?? []).filter(ask.matches).map((device) => {
        const free = freeInstances(device, use, ask.part(device)).length;
        return free >= ask.count ? [] : holdersOf(device, ask.count - free, scene);
      });
      // An ask that some group has enough for is not the one that is short.
      if (options.some((option) => option?.length === 0)) continue;
      const cheapest = options
        .filter((option): option is Allocation[] => option !== null)
        .sort((a, b) => netPriority(a.map(priorityOf)) - netPriority(b.map(priorityOf)))[0];
      if (!cheapest) return false;
      for (const alloc of cheapest) chosen.add(alloc);
      break;
    }
    if (chosen.size === before) return false;
  }
  return false;
}

type Device = NonNullable<Node['NodeResources']['Devices']>[number];

/** The least important holders of `short` instances of a device group; null when those who may go hold fewer. */
function holdersOf(device: Device, short: number, { evictable, chosen }: Scene): Allocation[] | null {
  const healthy = new Set(device.Instances.filter(({ Healthy }) => Healthy).map(({ ID }) => ID));
  const count = (alloc: Allocation): number =>
    Object.values(alloc.AllocatedResources.Tasks)
      .flatMap(({ Devices }) => Devices ?? [])
      .filter(({ Vendor, Type, Name }) => Vendor === device.Vendor && Type === device.Type && Name === device.Name)
      .reduce((sum, { DeviceIDs }) => sum + DeviceIDs.filter((id) => healthy.has(id)).length, 0);
  const holders = evictable
    .filter((alloc) => !chosen.has(alloc))
    .map((alloc) => ({ alloc, held: count(alloc) }))
    .filter(({ held }) => held > 0)
    .sort((a, b) => priorityOf(a.alloc) - priorityOf(b.alloc) || b.held - a.held);
  const option: Allocation[] = [];
  let left = short;
  for (const { alloc, held } of holders) {
    if (left <= 0) break;
    option.push(alloc);
    left -= held;
  }
  return left <= 0 ? option : null;
}

function priorityOf(alloc: Allocation): number {
  return alloc.Job?.Priority ?? 0;
}

function maxParallelOf(alloc: Allocation): number {
  return groupOf(alloc.Job, alloc.TaskGroup)?.Migrate?.MaxParallel ?? 0;
}

function groupKey({ Namespace, JobID, TaskGroup }: Allocation): string {
  return `${Namespace}\0${JobID}\0${TaskGroup}`;
}

function amountOf(alloc: Allocation): Amount {
  const usage = emptyUsage();
  addResources(usage, alloc.AllocatedResources);
  return [usage.cpuMhz, usage.memoryMb, usage.diskMb];
}

function add(into: [number, number, number], amount: Amount, sign: 1 | -1): void {
  for (let i = 0; i < 3; i++) into[i] = (into[i] as number) + sign * (amount[i] as number);
}

function covers(free: Amount, ask: Amount): boolean {
  return free[0] >= ask[0] && free[1] >= ask[1] && free[2] >= ask[2];
}
