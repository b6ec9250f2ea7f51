import { watchKeys } from '../../state/watch.js';
import { MeshError } from '../../structs/errors.js';
import type { Evaluation } from '../../structs/evaluation.js';
import type { RpcHandlers } from '../../transport/rpc.js';
import { toNanos } from '../../util/clock.js';
import { answerQuery } from '../blocking.js';
import { newEval } from '../new-eval.js';
import { inOrderOfCreation, page, pageOptions } from '../page.js';
import { propose } from '../propose.js';
import { allocStubs } from '../stubs.js';
import { type EndpointContext, listed, requireFound, requireText } from './context.js';

/** Allocations: what is asked about them, and what is wished of them. */
export function allocEndpoints(context: EndpointContext): RpcHandlers {
  const { consensus, store, now, random, turns } = context;

  /** One evaluation for each job of these allocations. */
  const evalsFor = (allocIds: readonly string[], triggeredBy: string): Evaluation[] => {
    const state = store.snapshot();
    const evals = new Map<string, Evaluation>();
    for (const id of allocIds) {
      const alloc = requireFound(state.allocById(id), 'alloc');
      const job = state.jobById(alloc.Namespace, alloc.JobID) ?? alloc.Job;
      if (!job) continue;
      const { Namespace, ID: JobID, Priority, Type, JobModifyIndex } = job;
      const seed = { Namespace, JobID, Priority, Type, JobModifyIndex, TriggeredBy: triggeredBy };
      evals.set(`${Namespace}\0${JobID}`, newEval(seed, { random, now: now() }));
    }
    return [...evals.values()];
  };

  return {
    async 'Alloc.List'(args, call) {
      const options = pageOptions(args);
      const fields = { resources: args.Resources ?? false, taskStates: args.TaskStates ?? true };
      const { options: narrowed, wanted } = listed(args);
      return answerQuery(context, args, call, [watchKeys.allocs()], async (state) => {
        const order = await inOrderOfCreation(turns, state.allocs(narrowed), { reverse: args.Reverse, wanted });
        const { items, nextToken } = await page(turns, order.items, {
          ...options,
          ...order,
          show: allocStubs(fields),
          whole: (alloc) => alloc,
        });
        return {
          index: state.tableIndex('allocs'),
          reply: { Allocations: items, ...(nextToken === '' ? {} : { NextToken: nextToken }) },
        };
      });
    },

    async 'Alloc.GetAlloc'(args, call) {
      const id = requireText(args.AllocID, 'allocation ID');
      return answerQuery(context, args, call, [watchKeys.alloc(id)], (state) => {
        const alloc = state.allocById(id) ?? null;
        return { index: alloc?.ModifyIndex ?? state.tableIndex('allocs'), reply: { Alloc: alloc } };
      });
    },

    async 'Alloc.Stop'(args) {
      const id = requireText(args.AllocID, 'allocation ID');
      requireFound(store.snapshot().allocById(id), 'alloc');
      const evals = evalsFor([id], 'alloc-stop');
      const { index } = await propose(consensus, {
        type: 'allocs-desired-transition',
        transitions: { [id]: { Migrate: true, ...(args.NoShutdownDelay ? { NoShutdownDelay: true } : {}) } },
        evals,
        time: toNanos(now()),
      });
      return { EvalID: evals[0]?.ID ?? '', Index: index };
    },

    async 'Alloc.UpdateDesiredTransition'(args) {
      const ids = Object.keys(args.Allocs ?? {});
      if (ids.length === 0) throw new MeshError('E_BAD_REQUEST', 'must specify at least one allocation');
      const evals = evalsFor(ids, 'alloc-stop');
      const { index } = await propose(consensus, {
        type: 'allocs-desired-transition',
        transitions: args.Allocs,
        evals,
        time: toNanos(now()),
      });
      return { EvalIDs: evals.map(({ ID }) => ID), Index: index };
    },
  };
}
