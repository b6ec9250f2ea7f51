import { arch, platform } from 'node:os';
import { followLog } from '../client/agent-log.js';
import type { Client } from '../client/client.js';
import type { AgentFacts } from '../http/agent-facts.js';
import type { RunningConsensus } from '../server/consensus.js';
import type { LogListen } from '../util/log.js';
import type { Result } from '../util/result.js';
import type { Metrics } from './metrics.js';
import type { RemoteServer } from './remote-server.js';
import type { AgentSettings } from './settings.js';

/** What the facts are taken from; the roles come into being while the API already answers. */
interface Sources {
  settings: AgentSettings;
  metrics: Metrics;
  httpPort: () => number;
  /** Known once it is listened on, when the system chose it. */
  rpcPort: () => number;
  consensus: () => RunningConsensus | undefined;
  client: () => Client | undefined;
  remote: () => RemoteServer | undefined;
  net: AgentFacts['net'];
  listen: LogListen;
  leave: () => Promise<Result<void, string>>;
  reload: () => Promise<Result<string[], string>>;
}

/** What the HTTP API tells about the agent itself, in Nomad's shapes. */
export function agentFacts(sources: Sources): AgentFacts {
  const { settings } = sources;
  return {
    version: settings.version,
    self: () => ({ config: config(sources), member: member(sources), stats: stats(sources) }),
    members: () => ({
      ServerName: settings.nodeName,
      ServerRegion: settings.region,
      ServerDC: settings.datacenter,
      Members: settings.server ? [member(sources)] : [],
    }),
    health: () => health(sources),
    net: () => sources.net(),
    followLog: (how, stream) => followLog(sources.listen, how, stream),
    leave: sources.leave,
    servers: () => {
      if (settings.server) return [`${settings.rpc.host}:${sources.rpcPort()}`];
      return settings.servers.map(({ host, port }) => `${host}:${port}`);
    },
    metrics: () => sources.metrics.read(),
    reload: sources.reload,
  };
}

function config({ settings, httpPort, rpcPort }: Sources): object {
  return {
    Region: settings.region,
    Datacenter: settings.datacenter,
    NodeName: settings.nodeName,
    DataDir: settings.dataDir ?? '',
    DevMode: settings.dataDir === null,
    BindAddr: settings.http.hosts[0],
    Ports: { HTTP: httpPort(), RPC: rpcPort(), Serf: 0 },
    Addresses: { HTTP: settings.http.hosts.join(' '), RPC: settings.rpc.host, Serf: '' },
    AdvertiseAddrs: {
      HTTP: `${settings.http.hosts[0]}:${httpPort()}`,
      RPC: `${settings.rpc.host}:${rpcPort()}`,
      Serf: '',
    },
    Server: { Enabled: settings.server !== null },
    Client: {
      Enabled: settings.client !== null,
      NodeClass: settings.client?.nodeClass ?? '',
      NodePool: settings.client?.nodePool ?? '',
      Meta: settings.client?.meta ?? {},
      Servers: settings.servers.map(({ host, port }) => `${host}:${port}`),
    },
    ACL: { Enabled: false },
    // There are no pages to see: Nomad's command line need not name any.
    UI: { Enabled: false, ShowCLIHints: false },
    TLSConfig: { EnableHTTP: settings.http.tls !== null, EnableRPC: false },
    Version: { Version: settings.version, VersionPrerelease: '', VersionMetadata: 'meshnomad', Revision: '' },
  };
}

function member({ settings, consensus, rpcPort }: Sources): object {
  return {
    Name: `${settings.nodeName}.${settings.region}`,
    Addr: settings.rpc.host,
    Port: rpcPort(),
    Tags: {
      role: 'nomad',
      region: settings.region,
      dc: settings.datacenter,
      build: settings.version,
      port: String(rpcPort()),
      id: consensus()?.leader ?? '',
    },
    Status: 'alive',
    ProtocolMin: 1,
    ProtocolMax: 5,
    ProtocolCur: 2,
    DelegateMin: 2,
    DelegateMax: 5,
    DelegateCur: 4,
  };
}

function health(sources: Sources): ReturnType<AgentFacts['health']> {
  const { settings } = sources;
  const leader = sources.consensus()?.leader ?? '';
  const client = sources.client()?.stats();
  return {
    server:
      settings.server && (leader === '' ? { ok: false, message: 'No cluster leader' } : { ok: true, message: 'ok' }),
    client:
      settings.client &&
      (client?.registered
        ? { ok: true, message: 'ok' }
        : { ok: false, message: 'the node is not registered with a server' }),
  };
}

function stats(sources: Sources): Record<string, Record<string, string>> {
  const parts: Record<string, Record<string, unknown>> = {
    runtime: {
      kernel: platform(),
      arch: arch(),
      version: process.version,
      rss_bytes: process.memoryUsage.rss(),
      uptime_seconds: Math.floor(process.uptime()),
    },
  };
  const consensus = sources.consensus();
  if (consensus) {
    const raft = consensus.stats();
    parts['nomad'] = { server: 'true', leader: consensus.isLeader, leader_addr: consensus.leader, known_regions: 1 };
    parts['raft'] = {
      state: consensus.isLeader ? 'Leader' : 'Follower',
      term: raft.term,
      last_log_index: raft.lastIndex,
      commit_index: raft.commitIndex,
      applied_index: raft.appliedIndex,
      last_snapshot_index: raft.snapshotIndex,
      num_peers: raft.voters.length - 1,
    };
  }
  const client = sources.client()?.stats();
  if (client) {
    const last = client.lastHeartbeatMs;
    parts['client'] = {
      node_id: client.nodeId,
      known_servers: sources.remote()?.current || 'this agent',
      num_allocations: Object.values(client.allocs).reduce((sum, count) => sum + count, 0),
      last_heartbeat: last === null ? 'never' : `${Math.round(Date.now() - last)}ms`,
      heartbeat_ttl: `${client.heartbeatTtlMs}ms`,
    };
  }
  return Object.fromEntries(
    Object.entries(parts).map(([part, figures]) => [
      part,
      Object.fromEntries(Object.entries(figures).map(([key, value]) => [key, String(value)])),
    ]),
  );
}
