import type { ServiceRegistration } from '../../structs/service.js';
import { ApiError } from '../api.js';
import type { Command } from '../command.js';
import { formatPairs, formatTable, shortId } from '../format.js';
import { DATA_FLAGS, pageFlags, pageQuery, printData, takeArgs, tellNextPage } from '../print.js';

export const command: Command = {
  usage: 'meshnomad service info [options] <service>',
  about: 'Shows the instances of a service: where they are, and whether they pass their checks.',
  flags: {
    ...DATA_FLAGS,
    ...pageFlags('Port == 80'),
    verbose: { type: 'bool', help: 'Show whole ids, and all that is known of each instance.' },
  },
  async run(context) {
    const { args, flags, output } = context;
    takeArgs(args, 1, 1, '<service>');
    const name = args[0] as string;
    const api = await context.api();
    const query = { all: 'true', ...pageQuery(context) };
    const { value, nextToken } = await api.get<ServiceRegistration[]>(`/v1/service/${encodeURIComponent(name)}`, query);
    if (value.length === 0) throw new ApiError(404, `Service registrations ${JSON.stringify(name)} not found`);
    if (await printData(context, value)) return 0;
    output.out(flags.bool('verbose') ? value.map(details).join('\n\n') : table(value));
    tellNextPage(context, nextToken, 'service info');
    return 0;
  },
};

function table(rows: readonly ServiceRegistration[]): string {
  const head = ['Job ID', 'Address', 'Health', 'Tags', 'Node ID', 'Alloc ID'];
  const body = rows.map((row) => [
    row.JobID,
    at(row),
    row.Health,
    `[${(row.Tags ?? []).join(',')}]`,
    shortId(row.NodeID, false),
    shortId(row.AllocID, false),
  ]);
  return formatTable([head, ...body]);
}

function details(row: ServiceRegistration): string {
  return formatPairs([
    ['ID', row.ID],
    ['Service Name', row.ServiceName],
    ['Namespace', row.Namespace],
    ['Job ID', row.JobID],
    ['Alloc ID', row.AllocID],
    ['Node ID', row.NodeID],
    ['Datacenter', row.Datacenter],
    ['Address', at(row)],
    ['Health', row.Health],
    ['Tags', `[${(row.Tags ?? []).join(',')}]`],
  ]);
}

function at({ Address, Port }: ServiceRegistration): string {
  const host = Address.includes(':') ? `[${Address}]` : Address;
  return Port > 0 ? `${host}:${Port}` : host;
}
