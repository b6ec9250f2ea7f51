import type { ServerMember, ServerStats } from '../../structs/operator.js';
import type { RpcHandlers } from '../../transport/rpc.js';
import { serversOf } from '../autopilot/observe.js';
import type { EndpointContext } from './context.js';

/** How long another server may take to tell about itself in a list. */
const ASK_MS = 1_500;

/** Who leads, and who else serves. */
export function statusEndpoints(context: EndpointContext): RpcHandlers {
  const { consensus, config, nodePaths } = context;
  // As the list of members has it: who knows neither finds the leader among them by its address.
  const address = (serverId: string): string => addressOf(context, serverId) || serverId;
  const leader = (): string => (consensus.leader === '' ? '' : address(consensus.leader));
  return {
    async 'Status.Ping'() {
      return {};
    },
    async 'Status.Leader'() {
      return { Leader: leader() };
    },
    async 'Status.Peers'() {
      const voters = context.group?.membership().voters ?? [];
      if (voters.length > 0) return { Peers: voters.map(address) };
      return { Peers: config.servers?.() ?? (leader() === '' ? [] : [leader()]) };
    },
    async 'Status.ServerStats'() {
      return ownStats(context);
    },
    async 'Status.HasNodeConn'({ NodeID }) {
      return { Connected: nodePaths.isLinked(NodeID) };
    },
    async 'Status.Members'() {
      return { Members: await members(context), Leader: consensus.leader };
    },
  };
}

/** What this server says of itself. */
export function ownStats({ group, peers, consensus, store, config }: EndpointContext): ServerStats {
  const { voters, learners } = group?.membership() ?? { voters: [], learners: [] };
  const self = peers?.self();
  return {
    ID: group?.id ?? consensus.leader,
    Name: self?.Name ?? config.about?.name ?? '',
    Version: self?.Version ?? config.about?.version ?? '',
    Datacenter: config.about?.datacenter ?? '',
    Leader: consensus.leader,
    Term: group?.term() ?? 0,
    LastIndex: group?.lastIndex() ?? store.index,
    AppliedIndex: group?.appliedIndex() ?? store.index,
    Voters: [...voters],
    Learners: [...learners],
    Epoch: group?.epoch() ?? 0,
    SyncMs: group?.syncMs() ?? null,
    NeverVotes: self?.NeverVotes ?? false,
    Wired: self?.Wired ?? null,
    Mains: self?.Mains ?? null,
    ServerLinks: self?.ServerLinks ?? 0,
    RelayedLinks: self?.RelayedLinks ?? 0,
  };
}

/** Every server there is, by name; each is asked about itself. */
async function members(context: EndpointContext): Promise<ServerMember[]> {
  const { group, peers, store } = context;
  const own = ownStats(context);
  const { voters, learners } = group?.membership() ?? { voters: [own.ID], learners: [] };
  const ids = [...new Set([own.ID, ...voters, ...learners, ...serversOf(context)])];
  const told = await Promise.all(
    ids.map((id) => {
      if (id === own.ID || !peers) return own;
      return peers
        .serverCaller(id)
        .call('Status.ServerStats', {}, { timeoutMs: ASK_MS })
        .catch(() => null);
    }),
  );
  const newest = Math.max(...told.map((stats) => stats?.LastIndex ?? 0));
  return ids
    .map((id, i): ServerMember => {
      const stats = told[i] ?? null;
      const isVoter = voters.includes(id);
      return {
        ID: id,
        Name: store.snapshot().meshMember(id)?.Name || stats?.Name || id.slice(0, 8),
        Address: addressOf(context, id),
        // Who has just answered is alive, whatever gossip believes.
        Status: stats ? 'alive' : (peers?.health(id) ?? 'unknown'),
        Standing: id === own.Leader ? 'leader' : isVoter ? 'voter' : learners.includes(id) ? 'standby' : 'plain',
        Version: stats?.Version ?? '',
        Datacenter: stats?.Datacenter ?? '',
        Term: stats?.Term ?? 0,
        LastIndex: stats?.LastIndex ?? 0,
        Lag: stats ? Math.max(0, newest - stats.AppliedIndex) : 0,
      };
    })
    .sort((a, b) => (a.Name < b.Name ? -1 : 1));
}

/** Where a server is, or was seen last; '' when nobody can tell. */
export function addressOf({ config, peers, group }: EndpointContext, id: string): string {
  if (id === group?.id) return config.addressOf?.(id) ?? '';
  return peers?.link(id)?.Path.Address ?? config.addressOf?.(id) ?? '';
}
