import type { Allocation } from '../../structs/allocation.js';
import type { CsiVolumeListStub } from '../../structs/csi.js';
import type { Node } from '../../structs/node.js';
import type { AllocListStub, HostStats, NodeListStub } from '../../structs/rpc.js';
import type { Separation } from '../../structs/separation.js';
import { toMillis } from '../../util/clock.js';
import { formatDuration } from '../../util/duration.js';
import type { ApiClient } from '../api.js';
import type { Command, Context } from '../command.js';
import { deviceAttributes, deviceDetails, deviceSummary } from '../devices.js';
import { formatPairs, formatTable, formatTime, formatTimeText, paint, shortId } from '../format.js';
import { allocatedTable, detailTexts, hostTable, utilizationTable } from '../host-stats.js';
import { ownNode } from '../pick-node.js';
import { DATA_FLAGS, pageFlags, pageQuery, printData, takeArgs, tellNextPage } from '../print.js';
import { findNode } from '../resolve.js';
import { allocTable } from '../tables.js';

/** What has become of the work in a time without servers is news for a day. */
const SEPARATION_SHOWN_MS = 24 * 3_600_000;

export const command: Command = {
  usage: 'meshnomad node status [options] [node]',
  about: 'Lists the nodes, or shows one: its drivers, what it has and what runs on it. A prefix of the id is enough.',
  flags: {
    ...DATA_FLAGS,
    ...pageFlags('Status == "ready"'),
    allocs: { type: 'bool', help: 'In the list: how many allocations run on each.' },
    quiet: { type: 'bool', help: 'In the list: only the ids.' },
    self: { type: 'bool', help: 'The node of the agent that is asked.' },
    short: { type: 'bool', help: 'Only the node itself and its allocations.' },
    stats: { type: 'bool', help: 'What each processor, disk and device does.' },
    verbose: { type: 'bool', help: 'Whole ids, drivers in detail, all attributes.' },
  },
  async run(context) {
    const { args, flags } = context;
    takeArgs(args, 0, 1, '[node]');
    const api = await context.api();
    if (flags.bool('self')) return show(context, api, await findNode(api, await ownNode(api)));
    if (args[0] === undefined) return list(context, api);
    return show(context, api, await findNode(api, args[0]));
  },
};

async function list(context: Context, api: ApiClient): Promise<number> {
  const { flags, output } = context;
  const { value, nextToken } = await api.get<NodeListStub[] | null>('/v1/nodes', pageQuery(context));
  const nodes = value ?? [];
  if (await printData(context, nodes)) return 0;
  if (nodes.length === 0) {
    output.out('No nodes registered');
    return 0;
  }
  const verbose = flags.bool('verbose');
  if (flags.bool('quiet')) {
    output.out(nodes.map(({ ID }) => shortId(ID, verbose)).join('\n'));
    return 0;
  }
  const running = flags.bool('allocs') ? await countRunning(api, nodes) : undefined;
  const head = [
    'ID',
    'Node Pool',
    'DC',
    'Name',
    'Class',
    ...(verbose ? ['Address', 'Version'] : []),
    'Drain',
    'Eligibility',
    'Status',
    ...(running ? ['Running Allocs'] : []),
  ];
  const rows = nodes.map((node) => [
    shortId(node.ID, verbose),
    node.NodePool,
    node.Datacenter,
    node.Name,
    node.NodeClass,
    ...(verbose ? [node.Address, node.Version] : []),
    String(node.Drain),
    node.SchedulingEligibility,
    node.Status,
    ...(running ? [String(running.get(node.ID) ?? 0)] : []),
  ]);
  output.out(formatTable([head, ...rows]));
  tellNextPage(context, nextToken, 'node status');
  return 0;
}

async function countRunning(api: ApiClient, nodes: readonly NodeListStub[]): Promise<Map<string, number>> {
  const counts = new Map(nodes.map((node) => [node.ID, 0]));
  const { value } = await api.get<AllocListStub[] | null>('/v1/allocations', { namespace: '*' });
  for (const alloc of value ?? [])
    if (alloc.ClientStatus === 'running') counts.set(alloc.NodeID, (counts.get(alloc.NodeID) ?? 0) + 1);
  return counts;
}

