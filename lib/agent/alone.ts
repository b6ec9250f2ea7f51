import type { Client } from '../client/client.js';
import { allocStub, nodeStub, publicNode } from '../server/stubs.js';
import { MeshError } from '../structs/errors.js';
import type { QueryMeta, QueryOptions, RpcMethods } from '../structs/rpc.js';
import type { RpcMethod } from '../transport/rpc.js';

// What this machine knows of its own work, for who sits before it while no server can be asked. Only what is named: a list of
// everything would be taken for that.

/** So long no server must have been linked before this machine answers for itself. */
export const ALONE_MS = 1_000;

type Known<M extends RpcMethod> = Omit<RpcMethods[M]['reply'], keyof QueryMeta> | null;
type Table = { [M in RpcMethod]?: (args: RpcMethods[M]['args'], client: Client) => Known<M> };

const KNOWN: Table = {
  'Alloc.List'(args, client) {
    const found = named(client.allocations(), args);
    return found && { Allocations: found.map((alloc) => allocStub(alloc)) };
  },
  'Alloc.GetAlloc'({ AllocID }, client) {
    const Alloc = client.allocations().find(({ ID }) => ID === AllocID);
    return Alloc ? { Alloc } : null;
  },
  'Node.List'(args, client) {
    const found = named([client.node()], args);
    return found && { Nodes: found.map((node) => nodeStub(node)) };
  },
  'Node.GetNode': ({ NodeID }, client) => (NodeID === client.nodeId ? { Node: publicNode(client.node()) } : null),
  'Node.GetAllocs': ({ NodeID }, client) => (NodeID === client.nodeId ? { Allocs: client.allocations() } : null),
};

function named<T extends { ID: string }>(all: readonly T[], { Prefix = '', Filter }: QueryOptions): T[] | null {
  const found = all.filter(({ ID }) => ID.startsWith(Prefix));
  return Prefix === '' || Filter || found.length === 0 ? null : found;
}

/** Whether this machine may have an answer of its own. Who waits for a change waits for the servers. */
export function mayKnow(method: RpcMethod, args: Pick<QueryOptions, 'MinQueryIndex'> | object): boolean {
  return KNOWN[method] !== undefined && !('MinQueryIndex' in args && args.MinQueryIndex);
}

/** The answer of this machine to what no server could be asked; throws that error again where it has none. */
export function answerAlone<M extends RpcMethod>(
  client: Client,
  method: M,
  args: RpcMethods[M]['args'],
  error: unknown,
) {
  if (!(error instanceof MeshError) || error.code !== 'E_NO_LEADER') throw error;
  const known = KNOWN[method]?.(args, client);
  if (!known) throw error;
  return { ...known, Index: 1, LastContactMs: client.silentMs, KnownLeader: false, Alone: true };
}
