import type { AllocMetric } from '../structs/allocation.js';
import type { Job } from '../structs/job.js';
import type { NodeListStub } from '../structs/rpc.js';
import type { ApiClient } from './api.js';

/** As many are named. */
const NAMED_MAX = 3;

/** A line for each driver that groups could not be placed for while nodes have it, but not healthy; '' = none. */
export async function driverHealthText(
  api: ApiClient,
  job: Job,
  failed: Readonly<Record<string, AllocMetric>>,
): Promise<string> {
  const groups = job.TaskGroups.filter(({ Name }) => failed[Name]?.ConstraintFiltered?.['missing drivers']);
  if (groups.length === 0) return '';
  const nodes = (await api.get<NodeListStub[] | null>('/v1/nodes')).value ?? [];
  const drivers = [...new Set(groups.flatMap(({ Tasks }) => Tasks.map(({ Driver }) => Driver)))].sort();
  return drivers.flatMap((driver) => unhealthyText(driver, nodes) ?? []).join('\n');
}

function unhealthyText(driver: string, nodes: readonly NodeListStub[]): string | null {
  const sick = nodes.flatMap(({ Name, Drivers, Status }) => {
    const found = Status === 'ready' ? Drivers?.[driver] : undefined;
    return found?.Detected && !found.Healthy ? [`${Name} (${found.HealthDescription})`] : [];
  });
  if (sick.length === 0) return null;
  const more = sick.length > NAMED_MAX ? ', …' : '';
  const where = sick.length === 1 ? '1 node' : `${sick.length} nodes`;
  return `Driver ${JSON.stringify(driver)} is unhealthy on ${where}: ${sick.slice(0, NAMED_MAX).join(', ')}${more}`;
}
