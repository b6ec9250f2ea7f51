import { formatDuration } from '../../util/duration.js';
import type { MigrateStrategy, UpdateStrategy } from '../job.js';
import type { Report } from './issue.js';

const HEALTH_CHECKS = ['checks', 'task_states', 'manual'];

export function validateUpdate(update: UpdateStrategy, report: Report): void {
  const { HealthCheck, MaxParallel, Canary, AutoPromote, MinHealthyTime, HealthyDeadline, ProgressDeadline } = update;
  if (!HEALTH_CHECKS.includes(HealthCheck)) {
    report.error(
      'HealthCheck',
      `update: unknown health_check ${JSON.stringify(HealthCheck)}; known are ${HEALTH_CHECKS.join(', ')}`,
    );
  }
  if (MaxParallel < 0) report.error('MaxParallel', `update: max_parallel must not be negative (${MaxParallel})`);
  if (Canary < 0) report.error('Canary', `update: canary must not be negative (${Canary})`);
  if (Canary === 0 && AutoPromote) {
    report.error('AutoPromote', 'update: auto_promote has nothing to promote, for there is no canary');
  }
  if (MaxParallel === 0 && Canary > 0) {
    report.warning('Canary', 'update: canary has no effect with max_parallel = 0, for then all are replaced at once');
  }
  const [healthy, deadline, progress] = [MinHealthyTime, HealthyDeadline, ProgressDeadline].map(formatDuration);
  if (MinHealthyTime < 0) report.error('MinHealthyTime', `update: min_healthy_time must not be negative (${healthy})`);
  if (HealthyDeadline <= 0)
    report.error('HealthyDeadline', `update: healthy_deadline must be more than zero, not ${deadline}`);
  if (ProgressDeadline < 0)
    report.error('ProgressDeadline', `update: progress_deadline must not be negative (${progress})`);
  if (MinHealthyTime >= HealthyDeadline) {
    report.error(
      'MinHealthyTime',
      `update: min_healthy_time (${healthy}) must be shorter than healthy_deadline (${deadline})`,
    );
  }
  if (ProgressDeadline !== 0 && HealthyDeadline >= ProgressDeadline) {
    report.error(
      'HealthyDeadline',
      `update: healthy_deadline (${deadline}) must be shorter than progress_deadline (${progress})`,
    );
  }
  if (update.Stagger <= 0) {
    report.error('Stagger', `update: stagger must be more than zero, not ${formatDuration(update.Stagger)}`);
  }
}

export function validateMigrate(migrate: MigrateStrategy, report: Report): void {
  const { MaxParallel, HealthCheck, MinHealthyTime, HealthyDeadline } = migrate;
  if (MaxParallel < 0) report.error('MaxParallel', `migrate: max_parallel must not be negative (${MaxParallel})`);
  if (HealthCheck !== 'checks' && HealthCheck !== 'task_states' && (HealthCheck !== '' || MaxParallel > 0)) {
    report.error(
      'HealthCheck',
      `migrate: unknown health_check ${JSON.stringify(HealthCheck)}; known are checks, task_states`,
    );
  }
  if (MinHealthyTime < 0) {
    report.error(
      'MinHealthyTime',
      `migrate: min_healthy_time must not be negative (${formatDuration(MinHealthyTime)})`,
    );
  }
  if (HealthyDeadline < 0) {
    report.error(
      'HealthyDeadline',
      `migrate: healthy_deadline must not be negative (${formatDuration(HealthyDeadline)})`,
    );
  }
  if (MinHealthyTime > HealthyDeadline) {
    report.error('MinHealthyTime', 'migrate: min_healthy_time must be shorter than healthy_deadline');
  }
}
