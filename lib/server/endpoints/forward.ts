import type { Duplex } from 'node:stream';
import { MeshError } from '../../structs/errors.js';
import type { RpcMethods, RpcStreams } from '../../structs/rpc.js';
import type { RpcCaller, RpcContext, RpcHandlers, RpcStreamHandlers } from '../../transport/rpc.js';
import { joinStreams } from '../node-path.js';
import { type EndpointContext, requireText } from './context.js';

// What only the client with the allocation can answer is passed on over its link, and its answer back as it is.

const FORWARDED = [
  'ClientPower.Wake',
  'ClientPower.Sleep',
  'ClientPower.Sessions',
  'ClientStats.Stats',
  'NodeMeta.Apply',
  'NodeMeta.Read',
  'Allocations.Stats',
  'Allocations.Checks',
  'Allocations.Restart',
  'Allocations.Signal',
  'Allocations.GarbageCollect',
  'Allocations.GarbageCollectAll',
  'FileSystem.List',
  'FileSystem.Stat',
  'ClientCSI.ControllerValidate',
  'ClientCSI.ControllerAttach',
  'ClientCSI.ControllerDetach',
  'ClientCSI.ControllerCreate',
  'ClientCSI.ControllerDelete',
  'ClientCSI.ControllerExpand',
  'ClientCSI.ControllerListVolumes',
  'ClientCSI.ControllerGetCapacity',
  'ClientCSI.ControllerGetVolume',
  'ClientCSI.ControllerCreateSnapshot',
  'ClientCSI.ControllerDeleteSnapshot',
  'ClientCSI.ControllerListSnapshots',
  'ClientCSI.NodeDetach',
  'ClientCSI.NodeStats',
  'ClientCSI.NodeExpand',
  'ClientHostVolume.Create',
  'ClientHostVolume.Register',
  'ClientHostVolume.Delete',
  'ClientVolumeData.Work',
] as const satisfies readonly (keyof RpcMethods)[];

const FORWARDED_STREAMS = [
  'Agent.Monitor',
  'FileSystem.Stream',
  'FileSystem.Logs',
  'FileSystem.Snapshot',
  'VolumeData.Replicate',
  'Allocations.Exec',
] as const satisfies readonly (keyof RpcStreams)[];

type Target = ({ NodeID: string } | { AllocID: string }) & { Forwarded?: boolean };

/** Whoever leads to the client that a request is for. Rejects with E_NOT_FOUND, or E_NO_NODE_PATH when there is no way. */
async function pathFor(context: EndpointContext, args: Target): Promise<RpcCaller> {
  const { consensus, nodePaths } = context;
  let nodeId = nodeOf(context, args);
  // A server that follows may not have heard yet of what was placed just now.
  if (nodeId === undefined && !consensus.isLeader) {
    await consensus.readIndex();
    nodeId = nodeOf(context, args);
  }
  if (nodeId !== undefined) return nodePaths.find(nodeId, { forwarded: args.Forwarded === true });
  if ('AllocID' in args) throw new MeshError('E_NOT_FOUND', `Unknown allocation "${args.AllocID}"`);
  throw new MeshError('E_NOT_FOUND', 'node not found');
}

function nodeOf({ store }: EndpointContext, args: Target): string | undefined {
  const state = store.snapshot();
  if ('AllocID' in args) return state.allocById(requireText(args.AllocID, 'allocation ID'))?.NodeID;
  return state.nodeById(requireText(args.NodeID, 'node ID'))?.ID;
}

export function forwardEndpoints(context: EndpointContext): RpcHandlers {
  const forward =
    <M extends (typeof FORWARDED)[number]>(method: M) =>
    async (args: RpcMethods[M]['args'], { signal }: RpcContext): Promise<RpcMethods[M]['reply']> =>
      (await pathFor(context, args)).call(method, args, { signal });
  return Object.fromEntries(FORWARDED.map((method) => [method, forward(method)]));
}

export function forwardStreams(context: EndpointContext): RpcStreamHandlers {
  const forward =
    <M extends (typeof FORWARDED_STREAMS)[number]>(method: M) =>
    (args: RpcStreams[M]['args'], stream: Duplex): void => {
      pathFor(context, args).then(
        (path) => {
          if (!stream.destroyed) joinStreams(stream, path.stream(method, args));
        },
        (error: Error) => stream.destroy(error),
      );
    };
  return Object.fromEntries(FORWARDED_STREAMS.map((method) => [method, forward(method)]));
}
