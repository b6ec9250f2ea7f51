import { MeshError } from '../../structs/errors.js';
import type { RpcContext, RpcHandlers, RpcMethod } from '../../transport/rpc.js';

// What one member may ask for another. Looked at by the server that the member itself asks: whoever gets it passed on only
// sees that server.

type AnyHandler = (args: { Key?: unknown }, context: RpcContext) => Promise<unknown>;
type Guard = (args: { Key?: unknown }, peer: NonNullable<RpcContext['peer']>) => void;

const GUARDS: { readonly [M in RpcMethod]?: Guard } = {
  'Mesh.Renew': ownOnly,
  'Mesh.Leave': ownOnly,
  'Mesh.Redeem': serversOnly,
  'Mesh.Member': serversOnly,
};

/** The handlers, each asked only by whom it is for. */
export function guarded(handlers: RpcHandlers): RpcHandlers {
  const wrap = (guard: Guard, handler: AnyHandler): AnyHandler => {
    return async (args, context) => {
      if (context.peer) guard(args, context.peer);
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
function ownOnly({ Key }: { Key?: unknown }, { role, key, name }: NonNullable<RpcContext['peer']>): void {
  if (role !== 'client' || key === Key) return;
  throw new MeshError('E_PERMISSION_DENIED', `${name} may ask this for itself only`);
}

function serversOnly(_: unknown, { role, name }: NonNullable<RpcContext['peer']>): void {
  if (role === 'server') return;
  throw new MeshError('E_PERMISSION_DENIED', `${name} is no server`);
}
