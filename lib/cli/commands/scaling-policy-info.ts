import type { ScalingPolicy } from '../../structs/job.js';
import type { ScalingPolicyStub } from '../../structs/rpc-scaling.js';
import { ApiError } from '../api.js';
import type { Command } from '../command.js';
import { formatPairs, formatTable, paint, shortId } from '../format.js';
import { DATA_FLAGS, printData, takeArgs } from '../print.js';

export const command: Command = {
  usage: 'meshnomad scaling policy info [options] <policy>',
  about: 'Shows a scaling policy, by its id or the beginning of it.',
  flags: { ...DATA_FLAGS, verbose: { type: 'bool', help: 'Show whole ids.' } },
  async run(context) {
    const { args, flags, output } = context;
    takeArgs(args, 1, 1, '<policy>');
    const prefix = args[0] as string;
    const api = await context.api();
    const { value: found } = await api.get<ScalingPolicyStub[]>('/v1/scaling/policies', { prefix });
    if (found.length === 0)
      throw new ApiError(404, `No scaling policies with prefix or id ${JSON.stringify(prefix)} found`);
    if (found.length > 1) {
      const rows = found.map(({ ID, Type, Target }) => [ID, Type, JSON.stringify(Target)]);
      throw new ApiError(
        0,
        `Prefix matched multiple scaling policies\n\n${formatTable([['ID', 'Type', 'Target'], ...rows])}`,
      );
    }
    const { value: policy } = await api.get<ScalingPolicy>(`/v1/scaling/policy/${found[0]?.ID}`);
    if (await printData(context, policy)) return 0;
    const target = Object.entries(policy.Target ?? {}).map(([key, text]) => `${key}:${text}`);
    output.out(
      formatPairs([
        ['ID', shortId(policy.ID, flags.bool('verbose'))],
        ['Enabled', String(policy.Enabled)],
        ['Type', policy.Type],
        ['Target', target.join(', ')],
        ['Min', String(policy.Min ?? 0)],
        ['Max', String(policy.Max ?? '')],
      ]),
    );
    output.out(`\n${paint(output.color, 'bold', 'Policy')}\n${JSON.stringify(policy.Policy ?? {}, null, 2)}`);
    return 0;
  },
};
