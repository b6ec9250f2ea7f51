import type { RootKeyMeta } from '../../structs/variable.js';
import type { Command } from '../command.js';
import { takeArgs } from '../print.js';

export const command: Command = {
  usage: 'meshnomad operator root keyring rotate',
  about: 'Makes a new key the active one. Every variable is then encrypted anew with it.',
  flags: { full: { type: 'bool', help: 'Accepted for compatibility: variables are always encrypted anew.' } },
  async run({ args, output, api: connect }) {
    takeArgs(args, 0, 0, '');
    const { value } = await (await connect()).put<{ Key: RootKeyMeta }>('/v1/operator/keyring/rotate', {});
    output.out(`The new active key is ${value.Key.KeyID}`);
    return 0;
  },
};
