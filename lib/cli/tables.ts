import type { Allocation, AllocMetric } from '../structs/allocation.js';
import type { Deployment } from '../structs/deployment.js';
import type { AllocListStub } from '../structs/rpc.js';
import { formatAgo, formatPairs, formatTable, formatTime, formatTimeText, shortId } from './format.js';

/** The table of allocations that `job status`, `node status` and `eval status` share. */
export function allocTable(allocs: readonly AllocListStub[], options: { verbose: boolean; nowMs: number }): string {
  const { verbose, nowMs } = options;
  if (allocs.length === 0) return 'No allocations placed';
  const rows = [...allocs]
    .sort((a, b) => b.CreateIndex - a.CreateIndex)
    .map((alloc) => [
      shortId(alloc.ID, verbose),
      ...(verbose ? [shortId(alloc.EvalID, true)] : []),
      shortId(alloc.NodeID, verbose),
      ...(verbose ? [alloc.NodeName] : []),
      alloc.TaskGroup,
      String(alloc.JobVersion),
      alloc.DesiredStatus,
      alloc.ClientStatus,
      verbose ? formatTime(alloc.CreateTime) : formatAgo(alloc.CreateTime, nowMs),
      verbose ? formatTime(alloc.ModifyTime) : formatAgo(alloc.ModifyTime, nowMs),
    ]);
  const head = [
    'ID',
    ...(verbose ? ['Eval ID'] : []),
    'Node ID',
    ...(verbose ? ['Node Name'] : []),
    'Task Group',
    'Version',
    'Desired',
    'Status',
    'Created',
    'Modified',
  ];
  return formatTable([head, ...rows]);
}

/** The table of `deployment list`, the newest first. */
export function deploymentTable(deployments: readonly Deployment[], verbose: boolean): string {
  const rows = [...deployments]
    .sort((a, b) => b.CreateIndex - a.CreateIndex)
    .map((deployment) => [
      shortId(deployment.ID, verbose),
      deployment.JobID,
      String(deployment.JobVersion),
      deployment.Status,
      deployment.StatusDescription,
    ]);
  return formatTable([['ID', 'Job ID', 'Job Version', 'Status', 'Description'], ...rows]);
}

/** A deployment: its facts, and the table of its groups. */
export function deploymentText(deployment: Deployment, options: { verbose: boolean; withJob: boolean }): string {
  const facts: [string, string | number][] = [
    ['ID', shortId(deployment.ID, options.verbose)],
    ...(options.withJob
      ? ([
          ['Job ID', deployment.JobID],
          ['Job Version', deployment.JobVersion],
        ] as [string, string | number][])
      : []),
    ['Status', deployment.Status],
    ['Description', deployment.StatusDescription],
  ];
  return `${formatPairs(facts)}\n\nDeployed\n${deploymentGroups(deployment)}`;
}

function deploymentGroups(deployment: Deployment): string {
  const groups = Object.entries(deployment.TaskGroups);
  const canaries = groups.some(([, group]) => group.DesiredCanaries > 0);
  const autoRevert = groups.some(([, group]) => group.AutoRevert);
  const rows = groups
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([name, group]) => [
      name,
      ...(autoRevert ? [String(group.AutoRevert)] : []),
      ...(canaries ? [group.DesiredCanaries > 0 ? String(group.Promoted) : 'N/A'] : []),
      String(group.DesiredTotal),
      ...(canaries ? [String(group.DesiredCanaries)] : []),
      String(group.PlacedAllocs),
      String(group.HealthyAllocs),
      String(group.UnhealthyAllocs),
      formatTimeText(group.RequireProgressBy),
    ]);
  const head = [
    'Task Group',
    ...(autoRevert ? ['Auto Revert'] : []),
    ...(canaries ? ['Promoted'] : []),
    'Desired',
    ...(canaries ? ['Canaries'] : []),
    'Placed',
    'Healthy',
    'Unhealthy',
    'Progress Deadline',
  ];
  return formatTable([head, ...rows]);
}

/** Why a group was not placed, a line a reason. */
export function metricText(metric: AllocMetric, prefix: string): string {
  const lines: string[] = [];
  if (metric.NodesEvaluated === 0) lines.push('No nodes were eligible for evaluation');
  for (const [datacenter, count] of Object.entries(metric.NodesAvailable ?? {})) {
    if (count === 0) lines.push(`No nodes are available in datacenter ${JSON.stringify(datacenter)}`);
  }
  for (const [name, count] of Object.entries(metric.ClassFiltered ?? {}))
    lines.push(`Class ${JSON.stringify(name)}: ${count} nodes excluded by filter`);
  for (const [name, count] of Object.entries(metric.ConstraintFiltered ?? {})) {
    lines.push(`Constraint ${JSON.stringify(name)}: ${count} nodes excluded by filter`);
  }
  if (metric.NodesExhausted > 0) lines.push(`Resources exhausted on ${metric.NodesExhausted} nodes`);
  for (const [name, count] of Object.entries(metric.ClassExhausted ?? {}))
    lines.push(`Class ${JSON.stringify(name)} exhausted on ${count} nodes`);
  for (const [name, count] of Object.entries(metric.DimensionExhausted ?? {})) {
    lines.push(`Dimension ${JSON.stringify(name)} exhausted on ${count} nodes`);
  }
  for (const dimension of metric.QuotaExhausted ?? []) lines.push(`Quota limit hit ${JSON.stringify(dimension)}`);
  return lines.map((line) => `${prefix}* ${line}`).join('\n');
}

/** The groups that an evaluation could not place. */
export function failedGroupsText(failed: Record<string, AllocMetric>, indent: string): string {
  return Object.entries(failed)
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([group, metric]) => {
      const more =
        metric.CoalescedFailures > 0
          ? ` (failed to place ${metric.CoalescedFailures + 1} allocations)`
          : ' (failed to place 1 allocation)';
      return `${indent}Task Group ${JSON.stringify(group)}${more}:\n${metricText(metric, `${indent}  `)}`;
    })
    .join('\n');
}

/** Why an allocation lies where it does: the nodes that were refused, and the scores of the best ones. */
export function placementText(alloc: Allocation): string {
  const metrics = alloc.Metrics;
  if (!metrics) return '';
  const why = metricText(metrics, '');
  const scores = metrics.ScoreMetaData ?? [];
  const names = [...new Set(scores.flatMap(({ Scores }) => Object.keys(Scores)))].sort();
  const rows = scores.map((score) => [
    score.NodeID,
    ...names.map((name) => formatScore(score.Scores[name] ?? 0)),
    formatScore(score.NormScore),
  ]);
  return `${why === '' ? '' : `${why}\n`}${formatTable([['Node', ...names, 'final score'], ...rows])}`;
}

/** Three significant digits, and no zero that says nothing: `0.153`, `-1`, `0`. */
function formatScore(score: number): string {
  return String(Number(score.toPrecision(3)));
}

/** Whether an evaluation found no place for something; one that waits for a place has not ended yet. */
export function placementFailures({
  Status,
  FailedTGAllocs,
}: {
  Status: string;
  FailedTGAllocs?: Record<string, unknown> | null;
}): string {
  if (Status === 'blocked') return 'N/A - In Progress';
  return String(Object.keys(FailedTGAllocs ?? {}).length > 0);
}
