import { ok } from '../../util/result.js';
import type { AutopilotConfigCommand, CommandResult } from '../commands.js';
import type { Transaction } from '../transaction.js';

export function applyAutopilotConfig(
  txn: Transaction,
  command: AutopilotConfigCommand,
): CommandResult<'autopilot-config'> {
  const existing = txn.tables.autopilot_config.value;
  const { casModifyIndex } = command;
  if (casModifyIndex !== undefined && casModifyIndex !== existing.ModifyIndex) return ok({ updated: false });
  txn.setAutopilotConfig({
    ...command.config,
    CreateIndex: existing.CreateIndex === 0 ? txn.index : existing.CreateIndex,
    ModifyIndex: txn.index,
  });
  return ok({ updated: true });
}
