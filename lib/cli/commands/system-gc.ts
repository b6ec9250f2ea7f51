import type { Command } from '../command.js';
import { takeArgs } from '../print.js';

export const command: Command = {
  usage: 'meshnomad system gc',
  about: 'Collects garbage now: ended jobs, evaluations, allocations, deployments, and nodes that are gone.',
  flags: {},
  async run(context) {
    takeArgs(context.args, 0, 0, '');
    const api = await context.api();
    await api.put('/v1/system/gc', {});
    return 0;
  },
};
