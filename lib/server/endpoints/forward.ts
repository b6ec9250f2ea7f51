import type { Duplex } from 'node:stream';
import { MeshError } from '../../structs/errors.js';
import type { RpcMethods, RpcStreams } from '../../structs/rpc.js';
import type { RpcCaller, RpcContext, RpcHandlers, RpcStreamHandlers } from '../../transport/rpc.js';
import { type EndpointContext, requireFound, requireText } from './context.js';

// What only the client with the allocation can answer is passed on over its link, and its answer back as it is.

const FORWARDED = [
  'ClientStats.Stats',
  'Allocations.Stats',
  'Allocations.Restart',
  'Allocations.Signal',
  'Allocations.GarbageCollect',
  'Allocations.GarbageCollectAll',
  'FileSystem.List',
  'FileSystem.Stat',
] as const satisfies readonly (keyof RpcMethods)[];

const FORWARDED_STREAMS = [
  'FileSystem.Stream',
  'FileSystem.Logs',
  'Allocations.Exec',
] as const satisfies readonly (keyof RpcStreams)[];

type Target = { NodeID: string } | { AllocID: string };

/** The link to the client that a request is for. Throws E_NOT_FOUND, or E_NO_NODE_PATH when the client is not linked. */
function linkFor({ store, nodeLinks }: EndpointContext, args: Target): RpcCaller {
  const state = store.snapshot();
  const nodeId =
    'AllocID' in args
      ? requireAlloc(state.allocById(requireText(args.AllocID, 'allocation ID')), args.AllocID).NodeID
      : requireFound(state.nodeById(requireText(args.NodeID, 'node ID')), 'node').ID;
  const link = nodeLinks.get(nodeId);
  if (link) return link;
  throw new MeshError('E_NO_NODE_PATH', `No path to node ${nodeId}`);
}

function requireAlloc<T>(alloc: T | undefined, id: string): T {
  if (alloc) return alloc;
  throw new MeshError('E_NOT_FOUND', `Unknown allocation "${id}"`);
}

export function forwardEndpoints(context: EndpointContext): RpcHandlers {
  const forward =
    <M extends (typeof FORWARDED)[number]>(method: M) =>
    async (args: RpcMethods[M]['args'], { signal }: RpcContext): Promise<RpcMethods[M]['reply']> =>
      linkFor(context, args).call(method, args, { signal });
  return Object.fromEntries(FORWARDED.map((method) => [method, forward(method)]));
}

export function forwardStreams(context: EndpointContext): RpcStreamHandlers {
  const forward =
    <M extends (typeof FORWARDED_STREAMS)[number]>(method: M) =>
    (args: RpcStreams[M]['args'], stream: Duplex): void => {
      let remote: Duplex;
      try {
        remote = linkFor(context, args).stream(method, args);
      } catch (error) {
        stream.destroy(error as Error);
        return;
      }
      join(stream, remote);
    };
  return Object.fromEntries(FORWARDED_STREAMS.map((method) => [method, forward(method)]));
}

/** Lets two streams be one: messages, the end, and failures go both ways. */
function join(near: Duplex, far: Duplex): void {
  near.on('error', (error) => far.destroy(error));
  far.on('error', (error) => near.destroy(error));
  near.once('close', () => far.destroy());
  far.once('close', () => {
    // After an orderly end pipe has ended the other side, which may still be reading; anything else is an abort.
    if (!far.readableEnded) near.destroy();
  });
  near.pipe(far);
  far.pipe(near);
}
