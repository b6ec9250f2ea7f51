import type { SchedulerConfiguration } from '../../structs/rpc.js';
import type { Command } from '../command.js';
import { formatPairs } from '../format.js';
import { DATA_FLAGS, printData, takeArgs } from '../print.js';

export const command: Command = {
  usage: 'meshnomad operator scheduler get-config [options]',
  about: 'Shows how the scheduler is configured.',
  flags: DATA_FLAGS,
  async run(context) {
    takeArgs(context.args, 0, 0, '');
    const api = await context.api();
    const { value } = await api.get<{ SchedulerConfig: SchedulerConfiguration }>(
      '/v1/operator/scheduler/configuration',
    );
    if (await printData(context, value)) return 0;
    const config = value.SchedulerConfig;
    const { PreemptionConfig: preemption } = config;
    context.output.out(
      formatPairs([
        ['Scheduler Algorithm', config.SchedulerAlgorithm],
        ['Memory Oversubscription', config.MemoryOversubscriptionEnabled],
        ['Reject Job Registration', config.RejectJobRegistration],
        ['Pause Eval Broker', config.PauseEvalBroker],
        ['Preemption System Scheduler', preemption.SystemSchedulerEnabled],
        ['Preemption Service Scheduler', preemption.ServiceSchedulerEnabled],
        ['Preemption Batch Scheduler', preemption.BatchSchedulerEnabled],
        ['Preemption SysBatch Scheduler', preemption.SysBatchSchedulerEnabled],
        ['Node Limit For Feasibility Checks', config.NodeLimitForFeasibilityChecks ?? 0],
        ['Modify Index', config.ModifyIndex],
      ]),
    );
    return 0;
  },
};
