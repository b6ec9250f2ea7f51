import type { Command } from '../command.js';
import { takeArgs } from '../print.js';

export const command: Command = {
  usage: 'meshnomad node pool delete <pool>',
  about: 'Deletes a node pool that has no nodes and no jobs.',
  flags: {},
  async run({ args, output, api: connect }) {
    takeArgs(args, 1, 1, '<pool>');
    const api = await connect();
    await api.delete(`/v1/node/pool/${encodeURIComponent(args[0] as string)}`);
    output.out(`Successfully deleted node pool ${JSON.stringify(args[0])}!`);
    return 0;
  },
};
