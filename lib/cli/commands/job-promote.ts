import type { Deployment } from '../../structs/deployment.js';
import { ApiError } from '../api.js';
import type { Command } from '../command.js';
import { takeArgs } from '../print.js';
import { findJobId } from '../resolve.js';
import { WATCH_FLAGS } from '../watch.js';
import { PROMOTE_FLAGS, promote } from './deployment-promote.js';

export const command: Command = {
  usage: 'meshnomad job promote [options] <job>',
  about: 'Lets the canaries of the latest deployment of a job take over.',
  flags: { ...WATCH_FLAGS, ...PROMOTE_FLAGS },
  async run(context) {
    takeArgs(context.args, 1, 1, '<job>');
    const api = await context.api();
    const id = await findJobId(api, context.args[0] as string);
    const { value } = await api.get<Deployment | null>(`/v1/job/${encodeURIComponent(id)}/deployment`);
    if (!value) throw new ApiError(404, `Job ${JSON.stringify(id)} has no deployment to promote`);
    return promote(context, value.ID);
  },
};
