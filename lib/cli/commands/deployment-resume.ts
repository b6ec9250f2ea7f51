import type { Command } from '../command.js';
import { shortId } from '../format.js';
import { takeArgs } from '../print.js';
import { findDeployment } from '../resolve.js';
import { WATCH_FLAGS, watchEvaluation } from '../watch.js';

export const command: Command = {
  usage: 'meshnomad deployment resume [options] <deployment>',
  about: 'Lets a paused deployment go on.',
  flags: WATCH_FLAGS,
  async run(context) {
    const { args, flags, output } = context;
    takeArgs(args, 1, 1, '<deployment>');
    const api = await context.api();
    const { ID } = await findDeployment(api, args[0] as string);
    const { value } = await api.put<{ EvalID: string }>(`/v1/deployment/pause/${ID}`, {
      DeploymentID: ID,
      Pause: false,
    });
    output.out(`Deployment ${JSON.stringify(shortId(ID, flags.bool('verbose')))} resumed`);
    return watchEvaluation(context, value.EvalID);
  },
};
