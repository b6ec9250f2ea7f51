import type { RootKeyMeta } from '../../structs/variable.js';
import type { Command } from '../command.js';
import { takeArgs } from '../print.js';
import { readSecret } from '../read-secret.js';

export const command: Command = {
  usage: 'meshnomad operator root keyring open',
  about: `Opens the keys of the secrets of the mesh by its recovery code, for the servers of now: after a snapshot was restored on a machine
that takes the place of lost ones. The code is asked for, or read from standard input.`,
  flags: {},
  async run({ args, output, api: connect }) {
    takeArgs(args, 0, 0, '');
    const Code = await readSecret('Recovery code: ');
    const { value } = await (await connect()).put<{ Keys: RootKeyMeta[] }>('/v1/operator/keyring/open', { Code });
    output.out(
      value.Keys.length === 0 ? 'There is no key that the recovery code opens' : `${value.Keys.length} keys are open`,
    );
    return value.Keys.length === 0 ? 1 : 0;
  },
};
