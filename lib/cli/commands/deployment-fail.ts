import type { Command } from '../command.js';
import { shortId } from '../format.js';
import { takeArgs } from '../print.js';
import { findDeployment } from '../resolve.js';
import { WATCH_FLAGS, watchEvaluation } from '../watch.js';

export const command: Command = {
  usage: 'meshnomad deployment fail [options] <deployment>',
  about: 'Fails a deployment; a group with auto_revert takes its job back to the last stable version.',
  flags: WATCH_FLAGS,
  async run(context) {
    const { args, flags, output } = context;
    takeArgs(args, 1, 1, '<deployment>');
    const api = await context.api();
    const { ID } = await findDeployment(api, args[0] as string);
    const { value } = await api.put<{ EvalID: string; RevertedJobVersion: number | null }>(
      `/v1/deployment/fail/${ID}`,
      {},
    );
    const name = JSON.stringify(shortId(ID, flags.bool('verbose')));
    const reverted = value.RevertedJobVersion;
    output.out(`Deployment ${name} failed${reverted === null ? '' : `. Auto-reverted to job version ${reverted}.`}\n`);
    return watchEvaluation(context, value.EvalID);
  },
};
