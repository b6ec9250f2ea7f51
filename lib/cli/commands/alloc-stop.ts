import type { Command } from '../command.js';
import { Monitor } from '../monitor.js';
import { takeArgs } from '../print.js';
import { findAllocation } from '../resolve.js';

export const command: Command = {
  usage: 'meshnomad alloc stop [options] <allocation>',
  about: 'Stops an allocation; the scheduler places another in its stead.',
  flags: {
    detach: { type: 'bool', help: "Do not watch: print the evaluation's id and end." },
    'no-shutdown-delay': { type: 'bool', help: 'Stop at once, whatever shutdown_delay says.' },
    verbose: { type: 'bool', help: 'Show whole ids.' },
  },
  async run(context) {
    const { args, flags, output } = context;
    takeArgs(args, 1, 1, '<allocation>');
    const api = await context.api();
    const alloc = await findAllocation(api, args[0] as string);
    const { value } = await api.put<{ EvalID: string }>(
      `/v1/allocation/${alloc.ID}/stop`,
      {},
      {
        no_shutdown_delay: flags.bool('no-shutdown-delay') || undefined,
      },
    );
    if (flags.bool('detach')) {
      output.out(value.EvalID);
      return 0;
    }
    return new Monitor({ api, output, verbose: flags.bool('verbose') }).evaluation(value.EvalID);
  },
};
