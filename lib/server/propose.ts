import type { Command, CommandResult, CommandValues } from '../state/commands.js';
import type { Consensus } from './ports.js';

/**
 * Commits a command and answers what applying it returned. Throws the MeshError with which the state refused it (the
 * thing is gone, or has moved on), or the one of consensus (E_NO_LEADER, E_STORAGE).
 */
export async function propose<C extends Command>(
  consensus: Consensus,
  command: C,
): Promise<{ index: number; value: CommandValues[C['type']] }> {
  const { index, result } = await consensus.propose(command);
  const outcome = result as CommandResult<C['type']>;
  if (!outcome.ok) throw outcome.error;
  return { index, value: outcome.value };
}
