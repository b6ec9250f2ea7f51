import { isTerminal } from '../../scheduler/usage.js';
import type { StateSnapshot } from '../../state/store.js';
import { watchKeys } from '../../state/watch.js';
import { MeshError } from '../../structs/errors.js';
import type { Evaluation } from '../../structs/evaluation.js';
import type { QueryOptions } from '../../structs/rpc.js';
import type { RpcHandlers } from '../../transport/rpc.js';
import { allocsByEval } from '../allocs-by-eval.js';
import { answerQuery } from '../blocking.js';
import { byCreation, inOrder, page, pageOptions } from '../page.js';
import { propose } from '../propose.js';
import { allocStub } from '../stubs.js';
import { type EndpointContext, listOptions, requireFound, requireText } from './context.js';

/** Evaluations in one entry of the log. */
const DELETE_BATCH_MAX = 1_000;

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

    async 'Eval.Delete'(args) {
      const { EvalIDs: ids = [], Filter: filter = '' } = args;
      if ((ids.length === 0) === (filter === '')) {
        throw new MeshError('E_BAD_REQUEST', 'name the evaluations to be deleted, or give a filter, not both');
      }
      const state = context.store.snapshot();
      if (!state.schedulerConfig().PauseEvalBroker) {
        throw new MeshError(
          'E_BAD_REQUEST',
          'eval broker is enabled; it must be paused to delete evals: operator scheduler set-config -pause-eval-broker=true',
        );
      }
      const allocsOf = allocsByEval(state);
      const isUsed: IsUsed = (evaluation) => allocsOf(evaluation).some((alloc) => !isTerminal(alloc));
      const chosen = ids.length > 0 ? ids.map((id) => requireUnused(state, id, isUsed)) : matching(state, args, isUsed);
      let last = state.index;
      for (let i = 0; i < chosen.length; i += DELETE_BATCH_MAX) {
        const evals = chosen.slice(i, i + DELETE_BATCH_MAX);
        last = (await propose(context.consensus, { type: 'evals-delete', evals, allocs: [] })).index;
      }
      return { Index: last, Count: chosen.length };
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

type IsUsed = (evaluation: Evaluation) => boolean;

function requireUnused(state: StateSnapshot, id: string, isUsed: IsUsed): string {
  const evaluation = requireFound(state.evalById(id), `eval ${id}`);
  if (isUsed(evaluation)) {
    throw new MeshError('E_BAD_REQUEST', `eval ${id} has allocations that are not over: stop them first`);
  }
  return id;
}

function matching(state: StateSnapshot, args: QueryOptions, isUsed: IsUsed): string[] {
  const { filter } = pageOptions(args);
  return [...state.evals(listOptions(args))]
    .filter((evaluation) => filter?.(evaluation) && !isUsed(evaluation))
    .map(({ ID }) => ID);
}
