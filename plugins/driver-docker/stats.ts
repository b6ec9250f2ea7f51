import { cpus } from 'node:os';
import type { ContainerStats } from 'dockerode';
import type { TaskResourceUsage } from '../../lib/structs/rpc.js';

let coreMhz = 0;

/** The engine's numbers in the shape of the API; shares of the processor are those since the `previous` sample. */
export function toUsage(stats: ContainerStats, previous: ContainerStats | undefined): TaskResourceUsage {
  const memory = stats.memory_stats ?? {};
  const detail = (memory.stats ?? {}) as unknown as Record<string, number>;
  const cpu = stats.cpu_stats?.cpu_usage;
  const before = previous?.cpu_stats.cpu_usage;
  const elapsed = (stats.cpu_stats?.system_cpu_usage ?? 0) - (previous?.cpu_stats.system_cpu_usage ?? 0);
  const cores = stats.cpu_stats?.online_cpus || cpus().length;
  const percent = (now = 0, then = 0): number =>
    previous && elapsed > 0 ? (Math.max(0, now - then) / elapsed) * cores * 100 : 0;
  const total = percent(cpu?.total_usage, before?.total_usage);
  coreMhz ||= cpus()[0]?.speed || 1000;
  return {
    ResourceUsage: {
      MemoryStats: {
        // cgroups v1 and v2 call them differently.
        RSS: detail['rss'] ?? detail['anon'] ?? 0,
        Cache: detail['cache'] ?? detail['file'] ?? 0,
        Swap: detail['swap'] ?? 0,
        Usage: memory.usage ?? 0,
        MaxUsage: memory.max_usage ?? 0,
        KernelUsage: 0,
        KernelMaxUsage: 0,
        Measured: ['RSS', 'Cache', 'Swap', 'Usage', 'Max Usage'],
      },
      CpuStats: {
        SystemMode: percent(cpu?.usage_in_kernelmode, before?.usage_in_kernelmode),
        UserMode: percent(cpu?.usage_in_usermode, before?.usage_in_usermode),
        TotalTicks: (total / 100) * coreMhz,
        ThrottledPeriods: stats.cpu_stats?.throttling_data?.throttled_periods ?? 0,
        ThrottledTime: stats.cpu_stats?.throttling_data?.throttled_time ?? 0,
        Percent: total,
        Measured: ['Throttled Periods', 'Throttled Time', 'Percent', 'User Mode', 'System Mode'],
      },
      DeviceStats: [],
    },
    Timestamp: Date.now() * 1e6,
    Pids: null,
  };
}
