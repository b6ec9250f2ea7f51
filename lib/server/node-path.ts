import type { Duplex } from 'node:stream';
import { MeshError } from '../structs/errors.js';
import type { RpcCaller } from '../transport/rpc.js';
import type { ServerWorld } from './world.js';

/** How long another server may take to say whether it has a link to a node. */
const ASK_MS = 1_000;

/** Ways to a node that end at this server, or begin here. */
export interface OwnPaths {
  /** The link that the node keeps to this server. */
  linked(nodeId: string): RpcCaller | undefined;
  /** A way to a node that did not come to this server by itself. */
  reach(nodeId: string): RpcCaller | undefined;
}

/** Where a node can be asked. */
export interface NodePaths {
  isLinked(nodeId: string): boolean;
  /**
   * The node itself, or the server that it is linked to. Rejects with E_NO_NODE_PATH when nobody has a way, or this server has
   * none and the request was passed on to it already.
   */
  find(nodeId: string, options: { forwarded: boolean }): Promise<RpcCaller>;
}

export function createNodePaths(world: ServerWorld, own: OwnPaths): NodePaths {
  const elsewhere = async (nodeId: string): Promise<RpcCaller | undefined> => {
    const { peers, group } = world;
    if (!peers || !group) return undefined;
    const { voters, learners } = group.membership();
    const others = [...voters, ...learners].filter((id) => id !== group.id).map((id) => peers.serverCaller(id));
    const asked = others.map(async (caller) => {
      const { Connected } = await caller.call('Status.HasNodeConn', { NodeID: nodeId }, { timeoutMs: ASK_MS });
      if (!Connected) throw new MeshError('E_NO_NODE_PATH', 'not linked there');
      return marked(caller);
    });
    return Promise.any(asked).catch(() => undefined);
  };
  return {
    isLinked: (nodeId) => own.linked(nodeId) !== undefined,
    async find(nodeId, { forwarded }) {
      const path = own.linked(nodeId) ?? own.reach(nodeId) ?? (forwarded ? undefined : await elsewhere(nodeId));
      if (path) return path;
      throw new MeshError('E_NO_NODE_PATH', `No path to node ${nodeId}`);
    },
  };
}

/** Says with each request that it was passed on, so that it ends at the server asked. */
function marked(caller: RpcCaller): RpcCaller {
  return {
    call: (method, args, options) => caller.call(method, { ...args, Forwarded: true }, options),
    stream: (method, args) => caller.stream(method, { ...args, Forwarded: true }),
  };
}

/** Waits until a stream takes more, or is closed. */
export function roomIn(stream: Duplex): Promise<void> {
  return new Promise((resolve) => {
    stream.once('drain', resolve);
    stream.once('close', resolve);
  });
}

/** Lets two streams be one: messages, the end, and failures go both ways. */
export function joinStreams(near: Duplex, far: Duplex): void {
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
