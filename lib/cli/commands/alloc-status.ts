import type { Allocation, TaskEvent, TaskState } from '../../structs/allocation.js';
import { groupOf } from '../../structs/group-of.js';
import type { Task } from '../../structs/job.js';
import type { AllocResourceUsage } from '../../structs/rpc.js';
import { volumeSource } from '../../structs/volume.js';
import { formatDuration } from '../../util/duration.js';
import type { ApiClient } from '../api.js';
import type { Command, Context } from '../command.js';
import { taskDevices } from '../devices.js';
import {
  formatAgo,
  formatBytes,
  formatMegabytes,
  formatPairs,
  formatTable,
  formatTime,
  formatTimeText,
  paint,
  shortId,
} from '../format.js';
import { DATA_FLAGS, printData, takeArgs } from '../print.js';
import { findAllocation } from '../resolve.js';
import { placementText } from '../tables.js';

export const command: Command = {
  usage: 'meshnomad alloc status [options] <allocation>',
  about: 'Shows an allocation: where it is, what its tasks do and what happened to them. A prefix of the id is enough.',
  flags: {
    ...DATA_FLAGS,
    short: { type: 'bool', help: 'A line for each task.' },
    stats: { type: 'bool', help: 'What it uses in detail.' },
    verbose: { type: 'bool', help: 'Whole ids, and how the node was chosen.' },
  },
  async run(context) {
    const { args, flags, output } = context;
    takeArgs(args, 1, 1, '<allocation>');
    const api = await context.api();
    const alloc = await findAllocation(api, args[0] as string);
    if (await printData(context, alloc)) return 0;
    const shown = flags.bool('short') ? shortFacts : facts;
    output.out(formatPairs(shown(alloc, flags.bool('verbose'), Date.now())));
    const ports = portTable(alloc);
    if (ports !== '') output.out(`\n${title(context, addressesTitle(alloc))}\n${ports}`);
    if (flags.bool('short')) {
      output.out(`\n${title(context, 'Tasks')}\n${shortTable(alloc)}`);
      return 0;
    }
    const usage = await readUsage(api, alloc);
    for (const task of tasksOf(alloc)) output.out(`\n${taskText(context, alloc, task, usage)}`);
    if (flags.bool('verbose') && alloc.Metrics)
      output.out(`\n${title(context, 'Placement Metrics')}\n${placementText(alloc)}`);
    return 0;
  },
};

function title({ output }: Context, text: string): string {
  return paint(output.color, 'bold', text);
}

type Facts = [string, string | number | boolean][];

function timeText(ns: number, verbose: boolean, nowMs: number): string {
  return verbose ? formatTime(ns) : formatAgo(ns, nowMs);
}

function shortFacts({ ID, Name, CreateTime, ModifyTime }: Allocation, verbose: boolean, nowMs: number): Facts {
  return [
    ['ID', ID],
    ['Name', Name],
    ['Created', timeText(CreateTime, verbose, nowMs)],
    ['Modified', timeText(ModifyTime, verbose, nowMs)],
  ];
}

function facts(alloc: Allocation, verbose: boolean, nowMs: number): Facts {
  const health = alloc.DeploymentStatus?.Healthy;
  return [
    ['ID', alloc.ID],
    ['Eval ID', shortId(alloc.EvalID, verbose)],
    ['Name', alloc.Name],
    ['Node ID', shortId(alloc.NodeID, verbose)],
    ['Node Name', alloc.NodeName],
    ['Job ID', alloc.JobID],
    ['Job Version', alloc.Job?.Version ?? 0],
    ['Client Status', alloc.ClientStatus],
    ['Client Description', alloc.ClientDescription],
    ['Desired Status', alloc.DesiredStatus],
    ['Desired Description', alloc.DesiredDescription],
    ['Created', timeText(alloc.CreateTime, verbose, nowMs)],
    ['Modified', timeText(alloc.ModifyTime, verbose, nowMs)],
    ...(alloc.DeploymentID === ''
      ? []
      : ([
          ['Deployment ID', shortId(alloc.DeploymentID, verbose)],
          ['Deployment Health', health === undefined || health === null ? 'unset' : health ? 'healthy' : 'unhealthy'],
          ...(alloc.DeploymentStatus?.Canary ? [['Canary', true]] : []),
        ] as [string, string | boolean][])),
    ...(alloc.NextAllocation === ''
      ? []
      : ([['Replacement Alloc ID', shortId(alloc.NextAllocation, verbose)]] as [string, string][])),
    ...(alloc.PreviousAllocation === ''
      ? []
      : ([['Previous Alloc ID', shortId(alloc.PreviousAllocation, verbose)]] as [string, string][])),
    ...(verbose && alloc.Metrics ? searchFacts(alloc.Metrics) : []),
  ];
}

