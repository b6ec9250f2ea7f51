import type { Rebalance } from '../../structs/rebalance.js';
import { type Command, UsageError } from '../command.js';
import { formatTable, paint, shortId } from '../format.js';
import { DATA_FLAGS, printData, takeArgs } from '../print.js';

export const command: Command = {
  usage: 'meshnomad rebalance -dry-run [options]',
  about:
    'Proposes moves that would even out the load, as after a node has come back: only services that run undisturbed, no more of a group at once than its migrate block allows, and never against a constraint, a spread or an affinity. It only proposes: nothing is moved by it. `meshnomad alloc stop <allocation>` has an allocation placed again, where the scheduler finds best then.',
  flags: {
    ...DATA_FLAGS,
    'dry-run': { type: 'bool', help: 'Propose, and change nothing. Must be given.' },
    verbose: { type: 'bool', help: 'Show whole ids, and the load of every node.' },
  },
  async run(context) {
    const { args, flags, output } = context;
    takeArgs(args, 0, 0, '');
    if (!flags.bool('dry-run')) {
      throw new UsageError('rebalance only proposes: add -dry-run, then stop what you want moved with alloc stop');
    }
    const api = await context.api();
    const { value } = await api.get<Rebalance>('/v1/operator/rebalance');
    if (await printData(context, value)) return 0;
    const verbose = flags.bool('verbose');
    const title = (text: string): string => paint(output.color, 'bold', text);
    output.out(value.Summary);
    if (value.Moves.length > 0) {
      output.out(`\n${title('Moves')}\n${moveTable(value, verbose)}`);
      if (value.Algorithm === 'binpack') {
        output.out('\nThe scheduler packs (binpack): what is stopped may be placed on a full node again.');
      }
    }
    if (value.Nodes.length > 0 && (verbose || value.Moves.length > 0)) {
      output.out(`\n${title('Nodes')}\n${nodeTable(value, verbose)}`);
    }
    return 0;
  },
};

const percent = (share: number): string => `${Math.round(share * 100)} %`;

function moveTable({ Moves }: Rebalance, verbose: boolean): string {
  const rows = Moves.map((move) => [
    shortId(move.AllocID, verbose),
    move.Name,
    move.FromNode,
    move.ToNode,
    percent(move.Gain),
  ]);
  return formatTable([['Allocation', 'Name', 'From', 'To', 'Gain'], ...rows]);
}

function nodeTable({ Nodes }: Rebalance, verbose: boolean): string {
  const changed = Nodes.filter(({ LoadBefore, LoadAfter }) => verbose || LoadBefore !== LoadAfter);
  const rows = changed.map((node) => [
    shortId(node.NodeID, verbose),
    node.Name,
    percent(node.LoadBefore),
    percent(node.LoadAfter),
  ]);
  return formatTable([['Node', 'Name', 'Load', 'Load after'], ...rows]);
}
