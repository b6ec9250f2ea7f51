import type { Command } from '../command.js';
import { takeArgs } from '../print.js';

export const command: Command = {
  usage: 'meshnomad operator root keyring remove <key>',
  about:
    'Forgets a key that is not active and that no variable needs. Identities that were signed with it are then refused.',
  flags: {},
  async run({ args, output, api: connect }) {
    takeArgs(args, 1, 1, '<key>');
    await (await connect()).delete(`/v1/operator/keyring/key/${encodeURIComponent(args[0] as string)}`);
    output.out(`Removed encryption key ${args[0]}`);
    return 0;
  },
};
