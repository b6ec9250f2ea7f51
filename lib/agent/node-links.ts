import type { Server } from '../server/server.js';
import type { NodeKey } from '../structs/mesh.js';
import type { Peers } from '../transport/peers.js';
import type { RpcCaller, RpcContext, RpcHandlers } from '../transport/rpc.js';
import { assert } from '../util/assert.js';

type NodeHandlers = RpcHandlers & Required<Pick<RpcHandlers, 'Node.Register' | 'Node.GetClientAllocs'>>;

/**
 * A node that proved itself over a link (its SecretID was the registered one) can be reached over it. It asks what to run
 * as soon as a link stands, which may be long before its next heartbeat.
 */
export function linkHandlers(handlers: RpcHandlers, linked: (nodeId: string) => void): NodeHandlers {
  const seen = new Set<string>();
  const learn = (nodeId: string): void => {
    if (seen.has(nodeId)) return;
    seen.add(nodeId);
    linked(nodeId);
  };
  const { 'Node.Register': register, 'Node.GetClientAllocs': getAllocs } = handlers;
  assert(register && getAllocs, 'a server answers clients');
  return {
    ...handlers,
    'Node.Register': async (args, context) => {
      const reply = await register(args, context);
      learn(args.Node.ID);
      return reply;
    },
    'Node.GetClientAllocs': async (args, context) => {
      if (!seen.has(args.NodeID)) {
        // The question itself may wait for minutes; asked without waiting it is answered, or refused, at once.
        await getAllocs({ ...args, MinQueryIndex: 0 }, context);
        learn(args.NodeID);
      }
      return getAllocs(args, context);
    },
  };
}

/**
 * The same for nodes that come over the mesh: each is reached by the key it came with, as long as it is linked. `handlers` is a
 * copy of what the server answers.
 */
export function nodeLinkHandlers(server: Server, handlers: RpcHandlers, peers: Peers): RpcHandlers {
  const known = linkHandlers(handlers, () => {});
  const byMember = new Map<NodeKey, { handlers: NodeHandlers; forget: (() => void)[] }>();
  peers.onLink(({ key }, up) => {
    if (up) return;
    for (const drop of byMember.get(key)?.forget ?? []) drop();
    byMember.delete(key);
  });
  const of = (key: NodeKey): NodeHandlers => {
    const before = byMember.get(key);
    if (before) return before.handlers;
    const caller: RpcCaller = peers.caller(key);
    const forget: (() => void)[] = [];
    const made = linkHandlers(handlers, (nodeId) => forget.push(server.registerNodeLink(nodeId, caller)));
    byMember.set(key, { handlers: made, forget });
    return made;
  };
  // A call of this very process comes without a peer.
  const target = ({ peer }: RpcContext): NodeHandlers => (peer ? of(peer.key) : known);
  return {
    'Node.Register': (args, context) => target(context)['Node.Register'](args, context),
    'Node.GetClientAllocs': (args, context) => target(context)['Node.GetClientAllocs'](args, context),
  };
}
