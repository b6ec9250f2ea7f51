import type { Command, Context, FlagSpec } from '../command.js';
import { takeArgs } from '../print.js';
import { findDeployment } from '../resolve.js';
import { WATCH_FLAGS, watchEvaluation } from '../watch.js';

export const PROMOTE_FLAGS: Record<string, FlagSpec> = {
  group: { type: 'list', value: 'group', help: 'Only this group; may be given several times.' },
};

export const command: Command = {
  usage: 'meshnomad deployment promote [options] <deployment>',
  about: 'Lets the canaries of a deployment take over.',
  flags: { ...WATCH_FLAGS, ...PROMOTE_FLAGS },
  async run(context) {
    takeArgs(context.args, 1, 1, '<deployment>');
    const deployment = await findDeployment(await context.api(), context.args[0] as string);
    return promote(context, deployment.ID);
  },
};

/** Promotes all groups, or those that -group names. */
export async function promote(context: Context, id: string): Promise<number> {
  const groups = context.flags.list('group');
  const api = await context.api();
  const { value } = await api.put<{ EvalID: string }>(`/v1/deployment/promote/${id}`, {
    DeploymentID: id,
    All: groups.length === 0,
    Groups: groups.length === 0 ? null : groups,
  });
  return watchEvaluation(context, value.EvalID);
}
