import type { Command } from '../command.js';
import { takeArgs } from '../print.js';
import { findNode } from '../resolve.js';
import { copyFrames } from '../stream.js';

export const command: Command = {
  usage: 'meshnomad monitor [options]',
  about: 'Shows what an agent logs, as it does: the one that is asked, or that of a node. Ends with Ctrl-C.',
  flags: {
    'log-level': { type: 'string', value: 'level', help: 'trace, debug, info (the default), warn or error.' },
    'node-id': { type: 'string', value: 'node', help: 'The agent on this node; the beginning of its id will do.' },
    json: { type: 'bool', help: 'Lines in JSON.' },
  },
  async run(context) {
    const { args, flags, output } = context;
    takeArgs(args, 0, 0, '');
    const api = await context.api();
    const node = flags.string('node-id');
    const body = await api.stream('/v1/agent/monitor', {
      log_level: flags.string('log-level') ?? 'info',
      log_json: flags.bool('json'),
      ...(node === undefined ? {} : { node_id: (await findNode(api, node)).ID }),
    });
    await copyFrames(body, { to: output.raw.out, follow: true });
    return 0;
  },
};
