import type { Command } from '../command.js';
import { shortId } from '../format.js';
import { takeArgs } from '../print.js';
import { findDeployment } from '../resolve.js';

export const command: Command = {
  usage: 'meshnomad deployment pause [options] <deployment>',
  about: 'Stops a deployment from placing more until it is resumed.',
  flags: { verbose: { type: 'bool', help: 'Show whole ids.' } },
  async run(context) {
    const { args, flags, output } = context;
    takeArgs(args, 1, 1, '<deployment>');
    const api = await context.api();
    const { ID } = await findDeployment(api, args[0] as string);
    await api.put<{ EvalID: string }>(`/v1/deployment/pause/${ID}`, { DeploymentID: ID, Pause: true });
    output.out(`Deployment ${JSON.stringify(shortId(ID, flags.bool('verbose')))} paused`);
    return 0;
  },
};
