import type { Job, JobSubmission } from '../../structs/job.js';
import type { Command } from '../command.js';
import { DATA_FLAGS, printData, takeArgs } from '../print.js';
import { findJobId } from '../resolve.js';

export const command: Command = {
  usage: 'meshnomad job inspect [options] <job>',
  about: "Prints a registered job as the API's JSON, ready for job run.",
  flags: {
    ...DATA_FLAGS,
    hcl: { type: 'bool', help: 'Print the job file as it was handed in.' },
    version: { type: 'int', value: 'n', help: 'Another version than the newest.' },
  },
  async run(context) {
    const { args, flags, output } = context;
    takeArgs(args, 1, 1, '<job>');
    const api = await context.api();
    const id = encodeURIComponent(await findJobId(api, args[0] as string));
    const job = await pickVersion(context, id);
    if (!job) {
      output.error(
        `Job ${JSON.stringify(args[0])} has no version ${flags.int('version')}; see "meshnomad job history"`,
      );
      return 1;
    }
    if (flags.bool('hcl')) {
      const { value } = await api.get<JobSubmission>(`/v1/job/${id}/submission`, { version: job.Version });
      output.out(value.Source.trimEnd());
      return 0;
    }
    if (flags.string('t') !== undefined) await printData(context, job);
    else output.out(JSON.stringify({ Job: job }, null, 4));
    return 0;
  },
};

async function pickVersion({ api, flags }: Parameters<Command['run']>[0], id: string): Promise<Job | undefined> {
  const client = await api();
  const version = flags.int('version');
  if (version === undefined) return (await client.get<Job>(`/v1/job/${id}`)).value;
  const { value } = await client.get<{ Versions: Job[] }>(`/v1/job/${id}/versions`);
  return value.Versions.find(({ Version }) => Version === version);
}
