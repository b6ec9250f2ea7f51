import { ok } from '../../util/result.js';
import type { CommandResult, SummariesCorrectCommand } from '../commands.js';
import { correctSummary, recountJob } from '../job-summary.js';
import type { Transaction } from '../transaction.js';

/** Counts the summaries of all jobs anew, from the allocations, evaluations and children that are there. */
export function applySummariesReconcile(txn: Transaction): CommandResult<'summaries-reconcile'> {
  for (const job of [...txn.tables.jobs.values()]) recountJob(txn, job);
  return ok(null);
}

/** Adds to summaries what a count found missing. */
export function applySummariesCorrect(
  txn: Transaction,
  { corrections }: SummariesCorrectCommand,
): CommandResult<'summaries-correct'> {
  for (const correction of corrections) correctSummary(txn, correction);
  return ok(null);
}
