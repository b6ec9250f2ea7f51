import type { Command } from '../command.js';
import { takeArgs } from '../print.js';
import { findJobId } from '../resolve.js';
import { WATCH_FLAGS, watchEvaluation } from '../watch.js';

export const command: Command = {
  usage: 'meshnomad job periodic force [options] <job>',
  about: 'Launches a periodic job now, whatever its schedule; prohibit_overlap does not hold it back.',
  flags: WATCH_FLAGS,
  async run(context) {
    const { args, flags, output } = context;
    takeArgs(args, 1, 1, '<job>');
    const api = await context.api();
    const id = await findJobId(api, args[0] as string);
    const { value } = await api.put<{ EvalID: string }>(`/v1/job/${encodeURIComponent(id)}/periodic/force`, {});
    if (flags.bool('detach')) output.out('Force periodic successful');
    return watchEvaluation(context, value.EvalID);
  },
};
