import type { Allocation, AllocNetworkStatus } from '../structs/allocation.js';
import type { Job, Task, TaskGroup } from '../structs/job.js';
import type { Node } from '../structs/node.js';
import type { AllocatedPort } from '../structs/resources.js';
import { formatCoreList } from '../structs/topology.js';
import { type Interpolation, interpolateText } from './interpolate.js';

// The environment a task sees, and what `${…}` can name: Nomad's names and values. Pure.

/** What the environment is made from. The paths are those which the task itself sees. */
export interface TaskEnvInput {
  alloc: Allocation;
  job: Job;
  group: TaskGroup;
  task: Task;
  node: Node;
  region: string;
  paths: { allocDir: string; taskDir: string; secretsDir: string };
  /** What the group's own network is; null = the host's. */
  network: AllocNetworkStatus | null;
  /** Texts of `secret` blocks under `secret.NAME.KEY`. */
  secrets: Readonly<Record<string, string>>;
  /** Below which the control groups of the task's driver lie; '' = not known. */
  cgroupParent: string;
  /** The agent's own environment as far as this task inherits it. */
  hostEnv: Readonly<Record<string, string>>;
}

/** The task's environment, with the job's own `env` on top, and the lookup for everything else of the task. */
export function buildTaskEnv(input: TaskEnvInput): Interpolation & { env: Record<string, string> } {
  const node = { ...nodeValues(input.node, input.region), ...input.secrets };
  const ports = allocatedPorts(input.alloc, input.task.Name);
  const given = { ...nomadEnv(input), ...portEnv(ports), ...networkEnv(ports, input.network), ...metaEnv(input) };
  const env: Record<string, string> = { ...input.hostEnv };
  for (const [key, value] of Object.entries(given)) env[cleanName(key)] = value;
  // The job's variables may name each other only through what stood before them, so one pass is enough.
  const lookup: Interpolation = { env: { ...input.hostEnv, ...given }, node };
  for (const [key, value] of Object.entries(input.task.Env ?? {})) {
    env[cleanName(interpolateText(key, lookup))] = interpolateText(value, lookup);
  }
  return { env, node };
}

/** `attr.…`, `meta.…` and `node.…`, by full name. */
export function nodeValues(node: Node, region: string): Record<string, string> {
  const values: Record<string, string> = {
    'node.unique.id': node.ID,
    'node.unique.name': node.Name,
    'node.datacenter': node.Datacenter,
    'node.region': region,
    'node.class': node.NodeClass,
    'node.pool': node.NodePool,
  };
  for (const [key, value] of Object.entries(node.Attributes)) values[`attr.${key}`] = value;
  for (const [key, value] of Object.entries(node.Meta ?? {})) values[`meta.${key}`] = value;
  return values;
}

/** The ports of the group, and of the task's own legacy network. */
export function allocatedPorts(alloc: Allocation, task: string): AllocatedPort[] {
  const shared = alloc.AllocatedResources.Shared.Ports ?? [];
  const own = (alloc.AllocatedResources.Tasks[task]?.Networks ?? []).flatMap((network) =>
    [...(network.ReservedPorts ?? []), ...(network.DynamicPorts ?? [])].map((port) => ({
      Label: port.Label,
      Value: port.Value,
      To: port.To,
      HostIP: network.IP,
      IgnoreCollision: port.IgnoreCollision,
    })),
  );
  return [...shared, ...own];
}

/** What `${…}` can name where the group speaks and no task: in its network. */
export function groupInterpolation(
  input: Pick<TaskEnvInput, 'alloc' | 'job' | 'group' | 'node' | 'region'>,
): Interpolation {
  const ports = portEnv(input.alloc.AllocatedResources.Shared.Ports ?? []);
  const meta = metaValues({ ...input.job.Meta, ...input.group.Meta });
  return { env: { ...allocEnv(input), ...ports, ...meta }, node: nodeValues(input.node, input.region) };
}

