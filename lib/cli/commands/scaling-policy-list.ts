import type { ScalingPolicyStub } from '../../structs/rpc-scaling.js';
import type { Command } from '../command.js';
import { formatTable, shortId } from '../format.js';
import { DATA_FLAGS, printData, takeArgs } from '../print.js';

export const command: Command = {
  usage: 'meshnomad scaling policy list [options]',
  about: 'Lists the scaling policies of jobs.',
  flags: {
    ...DATA_FLAGS,
    job: { type: 'string', value: 'job', help: 'Only those of this job.' },
    type: { type: 'string', value: 'type', help: 'Only those of this type, such as horizontal.' },
    verbose: { type: 'bool', help: 'Show whole ids.' },
  },
  async run(context) {
    const { args, flags, output } = context;
    takeArgs(args, 0, 0, '');
    const query = { job: flags.string('job'), type: flags.string('type') };
    const { value } = await (await context.api()).get<ScalingPolicyStub[]>('/v1/scaling/policies', query);
    if (await printData(context, value)) return 0;
    const rows = value.map(({ ID, Enabled, Type, Target }) => [
      shortId(ID, flags.bool('verbose')),
      String(Enabled),
      Type,
      Object.entries(Target)
        .map(([key, text]) => `${key}:${text}`)
        .join(','),
    ]);
    output.out(rows.length === 0 ? 'No policies found' : formatTable([['ID', 'Enabled', 'Type', 'Target'], ...rows]));
    return 0;
  },
};
