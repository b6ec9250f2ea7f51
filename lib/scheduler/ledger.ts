import type { Allocation } from '../structs/allocation.js';
import type { Node } from '../structs/node.js';
import type { AllocatedResources } from '../structs/resources.js';
import type { Columns } from './columns.js';
import { addressesOf } from './feasible/addresses.js';
import { DeviceUse } from './feasible/device-use.js';
import { PortUse } from './feasible/port-use.js';
import type { Fleet } from './fleet.js';
import { PartedMap } from './parted-map.js';
import type { StateReader } from './ports.js';
import { addResources, emptyUsage, isClientTerminal, type Usage } from './usage.js';

/** A number of an id that ends as it likes. */
const lastLetters = (id: string): number => id.charCodeAt(id.length - 1) + 17 * id.charCodeAt(id.length - 2);

/**
 * What each node would hold if the plan so far were applied. A node is added up when it is first looked at and kept up to
 * date from then on, so an evaluation costs as much as the nodes it looks at, not as many as there are.
 */
export class Ledger {
  readonly cpuMhz: Float64Array;
  readonly memoryMb: Float64Array;
  readonly diskMb: Float64Array;
  readonly #fleet: Fleet;
  readonly #state: StateReader;
  readonly #known: Uint8Array;
  readonly #ports: (PortUse | undefined)[];
  readonly #devices = new Map<number, DeviceUse>();
  /** Allocations of the snapshot that the plan stops or replaces. */
  readonly #removed = new PartedMap<string, true>(lastLetters);
  /** What the plan has put on a node, for what is added up late: ports and cores. */
  readonly #placed: (AllocatedResources[] | undefined)[];
  readonly #listeners: ((row: number) => void)[] = [];
  readonly #scratch: Usage = emptyUsage();
  /** How many allocations were read to add up ports, cores and devices. */
  reads = 0;

  constructor(fleet: Fleet, state: StateReader, columns: Columns) {
    this.#fleet = fleet;
    this.#state = state;
    this.cpuMhz = columns.float64(0);
    this.memoryMb = columns.float64(0);
    this.diskMb = columns.float64(0);
    this.#known = columns.uint8(0);
    this.#ports = columns.slots();
    this.#placed = columns.slots();
  }

  /** Calls back with each row whose usage has changed. */
  onChange(listener: (row: number) => void): void {
    this.#listeners.push(listener);
  }

