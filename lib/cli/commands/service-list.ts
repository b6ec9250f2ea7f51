import type { ServiceListStub } from '../../structs/service.js';
import type { Command } from '../command.js';
import { formatTable } from '../format.js';
import { DATA_FLAGS, printData, takeArgs } from '../print.js';

export const command: Command = {
  usage: 'meshnomad service list [options]',
  about: 'Lists the services that can be reached, with the tags of all their instances.',
  flags: {
    ...DATA_FLAGS,
    all: { type: 'bool', help: 'Also those of which no instance passes its checks.' },
    filter: { type: 'string', value: 'expression', help: 'Only those for which it holds, such as \'"web" in Tags\'.' },
  },
  async run(context) {
    const { args, flags, output } = context;
    takeArgs(args, 0, 0, '');
    const api = await context.api();
    const query = { filter: flags.string('filter'), ...(flags.bool('all') ? { all: 'true' } : {}) };
    const { value } = await api.get<ServiceListStub[]>('/v1/services', query);
    if (await printData(context, value)) return 0;
    const several = value.length > 1;
    const rows = value.flatMap(({ Namespace, Services }) =>
      Services.map(({ ServiceName, Tags }) => [ServiceName, ...(several ? [Namespace] : []), `[${Tags.join(',')}]`]),
    );
    const head = ['Service Name', ...(several ? ['Namespace'] : []), 'Tags'];
    output.out(rows.length === 0 ? 'No service registrations found' : formatTable([head, ...rows]));
    return 0;
  },
};
