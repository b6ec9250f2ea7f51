import { GROUPS_PER_TURN, inTurns, type Resting } from '../../util/turns.js';
import type { Job, TaskGroup } from '../job.js';
import type { Report } from './issue.js';

/** Blocks of Nomad Enterprise: a job may have them and runs as if they were not there. With rests. */
export function* warnOfEnterprise(job: Job, report: Report): Resting<void> {
  if (job.Multiregion !== null) {
    report.warning('Multiregion', '`multiregion` has no effect: the job runs in the region it is handed to only');
  }
  const warnInGroup = ([i, group]: [number, TaskGroup]): void => {
    for (const [t, task] of group.Tasks.entries()) {
      const at = report.at('TaskGroups').at(i).at('Tasks').at(t);
      const name = `Task ${JSON.stringify(task.Name)}`;
      if (task.Schedule !== null) {
        at.warning('Schedule', `${name}: \`schedule\` has no effect: the task runs at all hours`);
      }
      if (task.ScalingPolicies?.length) {
        at.warning('ScalingPolicies', `${name}: \`scaling\` has no effect: only the count of a group is scaled`);
      }
    }
  };
  yield* inTurns(job.TaskGroups.entries(), warnInGroup, GROUPS_PER_TURN);
}