async function show(context: Context, api: ApiClient, node: Node): Promise<number> {
  const { flags, output } = context;
  if (await printData(context, node)) return 0;
  const verbose = flags.bool('verbose');
  const stats = await readStats(api, node);
  const title = (text: string): string => paint(output.color, 'bold', text);
  // Without a server nobody knows, and it would be waited for.
  const volumes = api.staleness === '' ? await csiVolumes(api, node).catch(() => []) : [];
  output.out(formatPairs(facts(node, stats, verbose ? [] : [['CSI Volumes', volumes.map(({ ID }) => ID).join(',')]])));
  const allocs = (await api.get<Allocation[] | null>(`/v1/node/${node.ID}/allocations`)).value ?? [];
  if (!flags.bool('short')) {
    if (verbose) output.out(`\n${title('Host Volumes')}\n${hostVolumes(node)}`);
    if (verbose) output.out(`\n${title('CSI Volumes')}\n${csiTable(volumes)}`);
    if (verbose) output.out(`\n${title('Drivers')}\n${driverTable(node)}`);
    output.out(`\n${title('Node Events')}\n${eventTable(node, verbose)}`);
    output.out(`\n${title('Allocated Resources')}\n${allocatedTable(node, allocs)}`);
    if (stats)
      output.out(`\n${title('Allocation Resource Utilization')}\n${await utilizationTable(api, node, allocs)}`);
    if (stats) output.out(`\n${title('Host Resource Utilization')}\n${hostTable(node, stats)}`);
    const apart = stats?.Separation;
    if (apart && (verbose || Date.now() - toMillis(apart.Until) < SEPARATION_SHOWN_MS))
      output.out(`\n${title('Apart From The Servers')}\n${separationTable(apart, verbose)}`);
    const devices = stats?.DeviceStats ?? [];
    if (devices.length > 0) output.out(`\n${title('Device Resource Utilization')}\n${deviceSummary(devices)}`);
    if (stats && flags.bool('stats'))
      for (const [about, text] of detailTexts(stats)) output.out(`\n${title(about)}\n${text}`);
    if (devices.length > 0 && flags.bool('stats')) output.out(`\n${title('Device Stats')}\n${deviceDetails(devices)}`);
    const kinds = node.NodeResources.Devices ?? [];
    if (verbose && kinds.length > 0) output.out(`\n${title('Device Group Attributes')}\n${deviceAttributes(kinds)}`);
  }
  const stubs = allocs.map((alloc) => ({
    ...alloc,
    JobType: alloc.Job?.Type ?? '',
    JobVersion: alloc.Job?.Version ?? 0,
  }));
  output.out(`\n${title('Allocations')}\n${allocTable(stubs, { verbose, nowMs: Date.now() })}`);
  if (verbose)
    output.out(
      `\n${title('Attributes')}\n${formatPairs(Object.entries(node.Attributes).sort(([a], [b]) => (a < b ? -1 : 1)))}`,
    );
  if (verbose && Object.keys(node.Meta ?? {}).length > 0)
    output.out(`\n${title('Meta')}\n${formatPairs(Object.entries(node.Meta ?? {}))}`);
  return 0;
}

/** Undefined when the node cannot be asked: the rest is worth showing all the same. */
async function readStats(api: ApiClient, node: Node): Promise<HostStats | undefined> {
  if (node.Status !== 'ready') return undefined;
  try {
    return (await api.get<HostStats>('/v1/client/stats', { node_id: node.ID })).value;
  } catch {
    return undefined;
  }
}

function facts(node: Node, stats: HostStats | undefined, more: [string, string][]): [string, string | boolean][] {
  const uptime = stats ? formatUptime(stats.Uptime) : '<unknown>';
  return [
    ['ID', node.ID],
    ['Name', node.Name],
    ['Node Pool', node.NodePool],
    ['Class', node.NodeClass],
    ['DC', node.Datacenter],
    ['Drain', drainText(node.DrainStrategy)],
    ['Eligibility', node.SchedulingEligibility],
    [
      'Status',
      node.StatusDescription && node.Status !== 'ready' ? `${node.Status} (${node.StatusDescription})` : node.Status,
    ],
    ['CSI Controllers', Object.keys(node.CSIControllerPlugins ?? {}).join(',')],
    ['CSI Drivers', Object.keys(node.CSINodePlugins ?? {}).join(',')],
    ['Uptime', uptime],
    [
      'Host Volumes',
      Object.keys(node.HostVolumes ?? {})
        .sort()
        .join(','),
    ],
    [
      'Host Networks',
      Object.keys(node.HostNetworks ?? {})
        .sort()
        .join(','),
    ],
    ...more,
    ['Driver Status', driverSummary(node)],
  ];
}

