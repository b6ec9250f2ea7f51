import { formatDuration } from '../../util/duration.js';
import type { ReschedulePolicy } from '../job.js';
import type { Report } from './issue.js';

const DELAY_MIN_NS = 5e9;
const INTERVAL_MIN_NS = 15e9;
const FUNCTIONS = ['constant', 'exponential', 'fibonacci'];

export function validateReschedule(policy: ReschedulePolicy, report: Report): void {
  const { Attempts, Interval, Delay, DelayFunction, MaxDelay, Unlimited } = policy;
  if (Attempts < 0) report.error('Attempts', `reschedule: attempts must not be negative (${Attempts})`);
  // Neither a number of attempts nor unlimited: rescheduling is off.
  if (Attempts <= 0 && !Unlimited) return;
  if (Attempts > 0 && Interval <= 0)
    report.error('Interval', 'reschedule: attempts are counted in an interval, which is missing');
  if (Attempts > 0 && Unlimited) {
    report.error('Attempts', `reschedule: both ${Attempts} attempts and unlimited are asked for`);
  }
  const delaysAreSound = validateDelays(policy, report);
  if (Unlimited) return;
  if (Interval < INTERVAL_MIN_NS) {
    report.error('Interval', `reschedule: interval must be at least 15s, not ${formatDuration(Interval)}`);
  }
  if (!delaysAreSound) return;
  const needed = neededNs(policy);
  if (needed > Interval) {
    const terms = `delay ${formatDuration(Delay)}, ${DelayFunction}`;
    const ceiling = DelayFunction === 'constant' ? '' : ` up to ${formatDuration(MaxDelay)}`;
    report.error(
      'Interval',
      `reschedule: ${Attempts} attempts do not fit into ${formatDuration(Interval)} with ${terms}${ceiling}; set the interval to at least ${formatDuration(needed)}`,
    );
  }
}

function validateDelays({ Delay, DelayFunction, MaxDelay }: ReschedulePolicy, report: Report): boolean {
  let sound = true;
  const refuse = (key: string, message: string): void => {
    sound = false;
    report.error(key, message);
  };
  if (Delay < DELAY_MIN_NS) refuse('Delay', `reschedule: delay must be at least 5s, not ${formatDuration(Delay)}`);
  if (!FUNCTIONS.includes(DelayFunction)) {
    const known = FUNCTIONS.map((name) => JSON.stringify(name)).join(', ');
    refuse('DelayFunction', `reschedule: unknown delay_function ${JSON.stringify(DelayFunction)}; known are ${known}`);
  }
  if (DelayFunction === 'constant') return sound;
  if (MaxDelay < DELAY_MIN_NS)
    refuse('MaxDelay', `reschedule: max_delay must be at least 5s, not ${formatDuration(MaxDelay)}`);
  if (MaxDelay < Delay) {
    refuse(
      'MaxDelay',
      `reschedule: max_delay (${formatDuration(MaxDelay)}) is shorter than delay (${formatDuration(Delay)})`,
    );
  }
  return sound;
}

/** The sum of the delays before all attempts. */
function neededNs({ Attempts, Delay, DelayFunction, MaxDelay }: ReschedulePolicy): number {
  if (DelayFunction === 'constant') return Attempts * Delay;
  let total = 0;
  let before = 0;
  let delay = Delay;
  for (let i = 0; i < Attempts && Number.isFinite(total); i++) {
    const capped = Math.min(delay, MaxDelay);
    total += capped;
    // From the ceiling on all delays are equal.
    if (capped === MaxDelay) return total + (Attempts - i - 1) * MaxDelay;
    const next = DelayFunction === 'exponential' ? delay * 2 : delay + (before === 0 ? 0 : before);
    before = delay;
    delay = next;
  }
  return total;
}
