import type { Job } from '../../structs/job.js';
import type { JobRegisterResponse } from '../../structs/rpc.js';
import { type Command, UsageError } from '../command.js';
import { takeArgs } from '../print.js';
import { findJobId } from '../resolve.js';
import { WATCH_FLAGS, watchEvaluation } from '../watch.js';

export const command: Command = {
  usage: 'meshnomad job scale [options] <job> [group] <count>',
  about: 'Sets the count of a group. Its name may be left out when the job has only one.',
  flags: {
    ...WATCH_FLAGS,
    'check-index': { type: 'int', value: 'index', help: "Only if the job's JobModifyIndex is this." },
  },
  async run(context) {
    const { args, flags, output } = context;
    takeArgs(args, 2, 3, '<job> [group] <count>');
    const text = args.at(-1) as string;
    if (!/^\d{1,9}$/.test(text)) throw new UsageError(`the count must be a whole number, not ${JSON.stringify(text)}`);
    const api = await context.api();
    const id = await findJobId(api, args[0] as string);
    const path = `/v1/job/${encodeURIComponent(id)}`;
    let group = args.length === 3 ? (args[1] as string) : '';
    if (group === '') {
      const groups = (await api.get<Job>(path)).value.TaskGroups.map(({ Name }) => Name);
      if (groups.length !== 1) throw new UsageError(`Group name required: job ${id} has ${groups.join(', ')}`);
      group = groups[0] as string;
    }
    const index = flags.int('check-index');
    const { value } = await api.put<JobRegisterResponse>(`${path}/scale`, {
      Count: Number(text),
      Target: { Namespace: '', Region: '', Job: id, Group: group },
      Message: 'submitted using the meshnomad CLI',
      ...(index === undefined ? {} : { EnforceIndex: true, JobModifyIndex: index }),
    });
    if (value.Warnings) output.out(`Job Warnings:\n${value.Warnings}\n`);
    if (flags.bool('detach') || value.EvalID === '') output.out('Job scale successful');
    return watchEvaluation(context, value.EvalID);
  },
};
