import type { Job } from '../structs/job.js';

/**
 * Whose counts a registration keeps, group by group: all of them (`preserve: true`), none (false), or, when nothing is said,
 * those of groups with a scaling policy in force, whose counts are the autoscaler's to say: a job that is run again from its
 * file would else be thrown back to where it began. What is kept is named in `warnings`.
 */
export function keepCounts(
  job: Job,
  existing: Job | undefined,
  preserve: boolean | undefined,
): { job: Job; warnings: string[] } {
  if (preserve === false || !existing || existing.Stop) return { job, warnings: [] };
  const counts = new Map(existing.TaskGroups.map(({ Name, Count }) => [Name, Count]));
  const warnings: string[] = [];
  const TaskGroups = job.TaskGroups.map((group) => {
    const present = counts.get(group.Name);
    const { Scaling: policy } = group;
    const isScaled = policy?.Enabled === true && policy.Policy !== null;
    if (present === undefined || present === group.Count || !(preserve || isScaled)) return group;
    const Count = preserve ? present : Math.min(policy?.Max ?? present, Math.max(policy?.Min ?? 0, present));
    if (!preserve) {
      warnings.push(
        `group "${group.Name}" keeps the count ${Count} to which it was scaled, in place of ${group.Count} (-preserve-counts=false sets it)`,
      );
    }
    return { ...group, Count };
  });
  return { job: { ...job, TaskGroups }, warnings };
}
