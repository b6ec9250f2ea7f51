import { watchKeys } from '../../state/watch.js';
import type { ScalingStanding } from '../../structs/rpc-scaling.js';
import type { RpcHandlers } from '../../transport/rpc.js';
import type { Millis } from '../../util/clock.js';
import { answerQuery } from '../blocking.js';
import { pageOptions } from '../page.js';
import { scalingPolicies } from '../scaling-policies.js';
import { type EndpointContext, namespaceOf, requireText } from './context.js';

/** What an autoscaler elsewhere says of its policies holds so long. */
const REPORT_FRESH_MS = 30_000;

/** The scaling policies of jobs: what an autoscaler, this one or another, goes by. */
export function scalingEndpoints(context: EndpointContext): RpcHandlers {
  let told: { Holder: string; Policies: ScalingStanding[]; atMs: Millis } | null = null;
  return {
    async 'Scaling.Standing'() {
      if (told && context.now() - told.atMs < REPORT_FRESH_MS) {
        return { Enabled: true, Holder: told.Holder, Policies: told.Policies };
      }
      const standing = context.config.scalingStanding;
      return { Enabled: standing !== undefined, Holder: '', Policies: standing?.() ?? [] };
    },

    async 'Scaling.Report'({ Holder, Policies }) {
      requireText(Holder, 'name of the autoscaler');
      if (Policies) told = { Holder, Policies, atMs: context.now() };
      else if (told?.Holder === Holder) told = null;
      return {};
    },

    async 'Scaling.ListPolicies'(args, call) {
      const { filter } = pageOptions(args);
      const { Job: jobId = '', Type: type = '' } = args;
      return answerQuery(context, args, call, [watchKeys.scaledJobs()], (state) => {
        const found = [...scalingPolicies(state, namespaceOf(args))]
          .filter(({ job, policy }) => (jobId === '' || job.ID === jobId) && (type === '' || policy.Type === type))
          .map(({ policy: { ID, Enabled, Type, Target, CreateIndex, ModifyIndex } }) => ({
            ID,
            Enabled,
            Type,
            Target: Target ?? {},
            CreateIndex,
            ModifyIndex,
          }))
          .filter((stub) => stub.ID.startsWith(args.Prefix ?? '') && (!filter || filter(stub)));
        return { index: state.tableIndex('scaled_jobs'), reply: { Policies: found } };
      });
    },

    async 'Scaling.GetPolicy'(args, call) {
      const id = requireText(args.ID, 'scaling policy ID');
      return answerQuery(context, args, call, [watchKeys.scaledJobs()], (state) => {
        const found = [...scalingPolicies(state, '*')].find(({ policy }) => policy.ID === id);
        const Policy = found ? { ...found.policy, Namespace: found.job.Namespace } : null;
        return { index: state.tableIndex('scaled_jobs'), reply: { Policy } };
      });
    },
  };
}
