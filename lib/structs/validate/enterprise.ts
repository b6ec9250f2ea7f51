import type { Job } from '../job.js';
import type { Report } from './issue.js';

/** Blocks of Nomad Enterprise: a job may have them and runs as if they were not there. */
export function warnOfEnterprise(job: Job, report: Report): void {
  if (job.Multiregion !== null) {
    report.warning('Multiregion', '`multiregion` has no effect: the job runs in the region it is handed to only');
  }
  for (const [i, group] of job.TaskGroups.entries()) {
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
  }
}
