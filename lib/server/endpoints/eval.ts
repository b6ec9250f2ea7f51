import { watchKeys } from '../../state/watch.js';
import type { RpcHandlers } from '../../transport/rpc.js';
import { answerQuery } from '../blocking.js';
import { byCreation, inOrder, page, pageOptions } from '../page.js';
import { allocStub } from '../stubs.js';
import { type EndpointContext, listOptions, requireText } from './context.js';

/** What is asked about evaluations. */
export function evalEndpoints(context: EndpointContext): RpcHandlers {
  return {
    async 'Eval.List'(args, call) {
      const options = pageOptions(args);
      const { FilterJobID: jobId, FilterEvalStatus: status } = args;
      return answerQuery(context, args, call, [watchKeys.evals()], (state) => {
        const evals = [...state.evals(listOptions(args))]
          .filter((evaluation) => (!jobId || evaluation.JobID === jobId) && (!status || evaluation.Status === status))
          .sort((a, b) => a.CreateIndex - b.CreateIndex);
        const order = inOrder(evals, byCreation, args.Reverse ?? false);
        const { items, nextToken } = page(order.items, { ...options, ...order, show: (evaluation) => evaluation });
        return {
          index: state.tableIndex('evals'),
          reply: { Evaluations: items, ...(nextToken === '' ? {} : { NextToken: nextToken }) },
        };
      });
    },

    async 'Eval.Count'(args, call) {
      const { filter } = pageOptions(args);
      return answerQuery(context, args, call, [watchKeys.evals()], (state) => {
        let count = 0;
        for (const evaluation of state.evals(listOptions(args))) if (!filter || filter(evaluation)) count++;
        return { index: state.tableIndex('evals'), reply: { Count: count } };
      });
    },

    async 'Eval.GetEval'(args, call) {
      const id = requireText(args.EvalID, 'evaluation ID');
      return answerQuery(context, args, call, [watchKeys.eval(id)], (state) => {
        const evaluation = state.evalById(id) ?? null;
        return { index: evaluation?.ModifyIndex ?? state.tableIndex('evals'), reply: { Eval: evaluation } };
      });
    },

    async 'Eval.Allocations'(args, call) {
      const id = requireText(args.EvalID, 'evaluation ID');
      return answerQuery(context, args, call, [watchKeys.allocsByEval(id)], (state) => ({
        index: state.tableIndex('allocs'),
        reply: { Allocations: state.allocsByEval(id).map((alloc) => allocStub(alloc)) },
      }));
    },
  };
}
