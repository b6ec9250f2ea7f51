import type { RecoveryView, ServerStats } from '../../structs/operator.js';
import { ApiError } from '../api.js';
import type { Command, Context } from '../command.js';
import { confirm } from '../confirm.js';
import { takeArgs } from '../print.js';
import { survivors } from '../survivors.js';

const REFUSED = 'this makes one server the whole mesh: give -yes if that is meant';

export const command: Command = {
  usage: 'meshnomad recover [options]',
  about: `Brings a mesh back that lost the majority of its servers for good. Run it on the machine of a server that survived: it
becomes the only voter, with all that is in its log, and autopilot makes others vote again. What only the lost servers had is
lost. They cannot go on beside it: when one comes back, it puts its data aside and begins anew. Start again those that still
run, if one says so in its log. Asks the agent of this machine when it runs; with -data-dir the agent must be stopped.`,
  flags: {
    'data-dir': { type: 'string', value: 'path', help: 'The data directory of a server whose agent is stopped.' },
    yes: { type: 'bool', help: 'Do not ask.' },
  },
  async run(context) {
    takeArgs(context.args, 0, 0, '');
    const dataDir = context.flags.string('data-dir');
    return dataDir === undefined ? recoverRunning(context) : recoverStopped(context, dataDir);
  },
};

async function recoverRunning(context: Context): Promise<number> {
  const { output, flags } = context;
  const api = await context.api();
  const { value: view } = await api.get<RecoveryView>('/v1/operator/recover');
  output.out(survivors(view));
  if (view.HasLeader) {
    output.error('\nThere is a leader, so a majority is alive: nothing needs to be recovered.');
    return 1;
  }
  const self = view.Self.Name || view.Self.ID.slice(0, 8);
  output.out(`\n${loss(view)}\n`);
  if (!(await confirm(flags, `Make ${self} the only voter?`, REFUSED))) return 1;
  const { value } = await api.put<{ Epoch: number }>('/v1/operator/recover', {});
  output.out(`${self} is the only voter now, in epoch ${value.Epoch}. See "meshnomad server why" for what follows.
Machines that it does not hear of within a minute are taken for lost: what ran there is started on others.`);
  return 0;
}

/** What would be lost, as far as anybody can tell. */
function loss({ Self, Others }: RecoveryView): string {
  const lines = [`What is in the log of this server up to ${Self.LastIndex} is kept.`];
  const [best] = Others.flatMap(({ Name, Stats }) => (Stats ? [{ Name, Stats }] : [])).sort(
    (a, b) => b.Stats.Term - a.Stats.Term || b.Stats.LastIndex - a.Stats.LastIndex,
  );
  if (best && isAhead(best.Stats, Self)) {
    const more = best.Stats.LastIndex - Self.LastIndex;
    lines.push(`${best.Name} has more${more > 0 ? ` (${more} entries)` : ''}: recover there instead, or that is lost.`);
  }
  const missing = Others.filter(({ Stats }) => Stats === null).map(({ Name }) => Name);
  if (missing.length > 0) {
    lines.push(`What only ${missing.join(', ')} had is lost: writes from the moment this server heard them last.`);
  }
  return lines.join('\n');
}

/** Of two logs the one with the later term is newer, of the same term the longer one (Raft §5.4.1). */
function isAhead(a: ServerStats, b: ServerStats): boolean {
  return a.Term > b.Term || (a.Term === b.Term && a.LastIndex > b.LastIndex);
}

async function recoverStopped({ output, flags }: Context, dataDir: string): Promise<number> {
  const { inspectDataDir, recoverDataDir } = await import('../../agent/recovery.js');
  const told = (error: Error): never => {
    throw new ApiError(0, error.message);
  };
  const stored = await inspectDataDir(dataDir).catch(told);
  const voters = stored.voters.map((id) => id.slice(0, 8)).join(', ') || 'nobody';
  output.out(
    `Server ${stored.id.slice(0, 8)}: log up to ${stored.lastIndex}, term ${stored.term}, epoch ${stored.epoch}; voters: ${voters}.`,
  );
  output.out(
    `What is in its log is kept; what only others had is lost. Others that run may have more: ask them first.\n`,
  );
  if (!(await confirm(flags, 'Make this server the only voter?', REFUSED))) return 1;
  const after = await recoverDataDir(dataDir).catch(told);
  output.out(`It is the only voter now, in epoch ${after.epoch}. Start its agent.`);
  return 0;
}
