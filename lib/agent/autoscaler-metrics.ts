import type { ScalingReport } from '../autoscaler/index.js';
import type { MetricPoint } from '../http/agent-facts.js';
import type { ScalingStanding } from '../structs/rpc-scaling.js';
import type { Millis } from '../util/clock.js';
import { gauge } from './metrics.js';

const PREFIX = 'nomad-autoscaler';
const RESULTS = { done: 'success', 'no-op': 'noop', failed: 'error' } as const;

interface Sum {
  count: number;
  totalMs: Millis;
}

/** The figures of an agent's autoscaler; they go on through changes of the leader, as counters must. */
export interface AutoscalerMetrics {
  /** Counts what an autoscaler did. */
  count(report: ScalingReport): void;
  /** Under the names of Nomad's autoscaler; a sum of milliseconds is two counters, `_sum` and `_count`. */
  points(standing: readonly ScalingStanding[]): MetricPoint[];
}

export function createAutoscalerMetrics(): AutoscalerMetrics {
  const evaluated: Sum = { count: 0, totalMs: 0 };
  const invoked: Sum = { count: 0, totalMs: 0 };
  // By target and direction, not by policy: policies come and go with jobs, and labels would never end.
  const results = new Map<string, MetricPoint>();
  return {
    count(report) {
      const sum = report.type === 'evaluated' ? evaluated : invoked;
      sum.count++;
      sum.totalMs += report.tookMs;
      if (report.type === 'evaluated') return;
      const { target, direction, result } = report;
      const name = `${PREFIX}.scale.invoke.${RESULTS[result]}_count`;
      const key = `${name} ${target} ${direction}`;
      const point = results.get(key);
      const labels = { target_name: target, direction };
      results.set(key, { name, kind: 'counter', value: (point?.value ?? 0) + 1, labels });
    },
    points: (standing) => [
      gauge(`${PREFIX}.policy.total_num`, standing.length),
      ...byState(standing),
      gauge(`${PREFIX}.power.asleep_num`, total(standing, 'asleep')),
      gauge(`${PREFIX}.power.saved_wh`, total(standing, 'saved_wh')),
      ...sumPoints(`${PREFIX}.scale.evaluate_ms`, evaluated),
      ...sumPoints(`${PREFIX}.scale.invoke_ms`, invoked),
      ...results.values(),
    ],
  };
}

const STATES: readonly ScalingStanding['State'][] = [
  'idle',
  'evaluating',
  'scaling',
  'disabled',
  'off-schedule',
  'invalid',
];

/** States without a policy are told as 0: a graph shows no gap then. */
function byState(standing: readonly ScalingStanding[]): MetricPoint[] {
  return STATES.map((state) =>
    gauge(`${PREFIX}.policy.state_num`, standing.filter(({ State }) => State === state).length, { state }),
  );
}

/** What the targets of all policies say of themselves under a key. */
const total = (standing: readonly ScalingStanding[], key: string): number =>
  standing.reduce((sum, { Last }) => sum + (Number(Last?.Meta[key]) || 0), 0);

const sumPoints = (name: string, { count, totalMs }: Sum): MetricPoint[] => [
  { name: `${name}_sum`, kind: 'counter', value: totalMs, labels: {} },
  { name: `${name}_count`, kind: 'counter', value: count, labels: {} },
];
