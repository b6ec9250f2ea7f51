import type { JobListStub } from '../../structs/rpc.js';
import type { Command } from '../command.js';
import { DATA_FLAGS, pageFlags, pageQuery, printData, takeArgs, tellNextPage } from '../print.js';
import { jobTable } from '../resolve.js';

export const command: Command = {
  usage: 'meshnomad node pool jobs [options] <pool>',
  about: 'Lists the jobs of a pool.',
  flags: { ...DATA_FLAGS, ...pageFlags('Type == "batch"') },
  async run(context) {
    const { args, output } = context;
    takeArgs(args, 1, 1, '<pool>');
    const api = await context.api();
    const path = `/v1/node/pool/${encodeURIComponent(args[0] as string)}/jobs`;
    const { value, nextToken } = await api.get<JobListStub[]>(path, pageQuery(context));
    if (await printData(context, value)) return 0;
    output.out(value.length === 0 ? 'No jobs' : jobTable(value));
    tellNextPage(context, nextToken, 'node pool jobs');
    return 0;
  },
};
