import { watchKeys } from '../../state/watch.js';
import type { RpcHandlers } from '../../transport/rpc.js';
import { answerQuery } from '../blocking.js';
import { pageOptions } from '../page.js';
import { scalingPolicies } from '../scaling-policies.js';
import { type EndpointContext, namespaceOf, requireText } from './context.js';

/** The scaling policies of jobs: what an autoscaler, this one or another, goes by. */
export function scalingEndpoints(context: EndpointContext): RpcHandlers {
  return {
    async 'Scaling.Standing'() {
      const standing = context.config.scalingStanding;
      return { Enabled: standing !== undefined, Policies: standing?.() ?? [] };
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
