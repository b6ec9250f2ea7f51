import type { Deployment } from '../../structs/deployment.js';
import type { Command } from '../command.js';
import { DATA_FLAGS, printData, takeArgs } from '../print.js';
import { deploymentTable } from '../tables.js';

export const command: Command = {
  usage: 'meshnomad deployment list [options]',
  about: 'Lists the deployments that are known, the newest first.',
  flags: {
    ...DATA_FLAGS,
    filter: {
      type: 'string',
      value: 'expression',
      help: 'Only those for which it holds, such as \'Status == "failed"\'.',
    },
    verbose: { type: 'bool', help: 'Show whole ids.' },
  },
  async run(context) {
    const { args, flags, output } = context;
    takeArgs(args, 0, 0, '');
    const api = await context.api();
    const { value } = await api.get<Deployment[] | null>('/v1/deployments', { filter: flags.string('filter') });
    const deployments = value ?? [];
    if (await printData(context, deployments)) return 0;
    output.out(deployments.length === 0 ? 'No deployments found' : deploymentTable(deployments, flags.bool('verbose')));
    return 0;
  },
};
