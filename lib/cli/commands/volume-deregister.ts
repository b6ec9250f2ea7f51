import type { Command } from '../command.js';
import { takeArgs } from '../print.js';

export const command: Command = {
  usage: 'meshnomad volume deregister [options] <volume>',
  about: 'Forgets a CSI volume that nobody uses. Its data stays where it is.',
  flags: {
    force: { type: 'bool', help: 'Also when a controller has not detached it yet. With -reason.' },
    reason: { type: 'string', value: 'text', help: 'Why by force: recorded in the log of the servers.' },
  },
  async run({ args, flags, output, api: connect }) {
    takeArgs(args, 1, 1, '<volume>');
    const id = args[0] as string;
    const api = await connect();
    const query = { force: flags.bool('force') || undefined, reason: flags.string('reason') };
    await api.delete(`/v1/volume/csi/${encodeURIComponent(id)}`, query);
    output.out(`Successfully deregistered volume ${JSON.stringify(id)}!`);
    return 0;
  },
};
