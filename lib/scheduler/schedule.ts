import { MeshError } from '../structs/errors.js';
import type { Evaluation } from '../structs/evaluation.js';
import type { ScheduleOptions } from './attempts.js';
import { scheduleBatch } from './batch.js';
import { scheduleService } from './service.js';
import { scheduleSysbatch } from './sysbatch.js';
import { scheduleSystem } from './system.js';

const SCHEDULERS: Readonly<Record<string, (evaluation: Evaluation, options: ScheduleOptions) => Promise<void>>> = {
  service: scheduleService,
  batch: scheduleBatch,
  system: scheduleSystem,
  sysbatch: scheduleSysbatch,
};

/** Types of evaluation that schedule() handles. */
export const SCHEDULER_TYPES: readonly string[] = Object.keys(SCHEDULERS);

/**
 * Works an evaluation off: compares the job with its allocations, hands in plans, and records how it ended. Rejects with
 * E_NOT_SUPPORTED for a type it does not know, and with whatever the planner rejects with.
 */
export async function schedule(evaluation: Evaluation, options: ScheduleOptions): Promise<void> {
  const run = Object.hasOwn(SCHEDULERS, evaluation.Type) ? SCHEDULERS[evaluation.Type] : undefined;
  if (!run) {
    throw new MeshError(
      'E_NOT_SUPPORTED',
      `no scheduler for evaluation ${evaluation.ID} of type "${evaluation.Type}"; known are ${SCHEDULER_TYPES.join(', ')}`,
    );
  }
  await run(evaluation, options);
}
