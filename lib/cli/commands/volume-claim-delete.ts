import type { Command } from '../command.js';
import { confirm } from '../confirm.js';
import { takeArgs } from '../print.js';

export const command: Command = {
  usage: 'meshnomad volume claim delete [options] <claim>',
  about: 'Lets the successor of an allocation use another host volume: it is held to the one it had no more (sticky).',
  flags: { yes: { type: 'bool', help: 'Do not ask.' } },
  async run({ args, flags, output, api: connect }) {
    takeArgs(args, 1, 1, '<claim>');
    const id = args[0] as string;
    const sure = await confirm(
      flags,
      `Its successor may start with another, empty volume. Delete claim ${id}?`,
      'an allocation may start with another volume then: say -yes',
    );
    if (!sure) return 0;
    const api = await connect();
    await api.delete(`/v1/volumes/claim/${encodeURIComponent(id)}`);
    output.out(`Claim ${JSON.stringify(id)} deleted`);
    return 0;
  },
};
