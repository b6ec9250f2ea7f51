import type { Command } from '../command.js';
import { takeArgs } from '../print.js';

export const command: Command = {
  usage: 'meshnomad system reconcile summaries',
  about: 'Counts the summaries of all jobs anew.',
  flags: {},
  async run(context) {
    takeArgs(context.args, 0, 0, '');
    const api = await context.api();
    await api.put('/v1/system/reconcile/summaries', {});
    return 0;
  },
};