/** How the search for its node went. */
function searchFacts(metrics: NonNullable<Allocation['Metrics']>): Facts {
  return [
    ['Evaluated Nodes', metrics.NodesEvaluated],
    ['Filtered Nodes', metrics.NodesFiltered],
    ['Exhausted Nodes', metrics.NodesExhausted],
    ['Allocation Time', formatDuration(metrics.AllocationTime)],
    ['Failures', metrics.CoalescedFailures],
  ];
}

function addressesTitle(alloc: Allocation): string {
  const mode = alloc.AllocatedResources?.Shared.Networks?.[0]?.Mode ?? '';
  return mode === '' || mode === 'host'
    ? 'Allocation Addresses:'
    : `Allocation Addresses (mode = ${JSON.stringify(mode)}):`;
}

function portTable(alloc: Allocation): string {
  const ports = alloc.AllocatedResources?.Shared.Ports ?? [];
  if (ports.length === 0) return '';
  const group = groupOf(alloc.Job, alloc.TaskGroup);
  const fixed = new Set(group?.Networks?.flatMap((network) => network.ReservedPorts ?? []).map(({ Label }) => Label));
  const rows = ports.map((port) => [
    `*${port.Label}`,
    fixed.has(port.Label) ? 'no' : 'yes',
    `${port.HostIP.includes(':') ? `[${port.HostIP}]` : port.HostIP}:${port.Value}${port.To > 0 ? ` -> ${port.To}` : ''}`,
  ]);
  return formatTable([['Label', 'Dynamic', 'Address'], ...rows]);
}

function tasksOf(alloc: Allocation): Task[] {
  return groupOf(alloc.Job, alloc.TaskGroup)?.Tasks ?? [];
}

function shortTable(alloc: Allocation): string {
  const rows = tasksOf(alloc).map(({ Name, Lifecycle }) => {
    const state = alloc.TaskStates?.[Name];
    const last = state?.Events.at(-1);
    const time = last ? formatTime(last.Time) : '';
    return [Name, state?.State ?? 'pending', last?.Type ?? '', time, lifecycleText(Lifecycle)];
  });
  return formatTable([['Name', 'State', 'Last Event', 'Time', 'Lifecycle'], ...rows]);
}

/** Undefined when the client cannot be asked: the rest is worth showing all the same. */
async function readUsage(api: ApiClient, alloc: Allocation): Promise<AllocResourceUsage | undefined> {
  if (alloc.ClientStatus !== 'running') return undefined;
  try {
    return (await api.get<AllocResourceUsage>(`/v1/client/allocation/${alloc.ID}/stats`)).value;
  } catch {
    return undefined;
  }
}

function lifecycleText(lifecycle: Task['Lifecycle']): string {
  return lifecycle ? `${lifecycle.Hook}${lifecycle.Sidecar ? ' sidecar' : ''}` : 'main';
}

