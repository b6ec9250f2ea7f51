import type { ResourceUsage, TaskResourceUsage } from '../../structs/rpc.js';
import { fromProtoTime, type ProtoTime } from './times.js';

interface ProtoUsage {
  cpu: {
    system_mode: number;
    user_mode: number;
    total_ticks: number;
    throttled_periods: number;
    throttled_time: number;
    percent: number;
    measured_fields: string[];
  } | null;
  memory: {
    rss: number;
    cache: number;
    swap: number;
    usage: number;
    max_usage: number;
    kernel_usage: number;
    kernel_max_usage: number;
    measured_fields: string[];
  } | null;
}

/** What a driver plugin says of a task's use of the machine. */
export interface ProtoStats {
  timestamp: ProtoTime | null;
  agg_resource_usage: ProtoUsage | null;
  resource_usage_by_pid: Record<string, ProtoUsage>;
}

/** The same in the shape of the API. */
export function toTaskUsage(stats: ProtoStats): TaskResourceUsage {
  const pids = Object.entries(stats.resource_usage_by_pid).map(([pid, usage]) => [pid, toUsage(usage)] as const);
  return {
    ResourceUsage: toUsage(stats.agg_resource_usage),
    Timestamp: Math.round(fromProtoTime(stats.timestamp) * 1e6),
    Pids: pids.length > 0 ? Object.fromEntries(pids) : null,
  };
}

function toUsage(usage: ProtoUsage | null): ResourceUsage {
  const { cpu, memory } = usage ?? { cpu: null, memory: null };
  return {
    MemoryStats: {
      RSS: memory?.rss ?? 0,
      Cache: memory?.cache ?? 0,
      Swap: memory?.swap ?? 0,
      Usage: memory?.usage ?? 0,
      MaxUsage: memory?.max_usage ?? 0,
      KernelUsage: memory?.kernel_usage ?? 0,
      KernelMaxUsage: memory?.kernel_max_usage ?? 0,
      Measured: memory?.measured_fields.map(spoken) ?? [],
    },
    CpuStats: {
      SystemMode: cpu?.system_mode ?? 0,
      UserMode: cpu?.user_mode ?? 0,
      TotalTicks: cpu?.total_ticks ?? 0,
      ThrottledPeriods: cpu?.throttled_periods ?? 0,
      ThrottledTime: cpu?.throttled_time ?? 0,
      Percent: cpu?.percent ?? 0,
      Measured: cpu?.measured_fields.map(spoken) ?? [],
    },
    DeviceStats: [],
  };
}

/** SYSTEM_MODE is "System Mode" in the API. */
function spoken(field: string): string {
  if (field === 'RSS') return field;
  return field
    .split('_')
    .map((word) => word.slice(0, 1) + word.slice(1).toLowerCase())
    .join(' ');
}
