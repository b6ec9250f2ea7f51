import type { RpcHandlers } from '../../transport/rpc.js';
import type { EndpointContext } from './context.js';

/** Who leads, and who else serves. */
export function statusEndpoints({ consensus, config, nodePaths }: EndpointContext): RpcHandlers {
  const address = (serverId: string): string => config.addressOf?.(serverId) ?? serverId;
  const leader = (): string => (consensus.leader === '' ? '' : address(consensus.leader));
  return {
    async 'Status.Ping'() {
      return {};
    },
    async 'Status.Leader'() {
      return { Leader: leader() };
    },
    async 'Status.HasNodeConn'({ NodeID }) {
      return { Connected: nodePaths.isLinked(NodeID) };
    },
    async 'Status.Peers'() {
      return { Peers: config.servers?.() ?? (leader() === '' ? [] : [leader()]) };
    },
  };
}
