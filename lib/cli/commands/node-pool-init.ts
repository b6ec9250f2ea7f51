import { INIT_POOL } from '../../jobspec/node-pool.js';
import type { Command } from '../command.js';
import { takeArgs } from '../print.js';
import { writeExample } from '../write-example.js';

const FILENAME = 'pool.nomad.hcl';

export const command: Command = {
  usage: 'meshnomad node pool init [filename]',
  about: `Writes an example of a node pool, ${FILENAME} unless another name is given, to start from.`,
  flags: {},
  local: true,
  async run(context) {
    takeArgs(context.args, 0, 1, '[filename]');
    return writeExample(context, context.args[0] ?? FILENAME, INIT_POOL, 'node pool specification');
  },
};
