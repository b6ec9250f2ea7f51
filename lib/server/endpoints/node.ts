import { watchKeys } from '../../state/watch.js';
import { MeshError } from '../../structs/errors.js';
import type { DrainStrategy, Node, NodeEvent } from '../../structs/node.js';
import type { RpcHandlers } from '../../transport/rpc.js';
import { toMillis } from '../../util/clock.js';
import { answerQuery } from '../blocking.js';
import { nodeEvals } from '../node-evals.js';
import { byId, inOrder, page, pageOptions } from '../page.js';
import { propose } from '../propose.js';
import { nodeStub, publicNode } from '../stubs.js';
import { type EndpointContext, requireFound, requireText, rfc3339 } from './context.js';

const ZERO_TIME = '0001-01-01T00:00:00Z';

/** The drain as asked for, from now on. A deadline of 0 is none, a negative one is over at once. */
function drainStrategy(asked: Partial<DrainStrategy>, nowMs: number): DrainStrategy {
  const deadline = asked.Deadline ?? 0;
  if (!Number.isFinite(deadline))
    throw new MeshError('E_BAD_REQUEST', 'drain deadline must be a number of nanoseconds');
  return {
    Deadline: deadline,
    IgnoreSystemJobs: asked.IgnoreSystemJobs ?? false,
    StartedAt: rfc3339(nowMs),
    ForceDeadline: deadline > 0 ? rfc3339(nowMs + toMillis(deadline)) : ZERO_TIME,
  };
}

/** Nodes, as people and tools see and handle them. */
export function nodeEndpoints(context: EndpointContext): RpcHandlers {
  const { consensus, store, now, random, turns } = context;

  const requireNode = (nodeId: string): Node =>
    requireFound(store.snapshot().nodeById(requireText(nodeId, 'node ID')), 'node');
  const evalsOf = (node: Node) => nodeEvals(store.snapshot(), node, 'node-update', { random, now: now() });
  const event = (Message: string, Subsystem: string): NodeEvent => ({
    Message,
    Subsystem,
    Details: null,
    Timestamp: rfc3339(now()),
    CreateIndex: 0,
  });

  return {
    async 'Node.List'(args, call) {
      const options = pageOptions(args);
      const fields = { resources: args.Resources ?? false, os: args.Os ?? false };
      return answerQuery(context, args, call, [watchKeys.nodes()], async (state) => {
        const nodes = await turns.list(state.nodes(args.Prefix ? { prefix: args.Prefix } : {}));
        const order = inOrder(nodes, byId, args.Reverse ?? false);
        const show = (node: Node) => nodeStub(node, fields);
        const { items, nextToken } = await page(turns, order.items, { ...options, ...order, show, whole: publicNode });
        return {
          index: state.tableIndex('nodes'),
          reply: { Nodes: items, ...(nextToken === '' ? {} : { NextToken: nextToken }) },
        };
      });
    },

    async 'Node.GetNode'(args, call) {
      const id = requireText(args.NodeID, 'node ID');
      return answerQuery(context, args, call, [watchKeys.node(id)], (state) => {
        const node = state.nodeById(id);
        return {
          index: node?.ModifyIndex ?? state.tableIndex('nodes'),
          reply: { Node: node ? publicNode(node) : null },
        };
      });
    },

    async 'Node.GetAllocs'(args, call) {
      const id = requireText(args.NodeID, 'node ID');
      return answerQuery(context, args, call, [watchKeys.allocsByNode(id)], (state) => ({
        index: state.tableIndex('allocs'),
        reply: { Allocs: [...state.allocsByNode(id)] },
      }));
    },

    async 'Node.UpdateDrain'(args) {
      const node = requireNode(args.NodeID);
      const asked = args.DrainStrategy;
      if (!asked && !node.DrainStrategy && !args.MarkEligible) {
        return { EvalIDs: [], NodeModifyIndex: node.ModifyIndex, Index: node.ModifyIndex };
      }
      const strategy = asked && drainStrategy(asked, now());
      // What leaves is the drainer's to say; only a node that takes work again is a reason to look at jobs now.
      const evals = !strategy && args.MarkEligible ? evalsOf(node) : [];
      const what = node.DrainStrategy ? 'updated' : 'set';
      const { index } = await propose(consensus, {
        type: 'node-drain',
        updates: {
          [node.ID]: {
            strategy,
            markEligible: args.MarkEligible ?? false,
            ...(strategy ? {} : { outcome: 'canceled' as const }),
            meta: args.Meta ?? null,
            event: event(strategy ? `Node drain strategy ${what}` : 'Node drain disabled', 'Drain'),
          },
        },
        at: rfc3339(now()),
        evals,
      });
      return { EvalIDs: evals.map(({ ID }) => ID), NodeModifyIndex: index, Index: index };
    },

    async 'Node.UpdateEligibility'(args) {
      const node = requireNode(args.NodeID);
      const { Eligibility: eligibility } = args;
      if (eligibility !== 'eligible' && eligibility !== 'ineligible') {
        throw new MeshError('E_BAD_REQUEST', `invalid scheduling eligibility "${String(eligibility)}"`);
      }
      if (node.DrainStrategy && eligibility === 'eligible') {
        throw new MeshError(
          'E_BAD_REQUEST',
          "can not set node's scheduling eligibility to eligible while it is draining",
        );
      }
      if (node.SchedulingEligibility === eligibility) {
        return { EvalIDs: [], NodeModifyIndex: node.ModifyIndex, Index: node.ModifyIndex };
      }
      // System jobs may have to be placed on a node that takes work again.
      const evals = eligibility === 'eligible' ? evalsOf(node) : [];
      const { index } = await propose(consensus, {
        type: 'node-eligibility',
        id: node.ID,
        eligibility,
        event: event(`Node marked as ${eligibility} for scheduling`, 'Cluster'),
        evals,
      });
      return { EvalIDs: evals.map(({ ID }) => ID), NodeModifyIndex: index, Index: index };
    },

    async 'Node.Evaluate'(args) {
      const node = requireNode(args.NodeID);
      const evals = evalsOf(node);
      let index = store.index;
      if (evals.length > 0) ({ index } = await propose(consensus, { type: 'evals-upsert', evals }));
      return {
        EvalIDs: evals.map(({ ID }) => ID),
        NodeModifyIndex: node.ModifyIndex,
        HeartbeatTTLMs: 0,
        Index: index,
      };
    },

    async 'Node.Purge'(args) {
      const node = requireNode(args.NodeID);
      const evals = evalsOf(node);
      const { index } = await propose(consensus, { type: 'node-deregister', ids: [node.ID], evals });
      return { EvalIDs: evals.map(({ ID }) => ID), Index: index };
    },
  };
}
