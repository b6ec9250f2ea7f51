import type { Evaluation } from '../structs/evaluation.js';
import { runAttempts, type ScheduleOptions } from './attempts.js';
import { systemMethod } from './system.js';

const METHOD = systemMethod(2);

/** Schedules a job of which every node in reach runs one allocation until it is done. */
export function scheduleSysbatch(evaluation: Evaluation, options: ScheduleOptions): Promise<void> {
  return runAttempts(evaluation, METHOD, options);
}
