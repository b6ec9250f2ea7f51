import type { Command } from '../command.js';
import { VERSION } from '../version.js';

export const command: Command = {
  usage: 'meshnomad version',
  about: 'Prints the version.',
  flags: {},
  local: true,
  async run({ output }) {
    output.out(`meshnomad v${VERSION}`);
    return 0;
  },
};