  /** Makes the columns right for a row; must come before they are read. */
  look(row: number): void {
    if (this.#known[row] === 1) return;
    this.#known[row] = 1;
    const nodeId = (this.#fleet.nodes[row] as Node).ID;
    const usage = this.#state.usageByNode?.(nodeId);
    if (usage) {
      this.cpuMhz[row] = usage[0] as number;
      this.memoryMb[row] = usage[1] as number;
      this.diskMb[row] = usage[2] as number;
      return;
    }
    const existing = this.#state.allocsByNode(nodeId);
    for (let i = 0; i < existing.length; i++) {
      const alloc = existing[i] as Allocation;
      if (isClientTerminal(alloc) || this.#removed.has(alloc.ID)) continue;
      this.#add(row, alloc.AllocatedResources, 1);
    }
  }

  /** The plan stops or replaces an allocation of the snapshot. */
  remove(alloc: Allocation): void {
    if (this.#removed.has(alloc.ID)) return;
    const row = this.#fleet.rowOf.get(alloc.NodeID);
    // A sum of all that is there must be looked up before something is taken out of it.
    if (row !== undefined && this.#state.usageByNode) this.look(row);
    this.#removed.set(alloc.ID, true);
    this.#turn(alloc, -1);
  }

  /** Whether the plan stops or replaces an allocation. */
  isRemoved(allocId: string): boolean {
    return this.#removed.has(allocId);
  }

  /** Takes a remove() back. */
  restore(alloc: Allocation): void {
    if (this.#removed.delete(alloc.ID)) this.#turn(alloc, 1);
  }

  /** The plan places something on a node. */
  place(row: number, resources: AllocatedResources): void {
    this.look(row);
    this.#add(row, resources, 1);
    const placed = this.#placed[row];
    if (placed) placed.push(resources);
    else this.#placed[row] = [resources];
    this.#ports[row]?.add(resources.Shared.Ports);
    this.#devices.get(row)?.add(resources);
    this.#changed(row);
  }

  /** The ports in use on a node. */
  ports(row: number): PortUse {
    let use = this.#ports[row];
    if (!use) {
      const node = this.#fleet.nodes[row] as Node;
      const numbers = this.#state.portsByNode?.(node.ID);
      const read = (ports: PortUse): void => this.#eachStanding(row, ({ Shared }) => ports.add(Shared.Ports));
      use = new PortUse(addressesOf(node), numbers ? { numbers, read } : null);
      this.#ports[row] = use;
      if (!numbers) read(use);
      const placed = this.#placed[row] ?? [];
      for (const { Shared } of placed) use.add(Shared.Ports);
      this.reads += placed.length;
    }
    return use;
  }

  /** The device instances in use on a node. */
  devices(row: number): DeviceUse {
    let use = this.#devices.get(row);
    if (!use) {
      use = new DeviceUse();
      this.#devices.set(row, use);
      const devices = use;
      this.#eachOwner(row, (resources) => devices.add(resources));
    }
    return use;
  }

  /** The device instances that would be in use on a node without some of its standing allocations. */
  devicesWithout(row: number, gone: ReadonlySet<Allocation>): DeviceUse {
    const use = new DeviceUse();
    for (const alloc of this.standing(row)) if (!gone.has(alloc)) use.add(alloc.AllocatedResources);
    for (const resources of this.#placed[row] ?? []) use.add(resources);
    return use;
  }

  /** Allocations of the snapshot that hold something of a node and are not stopped by the plan. */
  standing(row: number): Allocation[] {
    const existing = this.#state.allocsByNode((this.#fleet.nodes[row] as Node).ID);
    return existing.filter((alloc) => !isClientTerminal(alloc) && !this.#removed.has(alloc.ID));
  }

  /** How many allocations would be on a node. */
  count(row: number): number {
    return this.standing(row).length + (this.#placed[row]?.length ?? 0);
  }

  /** The cores of a node that nothing holds whole, lowest first. */
  freeCores(row: number): number[] {
    const taken = new Set<number>();
    this.#eachOwner(row, ({ Tasks }) => {
      for (const task of Object.values(Tasks)) for (const core of task.Cpu.ReservedCores ?? []) taken.add(core);
    });
    const all = (this.#fleet.nodes[row] as Node).NodeResources.Cpu.ReservableCpuCores ?? [];
    return all.filter((core) => !taken.has(core)).sort((a, b) => a - b);
  }

  /** Hands over all that may hold cores or devices of a node. */
  #eachOwner(row: number, use: (resources: AllocatedResources) => void): void {
    const owners = this.#state.usageByNode?.((this.#fleet.nodes[row] as Node).ID)[3];
    if (owners !== 0) this.#eachStanding(row, use);
    const placed = this.#placed[row];
    this.reads += placed?.length ?? 0;
    if (placed) for (let i = 0; i < placed.length; i++) use(placed[i] as AllocatedResources);
  }

  /** Hands over what the allocations of the snapshot hold of a node, but for those that the plan stops. */
  #eachStanding(row: number, use: (resources: AllocatedResources) => void): void {
    const existing = this.#state.allocsByNode((this.#fleet.nodes[row] as Node).ID);
    this.reads += existing.length;
    for (let i = 0; i < existing.length; i++) {
      const alloc = existing[i] as Allocation;
      if (!isClientTerminal(alloc) && !this.#removed.has(alloc.ID)) use(alloc.AllocatedResources);
    }
  }

  #turn(alloc: Allocation, sign: 1 | -1): void {
    const row = this.#fleet.rowOf.get(alloc.NodeID);
    if (row === undefined || isClientTerminal(alloc)) return;
    if (this.#known[row] === 1) this.#add(row, alloc.AllocatedResources, sign);
    // Ports cannot be taken out one by one, for two holders may share one: add them up anew when next asked for.
    this.#ports[row] = undefined;
    this.#devices.delete(row);
    this.#changed(row);
  }

  #add(row: number, resources: AllocatedResources, sign: 1 | -1): void {
    const sum = this.#scratch;
    sum.cpuMhz = 0;
    sum.memoryMb = 0;
    sum.diskMb = 0;
    sum.cores.length = 0;
    addResources(sum, resources, sign);
    this.cpuMhz[row] = (this.cpuMhz[row] as number) + sum.cpuMhz;
    this.memoryMb[row] = (this.memoryMb[row] as number) + sum.memoryMb;
    this.diskMb[row] = (this.diskMb[row] as number) + sum.diskMb;
  }

  #changed(row: number): void {
    for (const listener of this.#listeners) listener(row);
  }
}
