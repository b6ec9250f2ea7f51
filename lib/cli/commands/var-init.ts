import { INIT_VARIABLE } from '../../jobspec/variable-file.js';
import type { Command } from '../command.js';
import { takeArgs } from '../print.js';
import { writeExample } from '../write-example.js';

const FILENAME = 'spec.nsv.hcl';

export const command: Command = {
  usage: 'meshnomad var init [filename]',
  about: `Writes an example of a variable, ${FILENAME} unless another name is given, to start from.`,
  flags: {},
  local: true,
  async run(context) {
    takeArgs(context.args, 0, 1, '[filename]');
    return writeExample(context, context.args[0] ?? FILENAME, INIT_VARIABLE, 'variable specification');
  },
};
