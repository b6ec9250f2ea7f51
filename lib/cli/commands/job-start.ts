import type { Job } from '../../structs/job.js';
import { ApiError } from '../api.js';
import type { Command } from '../command.js';
import { Monitor } from '../monitor.js';
import { takeArgs } from '../print.js';
import { findJobId } from '../resolve.js';

export const command: Command = {
  usage: 'meshnomad job start [options] <job>',
  about: 'Starts a job that was stopped, as a new version that is like its last.',
  flags: {
    detach: { type: 'bool', help: "Do not watch: print the evaluation's id and end." },
    verbose: { type: 'bool', help: 'Show whole ids.' },
  },
  async run(context) {
    const { args, flags, output } = context;
    takeArgs(args, 1, 1, '<job>');
    const api = await context.api();
    const id = await findJobId(api, args[0] as string);
    const path = `/v1/job/${encodeURIComponent(id)}`;
    // Newest first. The stop is a version too; what was written is kept with the one before.
    const [now, ...older] = (await api.get<{ Versions: Job[] }>(`${path}/versions`)).value.Versions;
    if (!now?.Stop) throw new ApiError(0, `job ${JSON.stringify(id)} has not been stopped`);
    const last = older.find(({ Stop }) => !Stop);
    if (!last)
      throw new ApiError(0, `no version of job ${JSON.stringify(id)} that ran is kept: run its job file again`);
    const { value } = await api.put<{ EvalID: string }>(`${path}/revert`, {
      JobID: id,
      JobVersion: last.Version,
      // Who has registered another version meanwhile shall not lose it.
      EnforcePriorVersion: now.Version,
    });
    if (value.EvalID === '' || flags.bool('detach')) {
      output.out(value.EvalID === '' ? `Job ${JSON.stringify(id)} started` : `Evaluation ID: ${value.EvalID}`);
      return 0;
    }
    return new Monitor({ api, output, verbose: flags.bool('verbose') }).evaluation(value.EvalID);
  },
};