function taskText(context: Context, alloc: Allocation, task: Task, usage: AllocResourceUsage | undefined): string {
  const state = alloc.TaskStates?.[task.Name];
  const lifecycle = task.Lifecycle ? ` (${lifecycleText(task.Lifecycle)})` : '';
  const parts = [
    title(
      context,
      `Task ${JSON.stringify(task.Name)}${lifecycle} is ${JSON.stringify(state?.State ?? 'pending')}${state?.State === 'dead' && state.Failed ? ' (failed)' : ''}`,
    ),
    resourceTable(alloc, task, usage),
  ];
  const detail = usage?.Tasks[task.Name];
  if (context.flags.bool('stats') && detail) {
    const { MemoryStats: memory, CpuStats: cpu } = detail.ResourceUsage;
    parts.push(
      '',
      formatTable([
        ['Memory RSS', 'Memory Usage', 'CPU Percent', 'CPU Ticks'],
        [
          formatBytes(memory.RSS),
          formatBytes(memory.Usage),
          `${cpu.Percent.toFixed(2)}%`,
          String(Math.round(cpu.TotalTicks)),
        ],
      ]),
    );
  }
  const devices = alloc.AllocatedResources?.Tasks[task.Name]?.Devices ?? [];
  if (devices.length > 0) {
    const figures = detail?.ResourceUsage.DeviceStats ?? [];
    parts.push('', 'Device Stats:', taskDevices(devices, figures, context.flags.bool('stats')));
  }
  const volumes = volumeText(alloc, task);
  if (volumes !== '') parts.push('', volumes);
  if (state) parts.push('', eventText(context, state));
  return parts.join('\n');
}

/** The volumes that are mounted into a task, by their kind. */
function volumeText(alloc: Allocation, task: Task): string {
  const group = groupOf(alloc.Job, alloc.TaskGroup);
  const table = (type: 'host' | 'csi'): string => {
    const rows = (task.VolumeMounts ?? []).flatMap(({ Volume, ReadOnly }) => {
      const request = group?.Volumes?.[Volume];
      if (request?.Type !== type) return [];
      return [[volumeSource(request, alloc.Name), String(ReadOnly || request.ReadOnly)]];
    });
    const title = type === 'csi' ? 'CSI Volumes:' : 'Host Volumes:';
    return rows.length === 0 ? '' : `${title}\n${formatTable([['ID', 'Read Only'], ...rows])}`;
  };
  return [table('host'), table('csi')].filter((text) => text !== '').join('\n\n');
}

function resourceTable(alloc: Allocation, task: Task, usage: AllocResourceUsage | undefined): string {
  const given = alloc.AllocatedResources?.Tasks[task.Name];
  const used = usage?.Tasks[task.Name]?.ResourceUsage;
  const mhz = given?.Cpu.CpuShares ?? task.Resources.CPU;
  const mb = given?.Memory.MemoryMB ?? task.Resources.MemoryMB;
  const max = given?.Memory.MemoryMaxMB ?? 0;
  const cpu = used ? `${Math.round(used.CpuStats.TotalTicks)}/${mhz} MHz` : `${mhz} MHz`;
  const bytes = used ? used.MemoryStats.RSS || used.MemoryStats.Usage : 0;
  const memory = used ? `${formatBytes(bytes)}/${formatMegabytes(mb)}` : formatMegabytes(mb);
  const disk = formatMegabytes(alloc.AllocatedResources?.Shared.DiskMB ?? 0);
  const rows = [
    ['CPU', 'Memory', 'Disk', 'Addresses'],
    [cpu, memory, disk, ' '],
    ...(max > mb ? [[' ', `Max: ${formatMegabytes(max)}`]] : []),
  ];
  return `Task Resources:\n${formatTable(rows)}`;
}

function eventText(context: Context, state: TaskState): string {
  const head = formatPairs([
    ['Started At', formatTimeText(state.StartedAt)],
    ['Finished At', formatTimeText(state.FinishedAt)],
    ['Total Restarts', state.Restarts],
    ['Last Restart', formatTimeText(state.LastRestart)],
  ]);
  const rows = [...state.Events]
    .reverse()
    .map((event: TaskEvent) => [formatTime(event.Time), event.Type, event.DisplayMessage || event.Message]);
  const events = formatTable([['Time', 'Type', 'Description'], ...rows]);
  return `${title(context, 'Task Events:')}\n${head}\n\nRecent Events:\n${events}`;
}
