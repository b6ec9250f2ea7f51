import type { Command } from '../command.js';
import { takeArgs } from '../print.js';

export const command: Command = {
  usage: 'meshnomad service delete <service> <id>',
  about: 'Takes one instance out of the catalogue. A client that still runs it lists it again with its next change.',
  flags: {},
  async run({ args, output, api: connect }) {
    takeArgs(args, 2, 2, '<service> <id>');
    const [name, id] = args.map(encodeURIComponent);
    await (await connect()).delete(`/v1/service/${name}/${id}`);
    output.out('Successfully deleted service registration');
    return 0;
  },
};
