import type { Evaluation } from '../structs/evaluation.js';
import { runAttempts, type ScheduleOptions } from './attempts.js';
import { genericMethod } from './generic.js';

const METHOD = genericMethod(2);

/** Schedules a job whose allocations run until they are done. */
export function scheduleBatch(evaluation: Evaluation, options: ScheduleOptions): Promise<void> {
  return runAttempts(evaluation, METHOD, options);
}
