import { watchKeys } from '../../state/watch.js';
import { MeshError } from '../../structs/errors.js';
import type { SchedulerConfiguration } from '../../structs/rpc.js';
import type { RpcHandlers } from '../../transport/rpc.js';
import { answerQuery } from '../blocking.js';
import { propose } from '../propose.js';
import { createSummaryCounter } from '../summaries.js';
import type { EndpointContext } from './context.js';

/** What an operator does to the whole mesh. */
export function systemEndpoints(context: EndpointContext): RpcHandlers {
  const summaries = createSummaryCounter(context);
  return {
    async 'System.GarbageCollect'() {
      return { Index: await context.coreGc.collect({ force: true }) };
    },

    async 'System.ReconcileJobSummaries'() {
      // What was decided before is counted.
      await context.consensus.readIndex();
      return { Index: await summaries.recount() };
    },

    async 'Operator.SchedulerGetConfiguration'(args, call) {
      return answerQuery(context, args, call, [watchKeys.schedulerConfig()], (state) => {
        const config = state.schedulerConfig();
        return { index: config.ModifyIndex, reply: { SchedulerConfig: config } };
      });
    },

    async 'Operator.SchedulerSetConfiguration'(args) {
      const config = completeConfig(args.Config, context.store.snapshot().schedulerConfig());
      const { index, value } = await propose(context.consensus, {
        type: 'scheduler-config',
        config,
        ...(args.Cas ? { casModifyIndex: args.ModifyIndex ?? 0 } : {}),
      });
      return { Updated: value.updated, Index: index };
    },
  };
}

/** What is not given stays as it is. */
function completeConfig(
  given: Partial<SchedulerConfiguration> | undefined,
  present: SchedulerConfiguration,
): SchedulerConfiguration {
  if (!given) throw new MeshError('E_BAD_REQUEST', 'missing scheduler configuration');
  const algorithm = given.SchedulerAlgorithm || present.SchedulerAlgorithm;
  if (algorithm !== 'binpack' && algorithm !== 'spread') {
    throw new MeshError('E_BAD_REQUEST', `invalid scheduler algorithm: "${algorithm}"; use "binpack" or "spread"`);
  }
  const limit = given.NodeLimitForFeasibilityChecks ?? 0;
  if (!Number.isSafeInteger(limit) || limit < 0) {
    throw new MeshError(
      'E_BAD_REQUEST',
      `NodeLimitForFeasibilityChecks is a whole number, 0 for the default, not ${limit}`,
    );
  }
  return {
    ...present,
    ...given,
    SchedulerAlgorithm: algorithm,
    PreemptionConfig: { ...present.PreemptionConfig, ...given.PreemptionConfig },
  };
}
