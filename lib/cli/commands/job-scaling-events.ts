import type { JobScaleStatus } from '../../structs/scaling.js';
import type { Command } from '../command.js';
import { formatTable, formatTime } from '../format.js';
import { takeArgs } from '../print.js';
import { findJobId } from '../resolve.js';

export const command: Command = {
  usage: 'meshnomad job scaling-events [options] <job>',
  about: 'Lists how the counts of a job were changed, and by whom; the newest first.',
  flags: { verbose: { type: 'bool', help: 'Also messages and evaluations.' } },
  async run(context) {
    const { args, flags, output } = context;
    takeArgs(args, 1, 1, '<job>');
    const api = await context.api();
    const id = await findJobId(api, args[0] as string);
    const { value } = await api.get<JobScaleStatus>(`/v1/job/${encodeURIComponent(id)}/scale`);
    const verbose = flags.bool('verbose');
    const rows = Object.entries(value.TaskGroups)
      .flatMap(([group, { Events }]) => (Events ?? []).map((event) => ({ group, event })))
      .sort((a, b) => b.event.Time - a.event.Time)
      .map(({ group, event }) => [
        group,
        event.Count === null ? '' : String(event.Count),
        String(event.PreviousCount),
        ...(verbose ? [String(event.Error), event.Message, event.EvalID ?? ''] : []),
        formatTime(event.Time),
      ]);
    const head = ['Task Group', 'Count', 'PrevCount', ...(verbose ? ['Error', 'Message', 'Eval ID'] : []), 'Date'];
    output.out(rows.length === 0 ? 'No events found' : formatTable([head, ...rows]));
    return 0;
  },
};
