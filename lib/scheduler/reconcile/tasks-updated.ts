import { groupOf } from '../../structs/group-of.js';
import type { Job, Task, TaskGroup } from '../../structs/job.js';
import type { NetworkResource } from '../../structs/resources.js';

type Field<T> = (of: T, group: TaskGroup, job: Job) => unknown;

/** A change in any of these cannot reach a running allocation: it must be replaced. What only says where to run is not among them. */
const GROUP_FIELDS: readonly Field<TaskGroup>[] = [
  (group) => (group.Networks ?? []).map(askedOf),
  (group) => group.EphemeralDisk,
  (group) => group.Volumes,
  (group) => group.Consul,
  (group) => (group.Services ?? []).map(({ Name, Connect }) => (Connect ? { Name, Connect } : null)).filter(Boolean),
  (group) => group.RestartPolicy?.RenderTemplates ?? false,
];

const TASK_FIELDS: readonly Field<Task>[] = [
  (task) => task.Driver,
  (task) => task.User,
  (task) => task.Config,
  (task) => task.Env,
  (task) => task.Artifacts,
  (task) => task.Templates,
  (task) => task.Vault,
  (task) => task.Consul,
  (task) => task.Identity,
  (task) => task.Identities,
  (task) => task.Secrets,
  (task) => task.VolumeMounts,
  (task) => task.CSIPluginConfig,
  (task) => task.Kind,
  (task) => task.Schedule,
  (task) => task.LogConfig.Disabled,
  (task) => task.RestartPolicy?.RenderTemplates ?? false,
  ({ Resources }) => ({ ...Resources, Networks: (Resources.Networks ?? []).map(askedOf) }),
  (task, group, job) => ({ ...job.Meta, ...group.Meta, ...task.Meta }),
];

/** What of a network an allocation has from its beginning: its device and addresses are the node's, whatever is written. */
function askedOf(network: NetworkResource): unknown {
  return { ...network, Device: '', CIDR: '', IP: '' };
}

/** Whether a group's running allocations must be replaced to become what the new job says; else they are updated in place. */
export function mustReplace(before: Job, after: Job, groupName: string): boolean {
  if (before === after) return false;
  const a = groupOf(before, groupName);
  const b = groupOf(after, groupName);
  if (!a || !b || a.Tasks.length !== b.Tasks.length) return true;
  if (GROUP_FIELDS.some((field) => !isSame(field(a, a, before), field(b, b, after)))) return true;
  return a.Tasks.some((task) => {
    const other = b.Tasks.find(({ Name }) => Name === task.Name);
    return !other || TASK_FIELDS.some((field) => !isSame(field(task, a, before), field(other, b, after)));
  });
}

/** Deep equality of JSON values, in which null, absent, [] and {} are one: "not given". */
export function isSame(a: unknown, b: unknown): boolean {
  if (a === b) return true;
  if (isNothing(a) || isNothing(b)) return isNothing(a) && isNothing(b);
  if (typeof a !== 'object' || typeof b !== 'object') return false;
  if (Array.isArray(a) || Array.isArray(b)) {
    return Array.isArray(a) && Array.isArray(b) && a.length === b.length && a.every((item, i) => isSame(item, b[i]));
  }
  const left = a as Record<string, unknown>;
  const right = b as Record<string, unknown>;
  for (const key in left) if (!isSame(left[key], right[key])) return false;
  for (const key in right) if (!(key in left) && !isNothing(right[key])) return false;
  return true;
}

function isNothing(value: unknown): boolean {
  if (value === null || value === undefined) return true;
  if (typeof value !== 'object') return false;
  for (const _ in value) return false;
  return true;
}
