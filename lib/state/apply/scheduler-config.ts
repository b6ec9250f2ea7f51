import { ok } from '../../util/result.js';
import type { CommandResult, SchedulerConfigCommand } from '../commands.js';
import type { Transaction } from '../transaction.js';

export function applySchedulerConfig(
  txn: Transaction,
  command: SchedulerConfigCommand,
): CommandResult<'scheduler-config'> {
  const existing = txn.tables.scheduler_config.value;
  const { casModifyIndex } = command;
  if (casModifyIndex !== undefined && casModifyIndex !== existing.ModifyIndex) return ok({ updated: false });
  txn.setSchedulerConfig({
    ...command.config,
    CreateIndex: existing.CreateIndex === 0 ? txn.index : existing.CreateIndex,
    ModifyIndex: txn.index,
  });
  return ok({ updated: true });
}
