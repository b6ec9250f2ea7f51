import type { Command } from '../command.js';
import { shortId } from '../format.js';
import { takeArgs } from '../print.js';
import { findJobId } from '../resolve.js';
import { WATCH_FLAGS, watchEvaluation } from '../watch.js';

export const command: Command = {
  usage: 'meshnomad job eval [options] <job>',
  about: 'Has the scheduler look at a job again.',
  flags: {
    ...WATCH_FLAGS,
    'force-reschedule': { type: 'bool', help: 'Replace failed allocations now, whatever their reschedule block says.' },
  },
  async run(context) {
    const { args, flags, output } = context;
    takeArgs(args, 1, 1, '<job>');
    const api = await context.api();
    const id = await findJobId(api, args[0] as string);
    const { value } = await api.put<{ EvalID: string }>(`/v1/job/${encodeURIComponent(id)}/evaluate`, {
      JobID: id,
      EvalOptions: { ForceReschedule: flags.bool('force-reschedule') },
    });
    if (flags.bool('detach')) {
      output.out(`Created eval ID: ${JSON.stringify(shortId(value.EvalID, flags.bool('verbose')))} `);
      return 0;
    }
    return watchEvaluation(context, value.EvalID);
  },
};
