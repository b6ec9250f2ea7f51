import type { Command } from '../command.js';

export const command: Command = {
  usage: 'meshnomad server join',
  about:
    'Is not needed here: a server is joined by its invite, wherever it is, and finds the others by their keys. Make one with ' +
    '"meshnomad invite -role server", and take it with "meshnomad join <invite>" on the new machine.',
  flags: {},
  local: true,
  async run({ output }) {
    output.error(command.about);
    return 1;
  },
};
