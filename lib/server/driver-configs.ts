import type { Job, JobSubmission } from '../structs/job.js';
import type { Issue } from '../structs/validate/issue.js';
import { GROUPS_PER_TURN, ITEMS_PER_TURN } from '../util/turns.js';
import { located } from './job-admission.js';
import type { ServerWorld } from './world.js';

/**
 * What the drivers will say of the tasks' configs, for who registers a job. It is no error: a node may have a plugin under the name
 * of a driver that is known here, and that plugin other keys.
 */
export async function driverConfigWarnings(
  job: Job,
  { config: { driverProblems }, turns }: Pick<ServerWorld, 'config' | 'turns'>,
  submission: JobSubmission | null,
): Promise<string[]> {
  const issues: Issue[] = [];
  for (const [g, group] of job.TaskGroups.entries()) {
    const turn = turns.take(ITEMS_PER_TURN / GROUPS_PER_TURN);
    if (turn) await turn;
    for (const [i, { Name, Driver, Config }] of group.Tasks.entries()) {
      const problems = (await driverProblems?.(Driver, Config ?? {})) ?? [];
      if (problems.length === 0) continue;
      const told = problems.map(({ path, message }) => (path === '' ? message : `${path}: ${message}`)).join('; ');
      issues.push({
        reason: 'invalid',
        path: `TaskGroups[${g}].Tasks[${i}].Config`,
        message: `task "${Name}" of group "${group.Name}" will fail, unless its node has a plugin of its own for driver "${Driver}": ${told}`,
      });
    }
  }
  return located(issues, submission);
}
