import type { Command } from '../command.js';
import { takeArgs } from '../print.js';

export const command: Command = {
  usage: 'meshnomad invite revoke [options] <id>',
  about: 'Takes an invite back: nobody comes in by it any more. Who did so stays; see "meshnomad revoke".',
  flags: { json: { type: 'bool', help: "Print the API's JSON." } },
  async run({ args, flags, output, api: connect }) {
    takeArgs(args, 1, 1, 'the id of the invite');
    const api = await connect();
    await api.delete(`/v1/mesh/invite/${encodeURIComponent(args[0] as string)}`);
    output.out(flags.bool('json') ? 'null' : `Invite ${args[0]} is void.`);
    return 0;
  },
};