function nomadEnv(input: TaskEnvInput): Record<string, string> {
  const { alloc, task, paths } = input;
  const resources = alloc.AllocatedResources.Tasks[task.Name];
  const cores = resources?.Cpu.ReservedCores ?? [];
  const memoryMax = resources?.Memory.MemoryMaxMB ?? 0;
  const env: Record<string, string> = {
    NOMAD_ALLOC_DIR: paths.allocDir,
    NOMAD_TASK_DIR: paths.taskDir,
    NOMAD_SECRETS_DIR: paths.secretsDir,
    NOMAD_TASK_NAME: task.Name,
    ...allocEnv(input),
  };
  if (resources) {
    env['NOMAD_CPU_LIMIT'] = String(resources.Cpu.CpuShares);
    env['NOMAD_MEMORY_LIMIT'] = String(resources.Memory.MemoryMB);
  }
  if (input.cgroupParent !== '') env['NOMAD_PARENT_CGROUP'] = input.cgroupParent;
  if (memoryMax > 0) env['NOMAD_MEMORY_MAX_LIMIT'] = String(memoryMax);
  if (cores.length > 0) env['NOMAD_CPU_CORES'] = formatCoreList(cores);
  return env;
}

function allocEnv({
  alloc,
  job,
  group,
  region,
  node,
}: Pick<TaskEnvInput, 'alloc' | 'job' | 'group' | 'region' | 'node'>): Record<string, string> {
  return {
    NOMAD_ALLOC_ID: alloc.ID,
    NOMAD_SHORT_ALLOC_ID: alloc.ID.slice(0, 8),
    NOMAD_ALLOC_NAME: alloc.Name,
    NOMAD_ALLOC_INDEX: allocIndex(alloc.Name),
    NOMAD_GROUP_NAME: group.Name,
    NOMAD_JOB_ID: job.ID,
    NOMAD_JOB_NAME: job.Name,
    NOMAD_DC: node.Datacenter,
    NOMAD_REGION: region,
    NOMAD_NAMESPACE: alloc.Namespace,
    ...(job.ParentID === '' ? {} : { NOMAD_JOB_PARENT_ID: job.ParentID }),
  };
}

function portEnv(ports: readonly AllocatedPort[]): Record<string, string> {
  const env: Record<string, string> = {};
  for (const port of ports) {
    const inside = String(port.To > 0 ? port.To : port.Value);
    const host = port.HostIP.includes(':') ? `[${port.HostIP}]` : port.HostIP;
    const values = {
      ADDR: `${host}:${port.Value}`,
      IP: port.HostIP,
      PORT: inside,
      HOST_ADDR: `${host}:${port.Value}`,
      HOST_IP: port.HostIP,
      HOST_PORT: String(port.Value),
      ALLOC_PORT: inside,
    };
    for (const [name, value] of Object.entries(values)) env[`NOMAD_${name}_${port.Label}`] = value;
  }
  return env;
}

/** Where a port is inside the group's own network. */
function networkEnv(ports: readonly AllocatedPort[], network: AllocNetworkStatus | null): Record<string, string> {
  if (!network) return {};
  const { InterfaceName, Address } = network;
  const host = Address.includes(':') ? `[${Address}]` : Address;
  const values = ports.map(({ Label, To, Value }) => [
    [`NOMAD_ALLOC_INTERFACE_${Label}`, InterfaceName],
    [`NOMAD_ALLOC_IP_${Label}`, Address],
    [`NOMAD_ALLOC_ADDR_${Label}`, `${host}:${To > 0 ? To : Value}`],
  ]);
  return Object.fromEntries(values.flat());
}

/** The metadata of job, group and task, the inner over the outer. */
function metaEnv({ job, group, task }: TaskEnvInput): Record<string, string> {
  return metaValues({ ...job.Meta, ...group.Meta, ...task.Meta });
}

/** Each under its name as given and in upper case. */
function metaValues(meta: Record<string, string>): Record<string, string> {
  const env: Record<string, string> = {};
  for (const [key, value] of Object.entries(meta)) {
    env[`NOMAD_META_${key}`] = value;
    env[`NOMAD_META_${key.toUpperCase()}`] = value;
  }
  return env;
}

/** The index in `job.group[3]`. */
function allocIndex(name: string): string {
  return /\[(\d+)\]$/.exec(name)?.[1] ?? '';
}

/** A name that every shell accepts: other characters become underscores. */
function cleanName(name: string): string {
  return name.replace(/[^A-Za-z0-9_]/g, '_');
}
