import type { Allocation } from '../structs/allocation.js';
import type { Node } from '../structs/node.js';
import type { AllocResourceUsage, HostStats } from '../structs/rpc.js';
import type { ApiClient } from './api.js';
import { formatBytes, formatMegabytes, formatPairs, formatTable } from './format.js';

/** So many allocations are asked at once for what they use. */
const ASKED_AT_ONCE = 16;

/** What a node's live allocations were given, of what it has for them. */
export function allocatedTable(node: Node, allocs: readonly Allocation[]): string {
  let cpu = 0;
  let memory = 0;
  let disk = 0;
  const live = allocs.filter(({ ClientStatus }) => ClientStatus === 'running' || ClientStatus === 'pending');
  for (const alloc of live) {
    for (const task of Object.values(alloc.AllocatedResources.Tasks)) {
      cpu += task.Cpu.CpuShares;
      memory += task.Memory.MemoryMB;
    }
    disk += alloc.AllocatedResources.Shared.DiskMB;
  }
  const { cpuMhz, memoryMb } = totals(node);
  const diskMb = node.NodeResources.Disk.DiskMB - node.ReservedResources.Disk.DiskMB;
  return formatTable([
    ['CPU', 'Memory', 'Disk', 'Alloc Count'],
    [
      `${cpu}/${cpuMhz} MHz`,
      `${formatMegabytes(memory)}/${formatMegabytes(memoryMb)}`,
      `${formatMegabytes(disk)}/${formatMegabytes(diskMb)}`,
      String(live.length),
    ],
  ]);
}

/** What its running allocations use of it now. One that cannot be asked counts as nothing. */
export async function utilizationTable(api: ApiClient, node: Node, allocs: readonly Allocation[]): Promise<string> {
  const running = allocs.filter(({ ClientStatus }) => ClientStatus === 'running');
  let ticks = 0;
  let bytes = 0;
  for (let i = 0; i < running.length; i += ASKED_AT_ONCE) {
    const usages = await Promise.allSettled(
      running
        .slice(i, i + ASKED_AT_ONCE)
        .map(({ ID }) => api.get<AllocResourceUsage>(`/v1/client/allocation/${ID}/stats`)),
    );
    for (const usage of usages) {
      if (usage.status === 'rejected') continue;
      const { CpuStats, MemoryStats } = usage.value.value.ResourceUsage;
      ticks += CpuStats.TotalTicks;
      bytes += MemoryStats.RSS || MemoryStats.Usage;
    }
  }
  const { cpuMhz, memoryMb } = totals(node);
  return formatTable([
    ['CPU', 'Memory'],
    [`${Math.round(ticks)}/${cpuMhz} MHz`, `${formatBytes(bytes)}/${formatMegabytes(memoryMb)}`],
  ]);
}

/** What the whole machine does, whoever makes it do so. */
export function hostTable(node: Node, stats: HostStats): string {
  const { Memory: memory, AllocDirStats: disk } = stats;
  return formatTable([
    ['CPU', 'Memory', 'Disk'],
    [
      `${Math.round(stats.CPUTicksConsumed)}/${node.NodeResources.Cpu.CpuShares} MHz`,
      `${formatBytes(memory.Used)}/${formatBytes(memory.Total)}`,
      disk ? `${formatBytes(disk.Used)}/${formatBytes(disk.Size)}` : 'N/A',
    ],
  ]);
}

/** Each processor, the memory and each disk, as paragraphs under their titles. */
export function detailTexts({ CPU, Memory, DiskStats }: HostStats): [title: string, text: string][] {
  const percent = (value: number): string => `${value.toFixed(2)}%`;
  const cpus = CPU.map((cpu) =>
    formatPairs([
      ['CPU', cpu.CPU],
      ['User', percent(cpu.User)],
      ['System', percent(cpu.System)],
      ['Idle', percent(cpu.Idle)],
    ]),
  );
  const memory = formatPairs([
    ['Total', formatBytes(Memory.Total)],
    ['Available', formatBytes(Memory.Available)],
    ['Used', formatBytes(Memory.Used)],
    ['Free', formatBytes(Memory.Free)],
  ]);
  const disks = DiskStats.map((disk) =>
    formatPairs([
      ['Device', disk.Device],
      ['MountPoint', disk.Mountpoint],
      ['Size', formatBytes(disk.Size)],
      ['Used', formatBytes(disk.Used)],
      ['Available', formatBytes(disk.Available)],
      ['Used Percent', percent(disk.UsedPercent)],
      ['Inodes Percent', percent(disk.InodesUsedPercent)],
    ]),
  );
  return [
    ['CPU Stats', cpus.join('\n\n')],
    ['Memory Stats', memory],
    ...(disks.length > 0 ? ([['Disk Stats', disks.join('\n\n')]] as [string, string][]) : []),
  ];
}

function totals({ NodeResources: all, ReservedResources: reserved }: Node): { cpuMhz: number; memoryMb: number } {
  return {
    cpuMhz: all.Cpu.CpuShares - reserved.Cpu.CpuShares,
    memoryMb: all.Memory.MemoryMB - reserved.Memory.MemoryMB,
  };
}
