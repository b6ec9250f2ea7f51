import type { NodePool } from '../../structs/node-pool.js';
import type { Command } from '../command.js';
import { formatTable } from '../format.js';
import { DATA_FLAGS, printData, takeArgs } from '../print.js';

export const command: Command = {
  usage: 'meshnomad node pool list [options]',
  about: 'Lists the node pools.',
  flags: {
    ...DATA_FLAGS,
    filter: {
      type: 'string',
      value: 'expression',
      help: 'Only those for which it holds, such as \'Name matches "^gpu"\'.',
    },
  },
  async run(context) {
    takeArgs(context.args, 0, 0, '');
    const api = await context.api();
    const { value } = await api.get<NodePool[]>('/v1/node/pools', { filter: context.flags.string('filter') });
    if (await printData(context, value)) return 0;
    const rows = value.map(({ Name, Description }) => [Name, Description]);
    context.output.out(rows.length === 0 ? 'No node pools' : formatTable([['Name', 'Description'], ...rows]));
    return 0;
  },
};
