import { existsSync, writeFileSync } from 'node:fs';
import { INIT_FILENAME, INIT_JOB, INIT_JOB_SHORT } from '../../jobspec/init.js';
import type { Command } from '../command.js';
import { takeArgs } from '../print.js';

export const command: Command = {
  usage: 'meshnomad job init [options] [filename]',
  about: `Writes an example job file, ${INIT_FILENAME} unless another name is given, to start from.`,
  flags: { short: { type: 'bool', help: 'Without the comments.' } },
  local: true,
  async run({ args, flags, output }) {
    takeArgs(args, 0, 1, '[filename]');
    const filename = args[0] ?? INIT_FILENAME;
    if (existsSync(filename)) {
      output.error(`Job file ${JSON.stringify(filename)} already exists`);
      return 1;
    }
    try {
      writeFileSync(filename, flags.bool('short') ? INIT_JOB_SHORT : INIT_JOB, { flag: 'wx' });
    } catch (error) {
      output.error(`Failed to write ${JSON.stringify(filename)}: ${(error as Error).message}`);
      return 1;
    }
    output.out(`Example job file written to ${filename}`);
    return 0;
  },
};
