import { explainAlloc, explainJob } from '../../scheduler/explain/explain.js';
import { proposeRebalance } from '../../scheduler/rebalance.js';
import type { StateSnapshot } from '../../state/store.js';
import { watchKeys } from '../../state/watch.js';
import type { RpcHandlers } from '../../transport/rpc.js';
import { answerQuery } from '../blocking.js';
import { type EndpointContext, namespaceOf, requireText } from './context.js';

/** Explanations of what the scheduler did and of what stands in its way, and what it would do better now. */
export function whyEndpoints(context: EndpointContext): RpcHandlers {
  const inputOf = (state: StateSnapshot, namespace: string, jobId: string) => ({
    state,
    evals: state.evalsByJob(namespace, jobId),
    deployments: state.deploymentsByJob(namespace, jobId),
  });

  return {
    async 'Job.Why'(args, call) {
      const namespace = namespaceOf(args);
      const id = requireText(args.JobID, 'job ID');
      // What is said of nodes may change with any of them, and of room with any allocation.
      return answerQuery(context, args, call, [watchKeys.job(namespace, id), watchKeys.allocs()], async (state) => {
        const job = state.jobById(namespace, id);
        const Why = job ? await context.turns.toEnd(explainJob(job, inputOf(state, namespace, id))) : null;
        return { index: state.tableIndex('jobs', 'allocs', 'evals', 'nodes'), reply: { Why } };
      });
    },

    async 'Operator.Rebalance'(args, call) {
      return answerQuery(context, args, call, [watchKeys.allocs(), watchKeys.nodes()], async (state) => ({
        index: state.tableIndex('allocs', 'nodes', 'jobs'),
        reply: { Rebalance: await context.turns.toEnd(proposeRebalance(state)) },
      }));
    },

    async 'Alloc.Why'(args, call) {
      const id = requireText(args.AllocID, 'allocation ID');
      return answerQuery(context, args, call, [watchKeys.alloc(id)], async (state) => {
        const alloc = state.allocById(id);
        const Why = alloc
          ? await context.turns.toEnd(explainAlloc(alloc, inputOf(state, alloc.Namespace, alloc.JobID)))
          : null;
        return { index: alloc?.ModifyIndex ?? state.tableIndex('allocs'), reply: { Why } };
      });
    },
  };
}
