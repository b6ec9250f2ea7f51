import { formatDuration } from '../../util/duration.js';
import { nearest } from '../../util/nearest.js';
import type { DisconnectStrategy, Job, ScalingPolicy, TaskGroup } from '../job.js';
import type { Report } from './issue.js';

const RECONCILE = ['best_score', 'keep_original', 'keep_replacement', 'longest_running'];
const SCALING_TYPES = ['horizontal', 'vertical_cpu', 'vertical_mem'];

/** What a group says of being cut off, of growing and shrinking, and of how long it may run. */
export function validateGroupPolicies(group: TaskGroup, job: Job, report: Report): void {
  if (group.Disconnect) validateDisconnect(group.Disconnect, job, report.at('Disconnect'));
  if (group.Scaling) {
    validateScaling(group.Scaling, group.Count, report.at('Scaling'));
    if (group.Scaling.Type.startsWith('vertical_'))
      report.error('Scaling.Type', 'scaling: a group can be scaled by type "horizontal" only');
    if (job.Type === 'system')
      report.warning(
        'Scaling',
        `Group ${JSON.stringify(group.Name)}: a system job runs on every node: scaling has no effect`,
      );
  }
  if (group.MaxRunDuration === null) return;
  if (group.MaxRunDuration <= 0) report.error('MaxRunDuration', 'max_run_duration must be more than zero');
  if (job.Type !== 'batch' && job.Type !== 'sysbatch') {
    report.error('MaxRunDuration', `max_run_duration is for jobs of type batch and sysbatch, not ${job.Type}`);
  }
}

function validateDisconnect(disconnect: DisconnectStrategy, job: Job, report: Report): void {
  const { LostAfter, StopOnClientAfter, Reconcile } = disconnect;
  if ((LostAfter ?? 0) < 0) {
    report.error('LostAfter', `disconnect: lost_after must not be negative (${formatDuration(LostAfter ?? 0)})`);
  }
  if ((StopOnClientAfter ?? 0) < 0) {
    report.error('StopOnClientAfter', 'disconnect: stop_on_client_after must not be negative');
  }
  if ((LostAfter ?? 0) > 0 && StopOnClientAfter !== null) {
    report.error('LostAfter', 'disconnect: either lost_after or stop_on_client_after');
  }
  if (StopOnClientAfter !== null && job.Type !== 'service' && job.Type !== 'batch') {
    report.error('StopOnClientAfter', 'disconnect: stop_on_client_after is for jobs of type service and batch');
  }
  if (!RECONCILE.includes(Reconcile)) {
    report.error(
      'Reconcile',
      `disconnect: unknown reconcile ${JSON.stringify(Reconcile)}; known are ${RECONCILE.join(', ')}`,
    );
  }
}

export function validateScaling({ Type, Min, Max }: ScalingPolicy, count: number, report: Report): void {
  if (!SCALING_TYPES.includes(Type)) {
    const hint = `did you mean "${nearest(Type, SCALING_TYPES) ?? 'horizontal'}"?`;
    report.error('Type', `scaling: unknown type ${JSON.stringify(Type)}; ${hint}`);
  }
  const min = Min ?? 0;
  if (min < 0) report.error('Min', `scaling: min must not be negative (${min})`);
  if (Max === null) {
    report.error('Max', 'scaling: max is missing');
    return;
  }
  if (Max < min) report.error('Max', `scaling: max (${Max}) is less than min (${min})`);
  if (Type !== 'horizontal') return;
  if (count < min) report.error('Min', `scaling: count (${count}) is less than min (${min})`);
  else if (count > Max) report.error('Max', `scaling: count (${count}) is greater than max (${Max})`);
}
