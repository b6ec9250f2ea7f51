import { watchKeys } from '../../state/watch.js';
import { MeshError } from '../../structs/errors.js';
import type { Node } from '../../structs/node.js';
import type { RpcHandlers } from '../../transport/rpc.js';
import { answerQuery } from '../blocking.js';
import { nodeEvals } from '../node-evals.js';
import { nodeEvent } from '../node-events.js';
import { byId, inOrder, page, pageOptions } from '../page.js';
import { propose } from '../propose.js';
import { nodeStub, publicNode } from '../stubs.js';
import { type EndpointContext, requireFound, requireText } from './context.js';

/** Nodes, as people and tools see and handle them. */
export function nodeEndpoints(context: EndpointContext): RpcHandlers {
  const { consensus, store, now, random, turns } = context;

  const requireNode = (nodeId: string): Node =>
    requireFound(store.snapshot().nodeById(requireText(nodeId, 'node ID')), 'node');
  const evalsOf = (node: Node) => nodeEvals(store.snapshot(), node, 'node-update', { random, now: now() });

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
        event: nodeEvent(`Node marked as ${eligibility} for scheduling`, now()),
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
