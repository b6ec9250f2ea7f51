import type { Command } from '../command.js';
import { takeArgs } from '../print.js';
import { findDeployment } from '../resolve.js';
import { WATCH_FLAGS, watchEvaluation } from '../watch.js';

export const command: Command = {
  usage: 'meshnomad deployment unblock [options] <deployment>',
  about: 'Lets a deployment end that waits for the other regions of a job.',
  flags: WATCH_FLAGS,
  async run(context) {
    takeArgs(context.args, 1, 1, '<deployment>');
    const api = await context.api();
    const { ID } = await findDeployment(api, context.args[0] as string);
    const { value } = await api.put<{ EvalID: string }>(`/v1/deployment/unblock/${ID}`, { DeploymentID: ID });
    return watchEvaluation(context, value.EvalID);
  },
};
