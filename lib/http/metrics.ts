import type { MetricPoint } from './agent-facts.js';

/** `/v1/metrics` as Nomad's JSON. */
export function metricsJson(points: readonly MetricPoint[]): object {
  const counter = ({ name, value, labels }: MetricPoint): object => ({
    Name: name,
    Count: 1,
    Rate: 0,
    Sum: value,
    Min: value,
    Max: value,
    Mean: value,
    Stddev: 0,
    Labels: labels,
  });
  return {
    Timestamp: `${new Date().toISOString().slice(0, 19).replace('T', ' ')} +0000 UTC`,
    Gauges: points
      .filter(({ kind }) => kind === 'gauge')
      .map(({ name, value, labels }) => ({ Name: name, Value: value, Labels: labels })),
    Points: [],
    Counters: points.filter(({ kind }) => kind === 'counter').map(counter),
    Samples: [],
  };
}

/** The Prometheus text format (version 0.0.4): dots become underscores, each family has one TYPE line. */
export function metricsText(points: readonly MetricPoint[]): string {
  const families = new Map<string, MetricPoint[]>();
  for (const point of points) {
    const name = point.name.replace(/[^a-zA-Z0-9_:]/g, '_');
    const family = families.get(name);
    if (family) family.push(point);
    else families.set(name, [point]);
  }
  const lines = [...families].flatMap(([name, family]) => [
    `# TYPE ${name} ${family[0]?.kind ?? 'gauge'}`,
    ...family.map((point) => `${name}${labelText(point.labels)} ${point.value}`),
  ]);
  return `${lines.join('\n')}\n`;
}

function labelText(labels: Record<string, string>): string {
  const pairs = Object.entries(labels).map(
    ([key, value]) =>
      `${key.replace(/[^a-zA-Z0-9_]/g, '_')}="${value.replaceAll('\\', '\\\\').replaceAll('"', '\\"').replaceAll('\n', '\\n')}"`,
  );
  return pairs.length > 0 ? `{${pairs.join(',')}}` : '';
}
