import type { Command, CommandResult, CommandValues } from '../state/commands.js';
import type { Consensus } from './ports.js';

/** Things that one entry of the log changes: applying it is some milliseconds of work on every server. */
const ENTRY_MAX = 128;

/**
 * Many things in portions for one entry each: a single one of thousands would hold every server's thread while it is applied. `weight`
 * says for how many things one counts that is much to write.
 */
export function* portions<T>(items: readonly T[], weight: (item: T) => number = () => 1): Generator<T[], void, void> {
  let portion: T[] = [];
  let full = 0;
  for (const item of items) {
    const own = weight(item);
    if (portion.length > 0 && full + own > ENTRY_MAX) {
      yield portion;
      portion = [];
      full = 0;
    }
    portion.push(item);
    full += own;
  }
  if (portion.length > 0) yield portion;
}

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
