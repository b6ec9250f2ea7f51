import { existsSync, writeFileSync } from 'node:fs';
import { INIT_POOL } from '../../jobspec/node-pool.js';
import type { Command } from '../command.js';
import { takeArgs } from '../print.js';

const FILENAME = 'pool.nomad.hcl';

export const command: Command = {
  usage: 'meshnomad node pool init [filename]',
  about: `Writes an example of a node pool, ${FILENAME} unless another name is given, to start from.`,
  flags: {},
  local: true,
  async run({ args, output }) {
    takeArgs(args, 0, 1, '[filename]');
    const filename = args[0] ?? FILENAME;
    if (existsSync(filename)) {
      output.error(`File ${JSON.stringify(filename)} already exists`);
      return 1;
    }
    try {
      writeFileSync(filename, INIT_POOL, { flag: 'wx' });
    } catch (error) {
      output.error(`Failed to write ${JSON.stringify(filename)}: ${(error as Error).message}`);
      return 1;
    }
    output.out(`Example node pool specification written to ${filename}`);
    return 0;
  },
};
