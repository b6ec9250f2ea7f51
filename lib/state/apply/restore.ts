import { ok } from '../../util/result.js';
import type { CommandResult, RestoreAbortCommand, RestoreStageCommand } from '../commands.js';
import type { Transaction } from '../transaction.js';

export function applyRestoreStage(txn: Transaction, command: RestoreStageCommand): CommandResult<'restore-stage'> {
  if (command.seq === 0) txn.forgetRestore();
  txn.putRestorePiece({ ID: command.id, Seq: command.seq, Text: command.text });
  return ok(null);
}

export function applyRestoreAbort(txn: Transaction, command: RestoreAbortCommand): CommandResult<'restore-abort'> {
  txn.forgetRestore(command.id);
  return ok(null);
}
