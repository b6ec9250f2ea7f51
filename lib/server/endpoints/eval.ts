import { isTerminal } from '../../scheduler/usage.js';
import type { StateSnapshot } from '../../state/store.js';
import { watchKeys } from '../../state/watch.js';
import { MeshError } from '../../structs/errors.js';
import type { Evaluation } from '../../structs/evaluation.js';
import type { QueryOptions } from '../../structs/rpc.js';
import type { RpcHandlers } from '../../transport/rpc.js';
import type { Turns } from '../../util/turns.js';
import { answerQuery } from '../blocking.js';
import { inOrderOfCreation, page, pageOptions } from '../page.js';
import { portions, propose } from '../propose.js';
import { allocStubsOf } from '../stubs.js';
import { type EndpointContext, listed, requireFound, requireText } from './context.js';

/** What is asked about evaluations. */
export function evalEndpoints(context: EndpointContext): RpcHandlers {
  const { turns } = context;
  return {
    async 'Eval.List'(args, call) {
      const options = pageOptions(args);
      const { FilterJobID: jobId, FilterEvalStatus: status } = args;
      return answerQuery(context, args, call, [watchKeys.evals()], async (state) => {
        const { options: narrowed, wanted: inNamespace } = listed(args);
        const wanted = (evaluation: Evaluation): boolean =>
          inNamespace(evaluation) &&
          (!jobId || evaluation.JobID === jobId) &&
          (!status || evaluation.Status === status);
        const order = await inOrderOfCreation(turns, state.evals(narrowed), { reverse: args.Reverse, wanted });
        const { items, nextToken } = await page(turns, order.items, {
          ...options,
          ...order,
          show: (evaluation) => evaluation,
        });
        return {
          index: state.tableIndex('evals'),
          reply: { Evaluations: items, ...(nextToken === '' ? {} : { NextToken: nextToken }) },
        };
      });
    },

    async 'Eval.Count'(args, call) {
      const { filter } = pageOptions(args);
      return answerQuery(context, args, call, [watchKeys.evals()], async (state) => {
        const { options: narrowed, wanted } = listed(args);
        let count = 0;
        await turns.through(state.evals(narrowed), (evaluation) => {
          if (wanted(evaluation) && (!filter || filter(evaluation))) count++;
          return true;
        });
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
      const inUse = await evalsInUse(turns, state);
      const isUsed: IsUsed = ({ ID }) => inUse.has(ID);
      const chosen =
        ids.length > 0 ? ids.map((id) => requireUnused(state, id, isUsed)) : await matching(turns, state, args, isUsed);
      let last = state.index;
      for (const evals of portions(chosen)) {
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
      return answerQuery(context, args, call, [watchKeys.allocsByEval(id)], async (state) => {
        const evaluation = state.evalById(id);
        const all = evaluation ? state.eachAllocOfJob(evaluation.Namespace, evaluation.JobID) : [];
        const Allocations = await allocStubsOf(turns, all, (alloc) => alloc.EvalID === id);
        return { index: state.tableIndex('allocs'), reply: { Allocations } };
      });
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

/** Evaluations some allocation of which is not over. */
async function evalsInUse(turns: Turns, state: StateSnapshot): Promise<ReadonlySet<string>> {
  const inUse = new Set<string>();
  await turns.through(state.allocs(), (alloc) => {
    if (!isTerminal(alloc)) inUse.add(alloc.EvalID);
    return true;
  });
  return inUse;
}

async function matching(turns: Turns, state: StateSnapshot, args: QueryOptions, isUsed: IsUsed): Promise<string[]> {
  const { filter } = pageOptions(args);
  const { options, wanted } = listed(args);
  const found = await turns.list(state.evals(options), (evaluation) => {
    return wanted(evaluation) && filter?.(evaluation) === true && !isUsed(evaluation);
  });
  return found.map(({ ID }) => ID);
}
