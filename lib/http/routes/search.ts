import type { QueryMeta, QueryOptions } from '../../structs/rpc.js';
import type { RpcCaller } from '../../transport/rpc.js';
import { read } from '../answer.js';
import { badRequest } from '../errors.js';
import { stringField } from '../fields.js';
import type { Exchange, Routes } from '../router.js';

/** Matches per kind before the rest is cut. */
const MATCHES_MAX = 20;

type Finder = (
  rpc: RpcCaller,
  options: QueryOptions,
  call: { signal: AbortSignal },
) => Promise<{ ids: string[]; meta: QueryMeta }>;

/** What can be searched: each kind's ids that begin with the prefix. */
const CONTEXTS: Record<string, Finder> = {
  jobs: async (rpc, options, call) => {
    const reply = await rpc.call('Job.List', options, call);
    return { ids: reply.Jobs.map((job) => job.ID), meta: reply };
  },
  evals: async (rpc, options, call) => {
    const reply = await rpc.call('Eval.List', options, call);
    return { ids: reply.Evaluations.map((evaluation) => evaluation.ID), meta: reply };
  },
  allocs: async (rpc, options, call) => {
    const reply = await rpc.call('Alloc.List', options, call);
    return { ids: reply.Allocations.map((alloc) => alloc.ID), meta: reply };
  },
  nodes: async (rpc, options, call) => {
    const reply = await rpc.call('Node.List', options, call);
    return { ids: reply.Nodes.map((node) => node.ID), meta: reply };
  },
  deployment: async (rpc, options, call) => {
    const reply = await rpc.call('Deployment.List', options, call);
    return { ids: reply.Deployments.map((deployment) => deployment.ID), meta: reply };
  },
  volumes: async (rpc, options, call) => {
    const reply = await rpc.call('CSIVolume.List', options, call);
    return { ids: reply.Volumes.map((volume) => volume.ID), meta: reply };
  },
  host_volumes: async (rpc, options, call) => {
    const reply = await rpc.call('HostVolume.List', options, call);
    return { ids: reply.Volumes.map((volume) => volume.ID), meta: reply };
  },
  plugins: async (rpc, options, call) => {
    const reply = await rpc.call('CSIPlugin.List', options, call);
    return { ids: reply.Plugins.map((plugin) => plugin.ID), meta: reply };
  },
};

/** Kinds whose ids are names; those of the others are hexadecimal. */
const NAMED = ['jobs', 'volumes', 'plugins'];

export const searchRoutes: Routes = { '/v1/search': { PUT: search } };

async function search(exchange: Exchange) {
  const body = await exchange.body();
  const prefix = stringField(body, 'Prefix');
  const context = stringField(body, 'Context', 'all') || 'all';
  if (context !== 'all' && !Object.hasOwn(CONTEXTS, context)) {
    throw badRequest(`context must be one of all, ${Object.keys(CONTEXTS).join(', ')}; got ${JSON.stringify(context)}`);
  }
  const matches: Record<string, string[]> = {};
  const truncations: Record<string, boolean> = {};
  // One more than is shown tells whether there are more. A search never blocks: it looks at several lists.
  const { Region, Namespace, AuthToken, AllowStale } = exchange.reading();
  const options: QueryOptions = Object.fromEntries(
    Object.entries({ Region, Namespace, AuthToken, AllowStale }).filter(([, value]) => value !== undefined),
  );
  options.Prefix = prefix;
  options.PerPage = MATCHES_MAX + 1;
  let meta: QueryMeta = { Index: 0, LastContactMs: 0, KnownLeader: true };
  for (const [name, find] of Object.entries(CONTEXTS)) {
    if (context !== 'all' && context !== name) continue;
    // A prefix that is not hexadecimal matches no id that is: it need not be looked for.
    const possible = NAMED.includes(name) || /^[0-9a-f-]*$/i.test(prefix);
    const found = possible ? await find(exchange.rpc, options, exchange) : { ids: [], meta };
    matches[name] = found.ids.slice(0, MATCHES_MAX);
    truncations[name] = found.ids.length > MATCHES_MAX;
    if (found.meta.Index >= meta.Index) meta = found.meta;
  }
  return read(
    { Matches: matches, Truncations: truncations, Index: meta.Index, LastContact: 0, KnownLeader: meta.KnownLeader },
    meta,
  );
}
