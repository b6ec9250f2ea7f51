import type { Command } from '../command.js';
import { takeArgs } from '../print.js';
import { findNode } from '../resolve.js';

export const command: Command = {
  usage: 'meshnomad volume detach [options] <volume> <node>',
  about:
    'Releases what allocations of a node that have ended hold of a volume. It is released by itself as a rule: "volume status" says what it waits for. With -force it is released at once, on your word that nothing on that node writes to the volume any more.',
  flags: {
    force: { type: 'bool', help: 'At once, and without asking the node. With -reason.' },
    reason: { type: 'string', value: 'text', help: 'How you know that nothing writes any more: kept with the volume.' },
  },
  async run({ args, flags, output, api: connect }) {
    takeArgs(args, 2, 2, '<volume> <node>');
    const [id, nodePrefix] = args as [string, string];
    const api = await connect();
    // A node that was purged is known by its whole id only.
    const node = /^[0-9a-f-]{36}$/.test(nodePrefix) ? nodePrefix : (await findNode(api, nodePrefix)).ID;
    await api.delete(`/v1/volume/csi/${encodeURIComponent(id)}/detach`, {
      node,
      force: flags.bool('force') || undefined,
      reason: flags.string('reason'),
    });
    const how = flags.bool('force') ? 'is detached' : 'is being detached';
    output.out(`Volume ${JSON.stringify(id)} ${how} from node ${node.slice(0, 8)}`);
    return 0;
  },
};
