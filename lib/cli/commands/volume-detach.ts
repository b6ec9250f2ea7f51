import type { Command } from '../command.js';
import { takeArgs } from '../print.js';
import { findNode } from '../resolve.js';

export const command: Command = {
  usage: 'meshnomad volume detach [options] <volume> <node>',
  about:
    'Releases what allocations of a node that have ended hold of a volume. It is released by itself as a rule: "volume status" says what it waits for. With -force the allocations of that node which still use it are ended, and it is unmounted there even if its plugin does not help; a node that cannot be reached is waited for until its lease is over (90 seconds after it was heard), since it may write until then.',
  flags: {
    force: { type: 'bool', help: 'End what uses it there, and do not wait for its plugin. With -reason.' },
    reason: { type: 'string', value: 'text', help: 'Why: kept with the volume, and told to the allocation.' },
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
    const how = flags.bool('force') ? ' by force' : '';
    output.out(`Volume ${JSON.stringify(id)} is being detached from node ${node.slice(0, 8)}${how}`);
    return 0;
  },
};
