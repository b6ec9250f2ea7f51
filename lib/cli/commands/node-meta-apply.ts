import type { NodeMetadata } from '../../structs/rpc-node-meta.js';
import { type Command, UsageError } from '../command.js';
import { ownNode } from '../pick-node.js';
import { findNode } from '../resolve.js';

export const command: Command = {
  usage: 'meshnomad node meta apply [options] <key>=<value>...',
  about: 'Changes the metadata of a node while it runs; it stays over restarts of its agent. Jobs may constrain on it.',
  flags: {
    'node-id': { type: 'string', value: 'id', help: 'The node; else that of the agent that is asked.' },
    unset: { type: 'string', value: 'keys', help: 'Keys to take away, separated by commas.' },
  },
  async run(context) {
    const { args, flags, output } = context;
    const Meta: Record<string, string | null> = {};
    for (const key of (flags.string('unset') ?? '').split(',').filter(Boolean)) Meta[key] = null;
    for (const pair of args) {
      const at = pair.indexOf('=');
      if (at < 1) throw new UsageError(`write key=value, not ${JSON.stringify(pair)}`);
      Meta[pair.slice(0, at)] = pair.slice(at + 1);
    }
    if (Object.keys(Meta).length === 0) throw new UsageError('say what to change: key=value, or -unset key');
    const api = await context.api();
    const named = flags.string('node-id') ?? '';
    const NodeID = named === '' ? await ownNode(api) : (await findNode(api, named)).ID;
    await api.put<NodeMetadata>('/v1/client/metadata', { NodeID, Meta });
    output.out(`The metadata of node ${JSON.stringify(NodeID)} is changed.`);
    return 0;
  },
};
