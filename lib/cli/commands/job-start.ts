import type { Job } from '../../structs/job.js';
import { ApiError } from '../api.js';
import type { Command } from '../command.js';
import { takeArgs } from '../print.js';
import { findJobId } from '../resolve.js';
import { revertJob } from '../revert.js';

export const command: Command = {
  usage: 'meshnomad job start [options] <job>',
  about: 'Starts a job that was stopped, as a new version that is like its last.',
  flags: {
    detach: { type: 'bool', help: "Do not watch: print the evaluation's id and end." },
    verbose: { type: 'bool', help: 'Show whole ids.' },
  },
  async run(context) {
    const { args } = context;
    takeArgs(args, 1, 1, '<job>');
    const api = await context.api();
    const id = await findJobId(api, args[0] as string);
    // Newest first. The stop is a version too; what was written is kept with the one before.
    const { value } = await api.get<{ Versions: Job[] }>(`/v1/job/${encodeURIComponent(id)}/versions`);
    const [now, ...older] = value.Versions;
    if (!now?.Stop) throw new ApiError(0, `job ${JSON.stringify(id)} has not been stopped`);
    const last = older.find(({ Stop }) => !Stop);
    if (!last)
      throw new ApiError(0, `no version of job ${JSON.stringify(id)} that ran is kept: run its job file again`);
    // Who has registered another version meanwhile shall not lose it.
    return revertJob(context, api, { JobID: id, JobVersion: last.Version, EnforcePriorVersion: now.Version });
  },
};
