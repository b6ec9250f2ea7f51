import type { NodeMetadata } from '../../structs/rpc-node-meta.js';
import type { Command } from '../command.js';
import { formatPairs, paint } from '../format.js';
import { ownNode } from '../pick-node.js';
import { DATA_FLAGS, printData, takeArgs } from '../print.js';
import { findNode } from '../resolve.js';

export const command: Command = {
  usage: 'meshnomad node meta read [options]',
  about: 'Shows the metadata of a node: what holds, what was given while it ran, and what its configuration says.',
  flags: {
    ...DATA_FLAGS,
    'node-id': { type: 'string', value: 'id', help: 'The node; else that of the agent that is asked.' },
  },
  async run(context) {
    const { args, flags, output } = context;
    takeArgs(args, 0, 0, '');
    const api = await context.api();
    const named = flags.string('node-id') ?? '';
    const node_id = named === '' ? await ownNode(api) : (await findNode(api, named)).ID;
    const { value: meta } = await api.get<NodeMetadata>('/v1/client/metadata', { node_id });
    if (await printData(context, meta)) return 0;
    const part = (title: string, pairs: Record<string, string | null>): string => {
      const rows = Object.entries(pairs)
        .sort(([a], [b]) => (a < b ? -1 : 1))
        .map(([key, value]): [string, string] => [key, value ?? '<unset>']);
      return `${paint(output.color, 'bold', title)}\n${rows.length > 0 ? formatPairs(rows) : '<none>'}`;
    };
    output.out(
      [part('All Meta', meta.Meta), part('Dynamic Meta', meta.Dynamic), part('Static Meta', meta.Static)].join('\n\n'),
    );
    return 0;
  },
};
