import { existsSync, readFileSync } from 'node:fs';
import { cpus } from 'node:os';
import { join } from 'node:path';
import type { Cgroups } from '../../lib/plugin/sdk/cgroup-tree.js';
import type { TaskConfig } from '../../lib/plugin/sdk/driver.js';
import type { ResourceUsage, TaskResourceUsage } from '../../lib/structs/rpc.js';
import { readProcess, type UsageSample } from './processes.js';

// Control groups, version 1 (a tree for each controller) and 2 (one tree): where they are, and what they measure.

const TICKS_PER_S = 100;
const MIB = 1024 * 1024;
const CPU_SHARES_MIN = 2;
const CPU_SHARES_MAX = 262_144;

/** What a task may use at most, and what is left to it when memory is scarce; null = not limited, not said. */
export function memoryLimits({ memoryMb, memoryMaxMb }: Pick<TaskConfig['resources'], 'memoryMb' | 'memoryMaxMb'>): {
  hardBytes: number | null;
  softBytes: number | null;
} {
  const hardMb = memoryMaxMb > 0 ? memoryMaxMb : memoryMb;
  return {
    hardBytes: memoryMaxMb < 0 || hardMb <= 0 ? null : hardMb * MIB,
    softBytes: memoryMaxMb === 0 ? null : memoryMb * MIB,
  };
}

/** The weight of a task among those that want the processor. */
export function cpuShares(cpuMhz: number): number {
  return Math.min(CPU_SHARES_MAX, Math.max(CPU_SHARES_MIN, Math.round(cpuMhz)));
}

/** Whether swap can be limited: a kernel of version 1 may have been started without that. */
export function limitsSwap(cgroups: Cgroups): boolean {
  return cgroups.version === 2 || existsSync(join(cgroups.roots['memory'] ?? '', 'memory.memsw.limit_in_bytes'));
}

/** How often the kernel ended a process of the group because its memory was used up. */
export function oomKills(cgroups: Cgroups, path: string): number {
  const file = cgroups.version === 2 ? 'memory.events' : 'memory.oom_control';
  return fields(read(cgroups, path, 'memory', file))['oom_kill'] ?? 0;
}

/** Memory and processor time of a group; shares of the processor are those since the `previous` sample. */
export function cgroupUsage(
  cgroups: Cgroups,
  path: string,
  previous: UsageSample | undefined,
): { usage: TaskResourceUsage; sample: UsageSample } {
  const { memory, cpu } = cgroups.version === 2 ? readUnified(cgroups, path) : readSplit(cgroups, path);
  const sample: UsageSample = { atMs: performance.now(), userTicks: cpu.userTicks, systemTicks: cpu.systemTicks };
  const elapsedS = previous ? (sample.atMs - previous.atMs) / 1000 : 0;
  const percent = (now: number, before: number): number =>
    elapsedS > 0 ? (Math.max(0, now - before) / TICKS_PER_S / elapsedS) * 100 : 0;
  const UserMode = percent(sample.userTicks, previous?.userTicks ?? 0);
  const SystemMode = percent(sample.systemTicks, previous?.systemTicks ?? 0);
  const usage: ResourceUsage = {
    MemoryStats: {
      ...memory,
      KernelMaxUsage: 0,
      Measured: ['RSS', 'Cache', 'Swap', 'Usage', 'Max Usage', 'Kernel Usage'],
    },
    CpuStats: {
      SystemMode,
      UserMode,
      Percent: SystemMode + UserMode,
      TotalTicks: ((SystemMode + UserMode) / 100) * (cpus()[0]?.speed || 1000),
      ThrottledPeriods: cpu.throttledPeriods,
      ThrottledTime: cpu.throttledNs,
      Measured: ['Throttled Periods', 'Throttled Time', 'Percent', 'User Mode', 'System Mode', 'Total Ticks'],
    },
    DeviceStats: [],
  };
  return { usage: { ResourceUsage: usage, Timestamp: Date.now() * 1e6, Pids: pidsOf(cgroups, path) }, sample };
}