/** Whether it is being drained, until when, and what stays. */
function drainText(drain: Node['DrainStrategy']): string {
  if (!drain) return 'false';
  const end = formatTimeText(drain.ForceDeadline);
  const deadline = drain.Deadline < 0 ? 'force drain' : end === 'N/A' ? 'no deadline' : `${end} deadline`;
  return `true; ${deadline}${drain.IgnoreSystemJobs ? '; ignoring system jobs' : ''}`;
}

function formatUptime(seconds: number): string {
  const hours = Math.floor(seconds / 3600);
  return `${hours}h${Math.floor((seconds % 3600) / 60)}m${Math.floor(seconds % 60)}s`;
}

function driverSummary(node: Node): string {
  return Object.entries(node.Drivers)
    .filter(([, driver]) => driver.Detected)
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([name, driver]) => (driver.Healthy ? name : `${name} (unhealthy)`))
    .join(',');
}

function driverTable(node: Node): string {
  const rows = Object.entries(node.Drivers)
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([name, driver]) => [
      name,
      String(driver.Detected),
      String(driver.Healthy),
      driver.HealthDescription,
      formatTimeText(driver.UpdateTime),
    ]);
  return formatTable([['Driver', 'Detected', 'Healthy', 'Message', 'Time'], ...rows]);
}

function hostVolumes(node: Node): string {
  const rows = Object.values(node.HostVolumes ?? {})
    .sort((a, b) => (a.Name < b.Name ? -1 : 1))
    .map(({ Name, ReadOnly, Path, ID }) => [Name, String(ReadOnly), Path, ID]);
  return rows.length === 0 ? 'No host volumes' : formatTable([['Name', 'ReadOnly', 'Source', 'ID'], ...rows]);
}

/** Those that allocations hold here. */
async function csiVolumes(api: ApiClient, node: Node): Promise<CsiVolumeListStub[]> {
  const query = { type: 'csi', node_id: node.ID, namespace: '*' };
  return (await api.get<CsiVolumeListStub[] | null>('/v1/volumes', query)).value ?? [];
}

function csiTable(volumes: readonly CsiVolumeListStub[]): string {
  const rows = volumes.map(({ ID, Name, Namespace, PluginID, Schedulable, Provider, AccessMode }) => {
    return [ID, Name, Namespace, PluginID, String(Schedulable), Provider, AccessMode];
  });
  const head = ['ID', 'Name', 'Namespace', 'Plugin ID', 'Schedulable', 'Provider', 'Access Mode'];
  return rows.length === 0 ? 'No CSI volumes' : formatTable([head, ...rows]);
}

function eventTable(node: Node, verbose: boolean): string {
  const rows = [...(node.Events ?? [])].reverse().map(({ Timestamp, Subsystem, Message, Details }) => {
    const details = Object.entries(Details ?? {}).map(([key, value]) => `${key} : ${value}`);
    return [formatTimeText(Timestamp), Subsystem, Message, ...(verbose ? [details.join(', ')] : [])];
  });
  return formatTable([['Time', 'Subsystem', 'Message', ...(verbose ? ['Details'] : [])], ...rows]);
}

/** What became of the work of a node while it had no server. */
function separationTable({ Since, Until, Allocs }: Separation, verbose: boolean): string {
  const facts = formatPairs([
    ['Since', formatTime(Since)],
    ['Until', formatTime(Until)],
    ['Lasted', formatDuration(Math.round((Until - Since) / 1e9) * 1e9)],
  ]);
  if (Allocs.length === 0) return `${facts}\n\nNothing ran here`;
  const rows = Allocs.map(({ AllocID, JobID, TaskGroup, Outcome, Why }) => [
    shortId(AllocID, verbose),
    JobID,
    TaskGroup,
    Outcome,
    Why,
  ]);
  return `${facts}\n\n${formatTable([['ID', 'Job', 'Task Group', 'Outcome', 'Why'], ...rows])}`;
}
