import type { Deployment } from '../../structs/deployment.js';
import type { AllocListStub } from '../../structs/rpc.js';
import { type Command, UsageError } from '../command.js';
import { paint } from '../format.js';
import { Monitor } from '../monitor.js';
import { DATA_FLAGS, printData, takeArgs, wantsData } from '../print.js';
import { findDeployment } from '../resolve.js';
import { allocTable, deploymentTable, deploymentText } from '../tables.js';

export const command: Command = {
  usage: 'meshnomad deployment status [options] [deployment]',
  about: 'Shows how far the roll-out of a job version is; without an id, the deployments that are known.',
  flags: {
    ...DATA_FLAGS,
    monitor: { type: 'bool', help: 'Watch it until it ends.' },
    verbose: { type: 'bool', help: 'Whole ids, and the allocations.' },
  },
  async run(context) {
    const { args, flags, output } = context;
    takeArgs(args, 0, 1, '[deployment]');
    if (flags.bool('monitor') && wantsData(context)) throw new UsageError('-monitor goes with neither -json nor -t');
    const api = await context.api();
    const verbose = flags.bool('verbose');
    if (args[0] === undefined) {
      const deployments = (await api.get<Deployment[] | null>('/v1/deployments')).value ?? [];
      if (await printData(context, deployments)) return 0;
      output.out(deployments.length === 0 ? 'No deployments found' : deploymentTable(deployments, verbose));
      return 0;
    }
    const deployment = await findDeployment(api, args[0]);
    if (flags.bool('monitor')) return new Monitor({ api, output, verbose }).deployment(deployment.ID);
    if (await printData(context, deployment)) return 0;
    output.out(deploymentText(deployment, { verbose, withJob: true }));
    if (verbose) {
      const { value } = await api.get<AllocListStub[] | null>(`/v1/deployment/allocations/${deployment.ID}`);
      output.out(
        `\n${paint(output.color, 'bold', 'Allocations')}\n${allocTable(value ?? [], { verbose, nowMs: Date.now() })}`,
      );
    }
    return 0;
  },
};