interface Measured {
  memory: Record<'RSS' | 'Cache' | 'Swap' | 'Usage' | 'MaxUsage' | 'KernelUsage', number>;
  /** In hundredths of a second. */
  cpu: { userTicks: number; systemTicks: number; throttledPeriods: number; throttledNs: number };
}

function readUnified(cgroups: Cgroups, path: string): Measured {
  const detail = fields(read(cgroups, path, 'memory', 'memory.stat'));
  const cpu = fields(read(cgroups, path, 'cpu', 'cpu.stat'));
  const file = (name: string): number => Number(read(cgroups, path, 'memory', name)) || 0;
  return {
    memory: {
      RSS: detail['anon'] ?? 0,
      Cache: detail['file'] ?? 0,
      Swap: file('memory.swap.current'),
      Usage: file('memory.current'),
      MaxUsage: file('memory.peak'),
      KernelUsage: detail['kernel'] ?? 0,
    },
    cpu: {
      userTicks: (cpu['user_usec'] ?? 0) / 1e4,
      systemTicks: (cpu['system_usec'] ?? 0) / 1e4,
      throttledPeriods: cpu['nr_throttled'] ?? 0,
      throttledNs: (cpu['throttled_usec'] ?? 0) * 1e3,
    },
  };
}

function readSplit(cgroups: Cgroups, path: string): Measured {
  const detail = fields(read(cgroups, path, 'memory', 'memory.stat'));
  const cpu = fields(read(cgroups, path, 'cpuacct', 'cpuacct.stat'));
  const throttling = fields(read(cgroups, path, 'cpu', 'cpu.stat'));
  const file = (name: string): number => Number(read(cgroups, path, 'memory', name)) || 0;
  return {
    memory: {
      RSS: detail['rss'] ?? 0,
      Cache: detail['cache'] ?? 0,
      Swap: detail['swap'] ?? 0,
      Usage: file('memory.usage_in_bytes'),
      MaxUsage: file('memory.max_usage_in_bytes'),
      KernelUsage: file('memory.kmem.usage_in_bytes'),
    },
    cpu: {
      userTicks: cpu['user'] ?? 0,
      systemTicks: cpu['system'] ?? 0,
      throttledPeriods: throttling['nr_throttled'] ?? 0,
      throttledNs: throttling['throttled_time'] ?? 0,
    },
  };
}

function pidsOf(cgroups: Cgroups, path: string): Record<string, ResourceUsage> {
  const result: Record<string, ResourceUsage> = {};
  for (const word of read(cgroups, path, 'memory', 'cgroup.procs').split('\n')) {
    const found = word === '' ? undefined : readProcess(Number(word));
    if (found) result[word] = processUsage(found.rssBytes);
  }
  return result;
}

function processUsage(rssBytes: number): ResourceUsage {
  const none = { Cache: 0, Swap: 0, MaxUsage: 0, KernelUsage: 0, KernelMaxUsage: 0 };
  return {
    MemoryStats: { ...none, RSS: rssBytes, Usage: rssBytes, Measured: ['RSS', 'Usage'] },
    CpuStats: {
      SystemMode: 0,
      UserMode: 0,
      TotalTicks: 0,
      ThrottledPeriods: 0,
      ThrottledTime: 0,
      Percent: 0,
      Measured: [],
    },
    DeviceStats: [],
  };
}

function read(cgroups: Cgroups, path: string, controller: string, file: string): string {
  const root = cgroups.version === 2 ? cgroups.root : (cgroups.roots[controller] ?? '');
  try {
    return readFileSync(join(root, path, file), 'utf8');
  } catch {
    return '';
  }
}

/** Lines of a word and a number. */
function fields(text: string): Record<string, number> {
  return Object.fromEntries(
    text
      .split('\n')
      .map((line) => line.split(' '))
      .map(([name = '', value = '']) => [name, Number(value)]),
  );
}
