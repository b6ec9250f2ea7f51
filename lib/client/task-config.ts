import type { Driver, TaskConfig } from '../plugin/sdk/driver.js';
import type { Task } from '../structs/job.js';
import type { TaskContext } from './hooks/hook.js';
import { interpolateText, interpolateValue } from './interpolate.js';
import { allocatedPorts } from './task-env.js';

/** A task's `config` block that its driver refuses. */
export class TaskConfigError extends Error {
  constructor(message: string) {
    super(message);
    this.name = 'TaskConfigError';
  }
}

/** Puts together what the driver needs to start the task under `taskId`. Throws TaskConfigError for a bad `config`. */
export function buildTaskConfig(context: TaskContext, taskId: string): TaskConfig {
  const { alloc, job, group, task, node, driver, paths, draft, shared } = context;
  const resources = alloc.AllocatedResources.Tasks[task.Name];
  const dns = alloc.AllocatedResources.Shared.Networks?.[0]?.DNS ?? group.Networks?.[0]?.DNS ?? null;
  const text = (value: string): string => interpolateText(value, draft.values);
  return {
    id: taskId,
    allocId: alloc.ID,
    jobId: job.ID,
    jobName: job.Name,
    namespace: alloc.Namespace,
    nodeId: node.ID,
    nodeName: node.Name,
    taskGroup: group.Name,
    name: task.Name,
    user: text(draft.user),
    config: decode(driver, interpolateValue(task.Config ?? {}, draft.values)),
    env: draft.values.env,
    resources: {
      cpuMhz: resources?.Cpu.CpuShares ?? task.Resources.CPU,
      cpuPercent: cpuPercent(context),
      memoryMb: resources?.Memory.MemoryMB ?? task.Resources.MemoryMB,
      memoryMaxMb: resources?.Memory.MemoryMaxMB ?? task.Resources.MemoryMaxMB,
      cores: resources?.Cpu.ReservedCores ?? [],
    },
    ports: allocatedPorts(alloc, task.Name),
    network: shared.network,
    devices: resources?.Devices ?? [],
    deviceNodes: draft.deviceNodes,
    cdiDevices: draft.cdiDevices,
    mounts: draft.mounts,
    dns: dns && {
      servers: (dns.Servers ?? []).map(text),
      searches: (dns.Searches ?? []).map(text),
      options: (dns.Options ?? []).map(text),
    },
    allocDir: paths.allocDir,
    sharedDir: paths.sharedDir,
    taskDir: paths.taskDir,
    localDir: paths.localDir,
    secretsDir: paths.secretsDir,
    logDir: paths.logDir,
    logMaxFiles: task.LogConfig.MaxFiles,
    logMaxFileSizeBytes: task.LogConfig.MaxFileSizeMB * 1024 * 1024,
    logsDisabled: keepsNoLogs(task),
  };
}

/** The task's part of the whole machine, in percent of it. */
function cpuPercent({ alloc, task, node }: TaskContext): number {
  const total = node.NodeResources.Cpu.CpuShares;
  const shares = alloc.AllocatedResources.Tasks[task.Name]?.Cpu.CpuShares ?? task.Resources.CPU;
  return total > 0 ? (100 * shares) / total : 0;
}

function decode(driver: Driver, config: Record<string, unknown>): unknown {
  const decoded = driver.decodeConfig(config);
  if ('config' in decoded) return decoded.config;
  const problems = decoded.problems.map(({ path, message }) => (path === '' ? message : `${path}: ${message}`));
  throw new TaskConfigError(`config of driver "${driver.name}" is refused: ${problems.join('; ')}`);
}

/** Whether what a task writes goes nowhere. */
export function keepsNoLogs({ LogConfig }: Pick<Task, 'LogConfig'>): boolean {
  return LogConfig.Disabled || LogConfig.Enabled === false;
}
