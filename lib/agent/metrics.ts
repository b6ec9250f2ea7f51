import { performance } from 'node:perf_hooks';
import type { MetricPoint } from '../http/agent-facts.js';

/** Where the figures of one part of the agent come from, each time they are asked for. */
export type MetricSource = () => MetricPoint[];

export interface Metrics {
  add(source: MetricSource): void;
  read(): MetricPoint[];
}

/** A figure that goes up and down, for sources. */
export function gauge(name: string, value: number, labels: Record<string, string> = {}): MetricPoint {
  return { name, kind: 'gauge', value, labels };
}

/** Figures are read when asked for, never kept: what nobody scrapes costs nothing. */
export function createMetrics(): Metrics {
  const sources: MetricSource[] = [runtime()];
  return {
    add: (source) => void sources.push(source),
    read: () => sources.flatMap((source) => source()),
  };
}

function runtime(): MetricSource {
  let before = performance.eventLoopUtilization();
  return () => {
    const now = performance.eventLoopUtilization();
    const { utilization } = performance.eventLoopUtilization(now, before);
    before = now;
    const memory = process.memoryUsage();
    const { user, system } = process.cpuUsage();
    return [
      gauge('nomad.runtime.alloc_bytes', memory.heapUsed),
      gauge('nomad.runtime.sys_bytes', memory.rss),
      gauge('nomad.runtime.uptime_seconds', process.uptime()),
      gauge('nomad.runtime.event_loop_utilization', utilization),
      { name: 'nomad.runtime.cpu_seconds', kind: 'counter', value: (user + system) / 1e6, labels: {} },
    ];
  };
}
