import { formatDuration } from '../../util/duration.js';
import type { RestartPolicy } from '../job.js';
import { type Issue, newReport, type Report } from './issue.js';

const INTERVAL_MIN_NS = 5e9;

/** The policy of a group. */
export function validateRestart({ Mode, Attempts, Interval, Delay }: RestartPolicy, report: Report): void {
  if (Mode !== 'fail' && Mode !== 'delay')
    report.error('Mode', `restart: unknown mode ${JSON.stringify(Mode)}; it must be "fail" or "delay"`);
  if (Attempts < 0) report.error('Attempts', `restart: attempts must not be negative (${Attempts})`);
  if (Attempts === 0 && Mode !== 'fail') {
    report.error(
      'Attempts',
      `restart: mode ${JSON.stringify(Mode)} waits after the last attempt, but there is none (attempts = 0)`,
    );
  }
  if (Delay < 0) report.error('Delay', `restart: delay must not be negative (${formatDuration(Delay)})`);
  if (Interval < INTERVAL_MIN_NS) {
    report.error('Interval', `restart: interval must be at least 5s, not ${formatDuration(Interval)}`);
  }
  if (Attempts * Delay > Interval) {
    const [interval, delay] = [formatDuration(Interval), formatDuration(Delay)];
    report.error(
      '',
      `restart: ${Attempts} attempts with a delay of ${delay} take longer than the interval of ${interval}`,
    );
  }
}

/** The policy of a task is taken as it is, as in Nomad: what is odd about it is a warning. */
export function warnOfRestart(policy: RestartPolicy, task: string, report: Report): void {
  const errors: Issue[] = [];
  validateRestart(policy, newReport(errors, []));
  for (const { path, message } of errors) report.warning(path, `Task ${JSON.stringify(task)}: ${message}`);
}
