import type { Command } from '../command.js';
import { pickNode } from '../pick-node.js';
import { takeArgs } from '../print.js';

export const command: Command = {
  usage: 'meshnomad node purge [options] <node>',
  about:
    'Forgets a node that will not come back; its work is placed elsewhere. A node that does come back registers anew.',
  flags: { yes: { type: 'bool', help: 'Do not ask when only a prefix of the id was given.' } },
  async run(context) {
    takeArgs(context.args, 1, 1, '<node>');
    const node = await pickNode(context, 'purge');
    if (!node) return 0;
    const api = await context.api();
    await api.put(`/v1/node/${node.ID}/purge`, {});
    context.output.out(`Node ${JSON.stringify(node.ID)} purged`);
    return 0;
  },
};
