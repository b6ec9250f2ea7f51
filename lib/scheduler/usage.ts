import type { Allocation } from '../structs/allocation.js';
import type { Node } from '../structs/node.js';
import type { AllocatedPort, AllocatedResources, AllocatedTaskResources } from '../structs/resources.js';

/** What allocations take of a node. */
export interface Usage {
  cpuMhz: number;
  memoryMb: number;
  diskMb: number;
  /** Ids of CPU cores that are taken whole. */
  cores: number[];
}

/** What a node has for allocations: all it has, less what is reserved for the machine itself. */
export interface Capacity {
  readonly cpuMhz: number;
  readonly memoryMb: number;
  readonly diskMb: number;
}

/** What a node has for allocations. */
export function capacityOf(node: Node): Capacity {
  const { NodeResources: all, ReservedResources: reserved } = node;
  return {
    cpuMhz: all.Cpu.CpuShares - reserved.Cpu.CpuShares,
    memoryMb: all.Memory.MemoryMB - reserved.Memory.MemoryMB,
    diskMb: all.Disk.DiskMB - reserved.Disk.DiskMB,
  };
}

/** Whether the client has reported an end that cannot be taken back. */
export function isClientTerminal(alloc: Allocation): boolean {
  return alloc.ClientStatus === 'complete' || alloc.ClientStatus === 'failed' || alloc.ClientStatus === 'lost';
}

/** Whether the server no longer wants it to run. */
export function isServerTerminal(alloc: Allocation): boolean {
  return alloc.DesiredStatus === 'stop' || alloc.DesiredStatus === 'evict';
}

/** Whether it will not run again, whoever decided so. */
export function isTerminal(alloc: Allocation): boolean {
  return isServerTerminal(alloc) || isClientTerminal(alloc);
}

export function emptyUsage(): Usage {
  return { cpuMhz: 0, memoryMb: 0, diskMb: 0, cores: [] };
}

/** Adds (or, with sign −1, takes away) what an allocation holds. Cores are only ever added. */
export function addResources(into: Usage, resources: AllocatedResources, sign: 1 | -1 = 1): void {
  into.diskMb += sign * resources.Shared.DiskMB;
  const lifecycles = resources.TaskLifecycles;
  if (lifecycles && hasLifecycle(lifecycles)) {
    const peak = peakOfLifecycles(resources);
    into.cpuMhz += sign * peak.cpuMhz;
    into.memoryMb += sign * peak.memoryMb;
  }
  const flat = !lifecycles || !hasLifecycle(lifecycles);
  const tasks = resources.Tasks;
  for (const name in tasks) {
    const task = tasks[name] as AllocatedTaskResources;
    if (flat) {
      into.cpuMhz += sign * task.Cpu.CpuShares;
      into.memoryMb += sign * task.Memory.MemoryMB;
    }
    if (sign === 1 && task.Cpu.ReservedCores) into.cores.push(...task.Cpu.ReservedCores);
  }
}

function hasLifecycle(lifecycles: NonNullable<AllocatedResources['TaskLifecycles']>): boolean {
  for (const name in lifecycles) if (lifecycles[name]) return true;
  return false;
}

/**
 * Tasks that never run at the same time share what they ask for: the larger of prestart, main (with poststart) and
 * poststop counts, and sidecars, which run throughout, on top.
 */
function peakOfLifecycles(resources: AllocatedResources): { cpuMhz: number; memoryMb: number } {
  const sum = { before: [0, 0], main: [0, 0], after: [0, 0], beside: [0, 0] };
  for (const [name, task] of Object.entries(resources.Tasks)) {
    const lifecycle = resources.TaskLifecycles?.[name] ?? null;
    const phase =
      lifecycle?.Hook === 'prestart'
        ? lifecycle.Sidecar
          ? sum.beside
          : sum.before
        : lifecycle?.Hook === 'poststop'
          ? sum.after
          : sum.main;
    phase[0] = (phase[0] ?? 0) + task.Cpu.CpuShares;
    phase[1] = (phase[1] ?? 0) + task.Memory.MemoryMB;
  }
  const peak = (i: number): number =>
    Math.max(sum.before[i] ?? 0, sum.main[i] ?? 0, sum.after[i] ?? 0) + (sum.beside[i] ?? 0);
  return { cpuMhz: peak(0), memoryMb: peak(1) };
}

const NO_PORTS: readonly number[] = [];

/** Numbers of the ports that are taken with these resources and not shared with others. */
export function portsHeld({ Shared: { Ports } }: AllocatedResources): readonly number[] {
  if (Ports === null || Ports.length === 0) return NO_PORTS;
  const held: number[] = [];
  for (let i = 0; i < Ports.length; i++) {
    const { IgnoreCollision, Value } = Ports[i] as AllocatedPort;
    if (!IgnoreCollision) held.push(Value);
  }
  return held;
}

/** Whether cores or device instances, which are told apart one by one, are among these resources. */
export function holdsThings({ Tasks }: AllocatedResources): boolean {
  for (const name in Tasks) {
    const task = Tasks[name] as AllocatedTaskResources;
    if ((task.Cpu.ReservedCores?.length ?? 0) > 0 || (task.Devices?.length ?? 0) > 0) return true;
  }
  return false;
}
