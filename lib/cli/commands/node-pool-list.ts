import type { NodePool } from '../../structs/node-pool.js';
import type { Command } from '../command.js';
import { formatTable } from '../format.js';
import { DATA_FLAGS, pageFlags, pageQuery, printData, takeArgs, tellNextPage } from '../print.js';

export const command: Command = {
  usage: 'meshnomad node pool list [options]',
  about: 'Lists the node pools.',
  flags: {
    ...DATA_FLAGS,
    ...pageFlags('Name matches "^gpu"'),
  },
  async run(context) {
    takeArgs(context.args, 0, 0, '');
    const api = await context.api();
    const { value, nextToken } = await api.get<NodePool[]>('/v1/node/pools', pageQuery(context));
    if (await printData(context, value)) return 0;
    const rows = value.map(({ Name, Description }) => [Name, Description]);
    context.output.out(rows.length === 0 ? 'No node pools' : formatTable([['Name', 'Description'], ...rows]));
    tellNextPage(context, nextToken, 'node pool list');
    return 0;
  },
};
