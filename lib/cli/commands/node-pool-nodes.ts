import type { NodeListStub } from '../../structs/rpc.js';
import type { Command } from '../command.js';
import { formatTable, shortId } from '../format.js';
import { DATA_FLAGS, pageFlags, pageQuery, printData, takeArgs, tellNextPage } from '../print.js';

export const command: Command = {
  usage: 'meshnomad node pool nodes [options] <pool>',
  about: 'Lists the nodes of a pool.',
  flags: { ...DATA_FLAGS, ...pageFlags('Status == "ready"'), verbose: { type: 'bool', help: 'Show whole ids.' } },
  async run(context) {
    const { args, flags, output } = context;
    takeArgs(args, 1, 1, '<pool>');
    const api = await context.api();
    const path = `/v1/node/pool/${encodeURIComponent(args[0] as string)}/nodes`;
    const { value, nextToken } = await api.get<NodeListStub[]>(path, pageQuery(context));
    if (await printData(context, value)) return 0;
    const rows = value.map((node) => [
      shortId(node.ID, flags.bool('verbose')),
      node.Datacenter,
      node.Name,
      node.NodeClass,
      String(node.Drain),
      node.SchedulingEligibility,
      node.Status,
    ]);
    const head = ['ID', 'DC', 'Name', 'Class', 'Drain', 'Eligibility', 'Status'];
    output.out(rows.length === 0 ? 'No nodes' : formatTable([head, ...rows]));
    tellNextPage(context, nextToken, 'node pool nodes');
    return 0;
  },
};
