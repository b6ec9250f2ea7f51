import type { Deployment } from '../../structs/deployment.js';
import type { Command } from '../command.js';
import { DATA_FLAGS, printData, takeArgs } from '../print.js';
import { findJobId } from '../resolve.js';
import { deploymentTable, deploymentText } from '../tables.js';

export const command: Command = {
  usage: 'meshnomad job deployments [options] <job>',
  about: 'Lists the deployments of a job, the newest first.',
  flags: {
    ...DATA_FLAGS,
    all: { type: 'bool', help: 'Also those of an earlier job of this name.' },
    latest: { type: 'bool', help: 'Only the latest, in detail.' },
    verbose: { type: 'bool', help: 'Show whole ids.' },
  },
  async run(context) {
    const { args, flags, output } = context;
    takeArgs(args, 1, 1, '<job>');
    const api = await context.api();
    const verbose = flags.bool('verbose');
    const path = `/v1/job/${encodeURIComponent(await findJobId(api, args[0] as string))}`;
    if (flags.bool('latest')) {
      const { value } = await api.get<Deployment | null>(`${path}/deployment`);
      if (await printData(context, value)) return 0;
      output.out(value ? deploymentText(value, { verbose, withJob: true }) : 'No deployments found');
      return 0;
    }
    const deployments =
      (await api.get<Deployment[] | null>(`${path}/deployments`, { all: flags.bool('all') })).value ?? [];
    if (await printData(context, deployments)) return 0;
    output.out(deployments.length === 0 ? 'No deployments found' : deploymentTable(deployments, verbose));
    return 0;
  },
};
