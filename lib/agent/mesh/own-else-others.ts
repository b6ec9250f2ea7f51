import { MeshError } from '../../structs/errors.js';
import type { RpcCaller } from '../../transport/rpc.js';
import type { RemoteServer } from '../remote-server.js';

/**
 * Asks the server of this agent, and the others while that one knows no leader: one that has just joined, or that is not
 * needed in the group, has nothing to answer from.
 */
export function ownElseOthers(
  own: { expected: boolean; caller: () => RpcCaller | undefined },
  others: RemoteServer,
): RpcCaller {
  return {
    async call(method, args, options) {
      const caller = own.caller();
      // It will be there in a moment, much sooner than a link that may never come.
      if (!caller && own.expected && !others.linked)
        throw new MeshError('E_NO_LEADER', 'No cluster leader: the agent is starting');
      if (!caller) return others.call(method, args, options);
      try {
        return await caller.call(method, args, options);
      } catch (error) {
        const leaderless = error instanceof MeshError && error.code === 'E_NO_LEADER';
        if (!leaderless || !others.linked) throw error;
        return others.call(method, args, options);
      }
    },
    stream: (method, args) => (own.caller() ?? others).stream(method, args),
  };
}
