import type { Evaluation } from '../../structs/evaluation.js';
import { ok } from '../../util/result.js';
import type { CommandResult, EvalsDeleteCommand, EvalsUpsertCommand } from '../commands.js';
import { countQueued } from '../job-summary.js';
import { shareEqual } from '../share.js';
import type { Transaction } from '../transaction.js';
import { jobKey } from '../watch.js';
import { forgetServices } from './services.js';

export function applyEvalsUpsert(txn: Transaction, command: EvalsUpsertCommand): CommandResult<'evals-upsert'> {
  storeEvals(txn, command.evals);
  return ok(null);
}

/** Stores evaluations, keeps the queue counts of their jobs, and cancels blocked ones that a success has overtaken. */
export function storeEvals(txn: Transaction, evals: readonly Evaluation[]): void {
  for (const evaluation of evals) {
    const existing = txn.tables.evals.get(evaluation.ID);
    const job = txn.tables.jobs.get(jobKey(evaluation.Namespace, evaluation.JobID));
    const stored: Evaluation = {
      ...shareEqual(existing, evaluation),
      Namespace: existing?.Namespace ?? job?.Namespace ?? evaluation.Namespace,
      JobID: existing?.JobID ?? job?.ID ?? evaluation.JobID,
      CreateIndex: existing?.CreateIndex ?? txn.index,
      ModifyIndex: txn.index,
    };
    txn.putEval(stored);
    countQueued(txn, stored);
    if (stored.Status === 'complete' && Object.keys(stored.FailedTGAllocs ?? {}).length === 0) {
      cancelBlocked(txn, stored);
    }
    txn.unsettle(stored.Namespace, stored.JobID);
  }
}

/** Everything of the job has a place now: evaluations that wait for capacity have nothing left to do. */
function cancelBlocked(txn: Transaction, successful: Evaluation): void {
  const open = txn.tables.evals.under('openOfJob', jobKey(successful.Namespace, successful.JobID));
  for (const evaluation of open.filter(({ Status }) => Status === 'blocked')) {
    txn.putEval({
      ...evaluation,
      Status: 'canceled',
      StatusDescription: `evaluation "${successful.ID}" successful`,
      ModifyIndex: txn.index,
      ModifyTime: Math.max(evaluation.ModifyTime, successful.ModifyTime),
    });
  }
}

export function applyEvalsDelete(txn: Transaction, command: EvalsDeleteCommand): CommandResult<'evals-delete'> {
  for (const id of command.evals) {
    const evaluation = txn.tables.evals.get(id);
    if (evaluation === undefined) continue;
    txn.deleteEval(evaluation);
    txn.unsettle(evaluation.Namespace, evaluation.JobID, true);
  }
  for (const id of command.allocs) {
    const alloc = txn.tables.allocs.get(id);
    if (alloc === undefined) continue;
    forgetServices(txn, alloc.ID);
    txn.deleteAlloc(alloc);
    txn.unsettle(alloc.Namespace, alloc.JobID, true);
  }
  return ok(null);
}
