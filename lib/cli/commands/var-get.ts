import type { Variable } from '../../structs/variable.js';
import { ApiError } from '../api.js';
import type { Command } from '../command.js';
import { UsageError } from '../command.js';
import { takeArgs } from '../print.js';
import { OUT_FLAGS, printVariable } from '../variable-print.js';
import { variableUrl } from '../variable-url.js';

export const command: Command = {
  usage: 'meshnomad var get [options] <path>',
  about: 'Shows a variable.',
  flags: {
    ...OUT_FLAGS,
    item: { type: 'string', value: 'key', help: 'Print the value of this item, and nothing else.' },
  },
  async run(context) {
    const { args, flags, output } = context;
    takeArgs(args, 1, 1, '<path>');
    const item = flags.string('item');
    if (item !== undefined && flags.string('out') !== undefined)
      throw new UsageError('-item and -out exclude each other');
    const { value } = await (await context.api()).get<Variable>(variableUrl(args[0] as string));
    if (item === undefined) {
      await printVariable(context, value, output.color ? 'table' : 'json');
      return 0;
    }
    const found = Object.hasOwn(value.Items, item) ? value.Items[item] : undefined;
    if (found === undefined) throw new ApiError(404, `Variable does not contain ${JSON.stringify(item)} item`);
    output.out(found);
    return 0;
  },
};
