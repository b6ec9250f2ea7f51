import type { Command } from '../command.js';
import { DATA_FLAGS, printData, takeArgs } from '../print.js';

export const command: Command = {
  usage: 'meshnomad agent-info [options]',
  about: 'Prints facts and figures of the agent, by part.',
  flags: DATA_FLAGS,
  async run(context) {
    takeArgs(context.args, 0, 0, '');
    const api = await context.api();
    const { value } = await api.get<{ stats: Record<string, Record<string, string>> }>('/v1/agent/self');
    if (await printData(context, value)) return 0;
    for (const part of Object.keys(value.stats).sort()) {
      context.output.out(part);
      const figures = value.stats[part] ?? {};
      for (const key of Object.keys(figures).sort()) context.output.out(`  ${key} = ${figures[key]}`);
    }
    return 0;
  },
};
