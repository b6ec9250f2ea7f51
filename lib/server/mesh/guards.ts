import type { Store } from '../../state/store.js';
import { MeshError } from '../../structs/errors.js';
import { nodeIdOf } from '../../transport/certificate.js';
import type { RpcContext, RpcHandlers, RpcMethod } from '../../transport/rpc.js';

// What one member may ask for another. Looked at by the server that the member itself asks: whoever gets it passed on only
// sees that server.

interface Asked {
  readonly Key?: unknown;
  readonly Node?: { readonly ID?: unknown };
}
type AskingPeer = NonNullable<RpcContext['peer']>;
type AnyHandler = (args: Asked, context: RpcContext) => Promise<unknown>;
type Guard = (args: Asked, peer: AskingPeer, store: Store) => void;

const GUARDS: { readonly [M in RpcMethod]?: Guard } = {
  'Mesh.Renew': ownOnly,
  'Mesh.Leave': ownOnly,
  'Mesh.Redeem': serversOnly,
  'Mesh.Member': serversOnly,
  'Node.Register': ownNode,
};

/** The handlers, each asked only by whom it is for. */
export function guarded(store: Store, handlers: RpcHandlers): RpcHandlers {
  const wrap = (guard: Guard, handler: AnyHandler): AnyHandler => {
    return async (args, context) => {
      if (context.peer) guard(args, context.peer, store);
      return handler(args, context);
    };
  };
  return Object.fromEntries(
    Object.entries(handlers).map(([method, handler]) => {
      const guard = GUARDS[method as RpcMethod];
      return [method, guard ? wrap(guard, handler as AnyHandler) : handler];
    }),
  );
}

/** A client speaks for itself; servers pass on what they were asked, operators may ask for anybody. */
function ownOnly({ Key }: Asked, { role, key, name }: AskingPeer): void {
  if (role !== 'client' || key === Key) return;
  throw new MeshError('E_PERMISSION_DENIED', `${name} may ask this for itself only`);
}

/** A member brings one node, whose id derives from its key; one that was there before it joined proves itself by its secret. */
function ownNode({ Node }: Asked, { role, key, name }: AskingPeer, store: Store): void {
  if (role === 'server' || Node?.ID === nodeIdOf(key)) return;
  if (typeof Node?.ID === 'string' && store.snapshot().nodeById(Node.ID)) return;
  throw new MeshError(
    'E_PERMISSION_DENIED',
    `${name} may register its own node only, ${nodeIdOf(key)}, not ${String(Node?.ID)}: give the agent the data_dir of its own, or "meshnomad join -replace" where its disk was copied`,
  );
}

function serversOnly(_: Asked, { role, name }: AskingPeer): void {
  if (role === 'server') return;
  throw new MeshError('E_PERMISSION_DENIED', `${name} is no server`);
}
