import type { Deployment, DeploymentState } from '../../structs/deployment.js';
import type { Job } from '../../structs/job.js';

/** What stands between a job and its newest version, and what would let it go on; '' when nothing does. */
export function rollOutSentence(job: Job, deployments: readonly Deployment[]): string {
  const latest = deployments.reduce<Deployment | undefined>(
    (newest, one) => (newest && newest.CreateIndex > one.CreateIndex ? newest : one),
    undefined,
  );
  if (job.Stop || latest?.JobVersion !== job.Version || latest.JobCreateIndex !== job.CreateIndex) return '';
  const subject = `The roll-out of version ${latest.JobVersion}`;
  const id = latest.ID.slice(0, 8);
  switch (latest.Status) {
    case 'paused':
      return `${subject} is paused with ${healthOf(latest)}: "meshnomad deployment resume ${id}" lets it go on.`;
    case 'failed':
      return `${subject} failed with ${healthOf(latest)}: ${latest.StatusDescription}.`;
    case 'running':
      return `${subject} goes on, with ${healthOf(latest)}: ${awaited(job, latest)}.`;
    default:
      return '';
  }
}

function healthOf({ TaskGroups }: Deployment): string {
  return Object.entries(TaskGroups)
    .map(([name, { HealthyAllocs, DesiredTotal, UnhealthyAllocs }]) => {
      const unhealthy = UnhealthyAllocs > 0 ? `, ${UnhealthyAllocs} unhealthy` : '';
      return `${HealthyAllocs} of ${DesiredTotal} of "${name}" healthy${unhealthy}`;
    })
    .join('; ');
}

/** What a running deployment waits for. */
function awaited(job: Job, { TaskGroups }: Deployment): string {
  const groups = Object.entries(TaskGroups);
  const trials = groups.filter(([, group]) => group.DesiredCanaries > 0 && !group.Promoted);
  if (trials.length > 0) {
    const isReady = trials.every(([, group]) => group.HealthyAllocs >= group.DesiredCanaries);
    if (!isReady) return `its canaries have to be healthy first${until(groups)}`;
    if (trials.every(([, group]) => group.AutoPromote)) return 'its canaries are about to take over';
    return `its canaries are healthy and wait for "meshnomad job promote ${job.ID}"`;
  }
  const steps = job.TaskGroups.flatMap(({ Name, Update }) => {
    const group = TaskGroups[Name];
    return group && Update && group.PlacedAllocs < group.DesiredTotal ? [`${Update.MaxParallel} of "${Name}"`] : [];
  });
  const pace = steps.length > 0 ? ` (max_parallel: ${steps.join(', ')} at a time)` : '';
  return `those placed have to be healthy before it goes on${pace}${until(groups)}`;
}

/** The earliest deadline of groups that are not there yet. */
function until(groups: readonly [string, DeploymentState][]): string {
  const dues = groups
    .filter(([, group]) => group.HealthyAllocs < group.DesiredTotal)
    .map(([, { RequireProgressBy }]) => RequireProgressBy)
    .filter((due) => Date.parse(due) > 0)
    .sort();
  return dues[0] ? `, by ${dues[0]} at the latest` : '';
}
