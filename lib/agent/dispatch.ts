import type { Duplex } from 'node:stream';
import type { Client } from '../client/client.js';
import type { Server } from '../server/server.js';
import { MeshError } from '../structs/errors.js';
import type { RpcMethods, RpcStreams } from '../structs/rpc.js';
import { localCaller, messagePair } from '../transport/local.js';
import type {
  CallOptions,
  RpcCaller,
  RpcContext,
  RpcHandlers,
  RpcMethod,
  RpcStreamHandlers,
  RpcStreamMethod,
} from '../transport/rpc.js';

import { ALONE_MS, answerAlone, mayKnow } from './alone.js';

/** Who can answer in this agent, as far as it has started. */
export interface Roles {
  server?: Server;
  client?: Client;
  /** How the state of the servers is passed on: asked by servers over the mesh, and by nobody else. */
  feed?: Pick<Server, 'handlers' | 'streamHandlers'>;
  /** Whoever answers for the servers, where it is not simply the own one. */
  remote?: RpcCaller;
}

type AnyCall = (args: object, context: { signal: AbortSignal }) => Promise<never>;
type AnyHandler = (args: object, context: RpcContext) => Promise<never>;
type AnyStreamHandler = (args: object, stream: Duplex, context: RpcContext) => void;

/**
 * Finds who answers a request of this agent's HTTP API: its own client for what lies on this machine, its own server, or a
 * server elsewhere. It may be asked before the roles have started: then it answers that there is no leader yet.
 */
export function createDispatcher(roles: Roles, { allowExec }: { allowExec: boolean }): RpcCaller {
  return {
    call(method, args, options) {
      const own = ownHandler(roles, method, args);
      const signal = options?.signal ?? new AbortController().signal;
      if (own) return own(withOwnNode(roles, args), { signal });
      if (roles.remote) return callRemote(roles, roles.remote, method, withOwnNode(roles, args), options);
      return Promise.reject(starting());
    },
    stream(method, args) {
      if (method === 'Allocations.Exec' && !allowExec) return refusedStream(execDisabled());
      const own = ownStream(roles, method, args);
      if (!own && roles.remote) return roles.remote.stream(method, args);
      if (!own) return refusedStream(starting());
      return localCaller({}, { [method]: own }).stream(method, args);
    },
  };
}

/** Asks the servers; while none can be, this machine tells what it knows itself. */
async function callRemote<M extends RpcMethod>(
  { client }: Roles,
  remote: RpcCaller,
  method: M,
  args: RpcMethods[M]['args'],
  options: CallOptions = {},
): Promise<RpcMethods[M]['reply']> {
  if (!client || !mayKnow(method, args)) return remote.call(method, args, options);
  try {
    return await remote.call(method, args, { ...options, linklessMs: ALONE_MS });
  } catch (error) {
    return answerAlone(client, method, args, error);
  }
}

/** What other members may ask of this agent; the tables are there before the roles are, and filled as these start. */
export interface Served {
  readonly handlers: RpcHandlers;
  readonly streamHandlers: RpcStreamHandlers;
}

/** Puts what the roles that have started answer into the tables: the client for what lies on this machine, else the server. */
export function fillServed(served: Served, roles: Roles): void {
  const calls = served.handlers as Record<string, AnyHandler>;
  const client = roles.client?.handlers as Record<string, AnyHandler> | undefined;
  const server = roles.server?.handlers as Record<string, AnyHandler> | undefined;
  for (const method of Object.keys({ ...client, ...server })) {
    calls[method] = (args, context) => {
      const [mine, ours] = [client?.[method], server?.[method]];
      const handler = mine && (isHere(roles, args) || !ours) ? mine : ours;
      return (handler as AnyHandler)(args, context);
    };
  }
  const streams = served.streamHandlers as Record<string, AnyStreamHandler>;
  const clientStreams = roles.client?.streamHandlers as Record<string, AnyStreamHandler> | undefined;
  const serverStreams = roles.server?.streamHandlers as Record<string, AnyStreamHandler> | undefined;
  for (const method of Object.keys({ ...clientStreams, ...serverStreams })) {
    streams[method] = (args, stream, context) => {
      const [mine, ours] = [clientStreams?.[method], serverStreams?.[method]];
      const handler = mine && (isHere(roles, args) || !ours) ? mine : ours;
      (handler as AnyStreamHandler)(args, stream, context);
    };
  }
}

function refusedStream(error: MeshError): Duplex {
  const [near, far] = messagePair();
  far.on('error', () => {});
  far.destroy(error);
  return near;
}

function execDisabled(): MeshError {
  return new MeshError(
    'E_PERMISSION_DENIED',
    'Permission denied: this node runs no commands in tasks (client { disable_remote_exec = true })',
  );
}

function starting(): MeshError {
  return new MeshError('E_NO_LEADER', 'No cluster leader: the agent is starting');
}

/** A request about "this node" names none: it is the one whose API was asked. */
function withOwnNode<A extends object>({ client }: Roles, args: A): A {
  if (!client || !('NodeID' in args) || args.NodeID !== '') return args;
  return { ...args, NodeID: client.nodeId };
}

function isHere({ client }: Roles, args: object): boolean {
  if (!client) return false;
  if ('AllocID' in args) return client.hasAlloc(String(args.AllocID));
  return 'NodeID' in args && (args.NodeID === '' || args.NodeID === client.nodeId);
}

function ownHandler<M extends RpcMethod>(roles: Roles, method: M, args: RpcMethods[M]['args']): AnyCall | undefined {
  const pick = (handlers: RpcHandlers | undefined): AnyCall | undefined => handlers?.[method] as AnyCall | undefined;
  const mine = pick(roles.client?.handlers);
  if (mine && isHere(roles, args)) return mine;
  return roles.remote ? undefined : pick(roles.server?.handlers);
}

function ownStream<M extends RpcStreamMethod>(
  roles: Roles,
  method: M,
  args: RpcStreams[M]['args'],
): AnyStreamHandler | undefined {
  const pick = (handlers: RpcStreamHandlers | undefined): AnyStreamHandler | undefined =>
    handlers?.[method] as AnyStreamHandler | undefined;
  const mine = pick(roles.client?.streamHandlers);
  if (mine && isHere(roles, args)) return mine;
  return roles.remote ? undefined : pick(roles.server?.streamHandlers);
}
