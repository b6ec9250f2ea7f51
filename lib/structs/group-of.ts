import type { Job, TaskGroup } from './job.js';

/** Fewer are looked through. */
const MANY = 16;

const byName = new WeakMap<readonly TaskGroup[], ReadonlyMap<string, TaskGroup>>();

/** A group of a job, which nobody changes: among a thousand it is not searched for each of their allocations. */
export function groupOf(job: Job | null | undefined, name: string): TaskGroup | undefined {
  if (!job) return undefined;
  const { TaskGroups } = job;
  if (TaskGroups.length < MANY) return TaskGroups.find(({ Name }) => Name === name);
  let groups = byName.get(TaskGroups);
  if (!groups) {
    groups = new Map(TaskGroups.map((group) => [group.Name, group]));
    byName.set(TaskGroups, groups);
  }
  return groups.get(name);
}
