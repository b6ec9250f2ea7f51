import { SMALL_CLUSTER_NODES } from '../../structs/operator.js';
import type { SchedulerConfiguration } from '../../structs/rpc.js';
import type { ApiClient } from '../api.js';
import { type Command, type FlagSpec, UsageError } from '../command.js';
import { takeArgs } from '../print.js';

const PREEMPT = {
  'preempt-batch-scheduler': 'BatchSchedulerEnabled',
  'preempt-service-scheduler': 'ServiceSchedulerEnabled',
  'preempt-sysbatch-scheduler': 'SysBatchSchedulerEnabled',
  'preempt-system-scheduler': 'SystemSchedulerEnabled',
} as const;

const SWITCHES = {
  'memory-oversubscription': 'MemoryOversubscriptionEnabled',
  'pause-eval-broker': 'PauseEvalBroker',
  'reject-job-registration': 'RejectJobRegistration',
} as const;

const onOff = (help: string): FlagSpec => ({ type: 'bool', help: `${help} Write =false to turn it off.` });

export const command: Command = {
  usage: 'meshnomad operator scheduler set-config [options]',
  about: 'Changes how the scheduler is configured. What no flag names stays as it is.',
  flags: {
    'check-index': { type: 'int', value: 'index', help: 'Only if the configuration has this modify index.' },
    'memory-oversubscription': onOff('Tasks may use more memory than they reserve, up to memory_max.'),
    'node-limit-for-feasibility-checks': {
      type: 'int',
      value: 'count',
      help: 'Nodes that affinities and spreads choose from, at least. 0 is the default, 100.',
    },
    'pause-eval-broker': onOff('Evaluations wait; nothing is placed.'),
    'preempt-batch-scheduler': onOff('Batch jobs may take the place of less important ones.'),
    'preempt-service-scheduler': onOff('Service jobs may take the place of less important ones.'),
    'preempt-sysbatch-scheduler': onOff('Sysbatch jobs may take the place of less important ones.'),
    'preempt-system-scheduler': onOff('System jobs may take the place of less important ones.'),
    'reject-job-registration': onOff('No job is registered, dispatched or scaled.'),
    'scheduler-algorithm': {
      type: 'string',
      value: 'name',
      help: '"binpack" fills nodes one by one, "spread" evenly.',
    },
  },
  async run({ args, flags, output, api: connect }) {
    takeArgs(args, 0, 0, '');
    const algorithm = flags.string('scheduler-algorithm');
    if (algorithm !== undefined && algorithm !== 'binpack' && algorithm !== 'spread') {
      throw new UsageError(`-scheduler-algorithm must be binpack or spread, not ${JSON.stringify(algorithm)}`);
    }
    const path = '/v1/operator/scheduler/configuration';
    const api = await connect();
    const { SchedulerConfig: present } = (await api.get<{ SchedulerConfig: SchedulerConfiguration }>(path)).value;
    const config = {
      ...present,
      PreemptionConfig: { ...present.PreemptionConfig },
      SchedulerAlgorithm: algorithm ?? (await inForce(api, present)),
      NodeLimitForFeasibilityChecks:
        flags.int('node-limit-for-feasibility-checks') ?? present.NodeLimitForFeasibilityChecks,
    };
    for (const [flag, key] of Object.entries(PREEMPT)) {
      config.PreemptionConfig[key] = flags.optionalBool(flag) ?? config.PreemptionConfig[key];
    }
    for (const [flag, key] of Object.entries(SWITCHES)) config[key] = flags.optionalBool(flag) ?? config[key];
    // What was read is written back: a change by somebody else in between must not be undone.
    const cas = flags.int('check-index') ?? present.ModifyIndex;
    const { value } = await api.put<{ Updated: boolean }>(path, config, { cas });
    if (value.Updated) {
      output.out('Scheduler configuration updated!');
      if (config.SchedulerAlgorithm !== (algorithm ?? present.SchedulerAlgorithm)) output.out(KEPT);
      return 0;
    }
    output.error(
      'Scheduler configuration could not be atomically updated, please check the latest index and try again',
    );
    return 1;
  },
};

const KEPT =
  'The algorithm stays "spread", which small clusters have by default; -scheduler-algorithm=binpack would change that.';

/**
 * What is written holds on any number of nodes (docs/decisions/0010): while nobody has written anything, what is not named must
 * stay as it is in force, not as the default for many nodes is.
 */
async function inForce(
  api: ApiClient,
  present: SchedulerConfiguration,
): Promise<SchedulerConfiguration['SchedulerAlgorithm']> {
  if (present.ModifyIndex !== 0) return present.SchedulerAlgorithm;
  const { value: nodes } = await api.get<unknown[] | null>('/v1/nodes');
  return (nodes ?? []).length < SMALL_CLUSTER_NODES ? 'spread' : present.SchedulerAlgorithm;
}
