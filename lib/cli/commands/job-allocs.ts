import type { AllocListStub } from '../../structs/rpc.js';
import type { Command } from '../command.js';
import { DATA_FLAGS, printData, takeArgs } from '../print.js';
import { findJobId } from '../resolve.js';
import { allocTable } from '../tables.js';

export const command: Command = {
  usage: 'meshnomad job allocs [options] <job>',
  about: 'Lists the allocations of a job.',
  flags: {
    ...DATA_FLAGS,
    all: { type: 'bool', help: 'Also those of an earlier job of this name.' },
    verbose: { type: 'bool', help: 'Whole ids, and more columns.' },
  },
  async run(context) {
    const { args, flags, output } = context;
    takeArgs(args, 1, 1, '<job>');
    const api = await context.api();
    const path = `/v1/job/${encodeURIComponent(await findJobId(api, args[0] as string))}/allocations`;
    const { value } = await api.get<AllocListStub[] | null>(path, { all: flags.bool('all') || undefined });
    if (await printData(context, value ?? [])) return 0;
    output.out(allocTable(value ?? [], { verbose: flags.bool('verbose'), nowMs: Date.now() }));
    return 0;
  },
};
