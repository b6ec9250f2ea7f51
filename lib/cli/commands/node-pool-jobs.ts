import type { JobListStub } from '../../structs/rpc.js';
import type { Command } from '../command.js';
import { DATA_FLAGS, printData, takeArgs } from '../print.js';
import { jobTable } from '../resolve.js';

export const command: Command = {
  usage: 'meshnomad node pool jobs [options] <pool>',
  about: 'Lists the jobs of a pool.',
  flags: DATA_FLAGS,
  async run(context) {
    const { args, output } = context;
    takeArgs(args, 1, 1, '<pool>');
    const api = await context.api();
    const { value } = await api.get<JobListStub[]>(`/v1/node/pool/${encodeURIComponent(args[0] as string)}/jobs`);
    if (await printData(context, value)) return 0;
    output.out(value.length === 0 ? 'No jobs' : jobTable(value));
    return 0;
  },
};
