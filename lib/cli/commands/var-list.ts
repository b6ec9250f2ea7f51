import type { VariableMetadata } from '../../structs/variable.js';
import type { Command } from '../command.js';
import { formatTable, formatTime } from '../format.js';
import { DATA_FLAGS, printData, takeArgs } from '../print.js';

export const command: Command = {
  usage: 'meshnomad var list [options] [prefix]',
  about: 'Lists the variables, or those whose path begins with the prefix.',
  flags: {
    ...DATA_FLAGS,
    filter: {
      type: 'string',
      value: 'expression',
      help: 'Only those for which it holds, such as \'Path contains "db"\'.',
    },
    'page-token': { type: 'string', value: 'token', help: 'Where the page begins.' },
    'per-page': { type: 'string', value: 'number', help: 'How many at most.' },
    q: { type: 'bool', help: 'Print the paths only.' },
  },
  async run(context) {
    const { args, flags, output } = context;
    takeArgs(args, 0, 1, '[prefix]');
    const api = await context.api();
    const { value, nextToken } = await api.get<VariableMetadata[]>('/v1/vars', {
      prefix: args[0],
      filter: flags.string('filter'),
      per_page: flags.string('per-page'),
      next_token: flags.string('page-token'),
    });
    if (await printData(context, value)) return 0;
    if (value.length === 0) output.out('No variables found');
    else if (flags.bool('q')) output.out(value.map(({ Path }) => Path).join('\n'));
    else {
      const rows = value.map(({ Namespace, Path, ModifyTime }) => [Namespace, Path, formatTime(ModifyTime)]);
      output.out(formatTable([['Namespace', 'Path', 'Last Updated'], ...rows]));
    }
    if (nextToken !== '') output.error(`Results have been paginated. Next page: -page-token ${nextToken}`);
    return 0;
  },
};
