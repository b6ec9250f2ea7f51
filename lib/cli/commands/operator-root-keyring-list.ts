import type { RootKeyMeta } from '../../structs/variable.js';
import type { Command } from '../command.js';
import { formatTable, formatTime, shortId } from '../format.js';
import { DATA_FLAGS, printData, takeArgs } from '../print.js';

export const command: Command = {
  usage: 'meshnomad operator root keyring list [options]',
  about: 'Lists the keys that variables are encrypted and identities signed with.',
  flags: { ...DATA_FLAGS, verbose: { type: 'bool', help: 'Show whole ids.' } },
  async run(context) {
    takeArgs(context.args, 0, 0, '');
    const { value } = await (await context.api()).get<RootKeyMeta[]>('/v1/operator/keyring/keys');
    if (await printData(context, value)) return 0;
    const rows = value.map(({ KeyID, State, CreateTime }) => [
      shortId(KeyID, context.flags.bool('verbose')),
      State,
      formatTime(CreateTime),
    ]);
    context.output.out(formatTable([['Key', 'State', 'Create Time'], ...rows]));
    return 0;
  },
};
