import { type Command, UsageError } from '../command.js';
import { namedNode } from '../pick-node.js';
import { takeArgs } from '../print.js';

export const command: Command = {
  usage: 'meshnomad node eligibility [options] <node>',
  about: 'Says whether a node may take new work. What runs on it stays.',
  flags: {
    disable: { type: 'bool', help: 'It takes no new work.' },
    enable: { type: 'bool', help: 'It takes new work.' },
    self: { type: 'bool', help: 'The node of the agent that is asked.' },
  },
  async run(context) {
    const { args, flags, output } = context;
    const [enable, disable] = [flags.bool('enable'), flags.bool('disable')];
    if (enable === disable) throw new UsageError("Either the '-enable' or '-disable' flag must be set");
    takeArgs(args, flags.bool('self') ? 0 : 1, flags.bool('self') ? 0 : 1, '<node>');
    const node = await namedNode(context);
    const eligibility = enable ? 'eligible' : 'ineligible';
    const api = await context.api();
    await api.put(`/v1/node/${node.ID}/eligibility`, { Eligibility: eligibility });
    output.out(`Node ${JSON.stringify(node.ID)} scheduling eligibility set: ${eligibility} for scheduling`);
    return 0;
  },
};
