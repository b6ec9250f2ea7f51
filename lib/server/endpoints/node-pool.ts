import { watchKeys } from '../../state/watch.js';
import { MeshError } from '../../structs/errors.js';
import { BUILT_IN_POOLS, NODE_POOL_NAME, type NodePool } from '../../structs/node-pool.js';
import type { RpcHandlers } from '../../transport/rpc.js';
import { answerQuery } from '../blocking.js';
import { byId, byName, byNamespacedId, inOrder, page, pageOptions } from '../page.js';
import { propose } from '../propose.js';
import { jobStub, nodeStub } from '../stubs.js';
import { type EndpointContext, listOptions, requireFound, requireText } from './context.js';

const DESCRIPTION_MAX = 256;

/** Sets of nodes that jobs choose by name. */
export function nodePoolEndpoints(context: EndpointContext): RpcHandlers {
  const { turns } = context;
  const requirePool = (name: unknown): NodePool => {
    const text = requireText(name, 'node pool name');
    return requireFound(context.store.snapshot().nodePoolByName(text), 'node pool');
  };

  return {
    async 'NodePool.List'(args, call) {
      const options = pageOptions(args);
      return answerQuery(context, args, call, [watchKeys.nodePools()], async (state) => {
        const pools = state.nodePools(args.Prefix ? { prefix: args.Prefix } : {});
        const order = inOrder([...pools], byName, args.Reverse ?? false);
        const { items, nextToken } = await page(turns, order.items, { ...options, ...order, show: (pool) => pool });
        return { index: state.tableIndex('node_pools'), reply: { NodePools: items, ...next(nextToken) } };
      });
    },

    async 'NodePool.GetNodePool'(args, call) {
      const name = requireText(args.Name, 'node pool name');
      return answerQuery(context, args, call, [watchKeys.nodePools()], (state) => {
        const pool = state.nodePoolByName(name) ?? null;
        return { index: pool?.ModifyIndex ?? state.tableIndex('node_pools'), reply: { NodePool: pool } };
      });
    },

    async 'NodePool.ListNodes'(args, call) {
      const { Name } = requirePool(args.Name);
      const options = pageOptions(args);
      return answerQuery(context, args, call, [watchKeys.nodes()], async (state) => {
        const nodes = await turns.list(state.nodes(), ({ NodePool: pool }) => Name === 'all' || pool === Name);
        const order = inOrder(nodes, byId, args.Reverse ?? false);
        const { items, nextToken } = await page(turns, order.items, {
          ...options,
          ...order,
          show: (node) => nodeStub(node),
        });
        return { index: state.tableIndex('nodes'), reply: { Nodes: items, ...next(nextToken) } };
      });
    },

    async 'NodePool.ListJobs'(args, call) {
      const { Name } = requirePool(args.Name);
      const options = pageOptions(args);
      return answerQuery(context, args, call, [watchKeys.jobs()], async (state) => {
        const jobs = await turns.list(state.jobs(listOptions(args)), ({ NodePool: pool }) => pool === Name);
        const order = inOrder(jobs, byNamespacedId, args.Reverse ?? false);
        const show = (job: (typeof jobs)[number]) => jobStub(job, state);
        const { items, nextToken } = await page(turns, order.items, { ...options, ...order, show });
        return { index: state.tableIndex('jobs'), reply: { Jobs: items, ...next(nextToken) } };
      });
    },

    async 'NodePool.Upsert'(args) {
      const pool = checkPool(args.NodePool);
      const { index } = await propose(context.consensus, { type: 'node-pool-upsert', pool });
      return { Index: index };
    },

    async 'NodePool.Delete'(args) {
      const { Name } = requirePool(args.Name);
      if (isBuiltIn(Name)) throw new MeshError('E_BAD_REQUEST', `node pool "${Name}" is not allowed to be deleted`);
      const { index } = await propose(context.consensus, { type: 'node-pool-delete', name: Name });
      return { Index: index };
    },
  };
}

/** Where the next page begins, if there is one. */
const next = (nextToken: string): { NextToken?: string } => (nextToken === '' ? {} : { NextToken: nextToken });

const isBuiltIn = (name: string): boolean => BUILT_IN_POOLS.some(({ Name }) => Name === name);

function checkPool(given: Partial<NodePool> | undefined): NodePool {
  const refuse = (why: string): never => {
    throw new MeshError('E_BAD_REQUEST', why);
  };
  const name = requireText(given?.Name, 'node pool name');
  if (!NODE_POOL_NAME.test(name)) {
    refuse(`invalid node pool name ${JSON.stringify(name)}: 1 to 128 letters, digits, - and _`);
  }
  if (isBuiltIn(name)) refuse(`modifying node pool "${name}" is not allowed`);
  const description = given?.Description ?? '';
  if (description.length > DESCRIPTION_MAX) refuse(`the description is longer than ${DESCRIPTION_MAX} characters`);
  const scheduler = given?.SchedulerConfiguration ?? null;
  const algorithm = scheduler?.SchedulerAlgorithm ?? '';
  if (!['', 'binpack', 'spread'].includes(algorithm)) {
    refuse(`invalid scheduler algorithm: "${algorithm}"; use "binpack" or "spread"`);
  }
  return {
    Name: name,
    Description: description,
    Meta: given?.Meta ?? null,
    SchedulerConfiguration: scheduler && {
      SchedulerAlgorithm: algorithm,
      MemoryOversubscriptionEnabled: scheduler.MemoryOversubscriptionEnabled ?? null,
    },
    CreateIndex: 0,
    ModifyIndex: 0,
  };
}
