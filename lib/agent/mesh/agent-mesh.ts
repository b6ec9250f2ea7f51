import type { RaftHint } from '../../gossip/index.js';
import type { HttpServer } from '../../http/server.js';
import type { ServerMesh } from '../../server/mesh/config.js';
import type { Consensus, ConsensusGroup, ServerPeers } from '../../server/ports.js';
import { type MeshRaftTransport, meshRaftTransport } from '../../server/raft-transport.js';
import type { Server } from '../../server/server.js';
import type { NodeKey } from '../../structs/mesh.js';
import { byteStream } from '../../transport/byte-stream.js';
import { nodeIdOf } from '../../transport/certificate.js';
import { systemClock } from '../../transport/clock.js';
import { followRoster } from '../../transport/follow-roster.js';
import { createMeshGossip, type MeshGossip } from '../../transport/gossip.js';
import type { Identity } from '../../transport/identity.js';
import { createJoinDoor } from '../../transport/join-door.js';
import { localCaller } from '../../transport/local.js';
import { formatAddress } from '../../transport/mesh/hello.js';
import type { MeshHome } from '../../transport/mesh-home.js';
import type { Peer } from '../../transport/peers.js';
import type { RpcCaller } from '../../transport/rpc.js';
import { spreadTombstones, tombstoneHandlers } from '../../transport/spread-tombstones.js';
import type { Log } from '../../util/log.js';
import type { Random } from '../../util/random.js';
import { fillServed, type Roles, type Served } from '../dispatch.js';
import { nodeLinkHandlers } from '../node-links.js';
import type { RemoteServer } from '../remote-server.js';
import type { AgentSettings } from '../settings.js';
import { keptLinks } from './keep-links.js';
import { type Member, openMember } from './member.js';
import { netHandlers } from './net.js';
import { ownElseOthers } from './own-else-others.js';
import { serverPeers } from './server-peers.js';
import { meshServers } from './servers.js';

/** What is told of the own part in Raft is a hint: it may be this old. */
const RAFT_HINT_MS = 2_000;

export interface AgentMeshOptions {
  home: MeshHome;
  identity: Identity;
  settings: AgentSettings;
  /** The roles of this agent, as they start. */
  roles: Roles;
  /** The HTTP API, for operators that come over the mesh. */
  http: () => HttpServer;
  log: Log;
  random: Random;
}

/** An agent's part in its mesh. */
export interface AgentMesh {
  readonly member: Member;
  /** The servers elsewhere, as one. */
  readonly remote: RemoteServer;
  /** How the servers of the group reach each other. */
  readonly raft: MeshRaftTransport;
  /** Who answers for the servers: the own one, or while it stands outside of the group another. */
  readonly servers: RpcCaller;
  /** The other servers, for the own one. */
  readonly serverPeers: ServerPeers;
  readonly gossip: MeshGossip;
  /** Where a member is, or was last, as `host:port`; '' when nobody knows. */
  addressOf(key: NodeKey): string;
  /** A way to a node by its id. */
  reachNode(nodeId: string): RpcCaller | undefined;
  /** What the own server knows of the mesh besides the state. */
  serverMesh(consensus: Consensus & ConsensusGroup): ServerMesh;
  /** Others are told what part this agent has in the group of servers. */
  follow(consensus: Consensus & ConsensusGroup): void;
  /** Links begin: what others may ask is answered from now on. */
  start(): Promise<void>;
  close(): Promise<void>;
}

/** Opens this agent's part in the mesh it is a member of; nothing is said to anybody before start(). */
export async function openAgentMesh(options: AgentMeshOptions): Promise<AgentMesh> {
  const { home, identity, settings, roles, log, random } = options;
  const served: Served = { handlers: {}, streamHandlers: {} };
  let stopFollowing = (): void => {};
  let hintTimer: NodeJS.Timeout | undefined;
  const isServer = settings.server !== null;

  const member: Member = await openMember({
    home,
    identity,
    settings: settings.mesh,
    keepPort: true,
    served,
    // Between clients nothing of the sort: a client answers servers, and people who have proven themselves.
    clientApi: isServer && settings.mesh.clientApi,
    ...(isServer ? { onJoin: (connection) => door(connection) } : {}),
    log,
    random,
    version: settings.version,
  });
  const { peers, roster, nameOf } = member;
  const gossip = createMeshGossip({
    peers,
    roster,
    certificate: () => roster.own(),
    home,
    clock: systemClock,
    random,
    log: log.child('gossip'),
    meta: { version: settings.version },
  });
  const remote = meshServers({
    peers,
    servers: member.servers,
    nameOf,
    isClient: () => roster.own().claims.Role === 'client',
    monotonicMs: () => performance.now(),
  });
  const net = netHandlers(member, { isServer, health: (key) => gossip.health(key) });
  const servers = ownElseOthers(
    {
      expected: isServer,
      caller: () => roles.server && localCaller({ ...roles.server.handlers, ...net }, roles.server.streamHandlers),
    },
    remote,
  );
  // Who reads its own state must not take what is still being replayed for the present.
  const newest: RpcCaller = {
    call: (method, args, callOptions) =>
      servers.call(method, isServer ? { ...args, AllowStale: false } : args, callOptions),
    stream: servers.stream,
  };
  const raft = meshRaftTransport(peers);
  const door = createJoinDoor({
    identity,
    chain: () => roster.own().chain,
    rpc: servers,
    members: () =>
      roster.members().map((key) => {
        const known = roster.find(key);
        return {
          Key: key,
          Name: known?.name ?? '',
          Role: known?.role ?? 'client',
          Status: known?.status ?? 'admitted',
        };
      }),
    places: () =>
      [...member.servers(), peers.key].map((Key) => ({
        Key,
        Addresses: member.addressesOf(Key).map(formatAddress),
      })),
    log: log.child('join'),
  });

  const keepLinks = (): void => {
    const linked: readonly Peer[] = peers.linked();
    const { Role: role } = roster.own().claims;
    peers.keep(keptLinks({ own: peers.key, role, servers: member.servers(), linked }));
  };

  const serve = (server: Server | undefined): void => {
    fillServed(served, roles);
    Object.assign(served.handlers, net, tombstoneHandlers(roster), roles.feed?.handlers);
    Object.assign(served.streamHandlers, raft.streamHandlers, roles.feed?.streamHandlers);
    if (!server) return;
    Object.assign(served.handlers, nodeLinkHandlers(server, { ...served.handlers }, peers));
    served.streamHandlers['Mesh.Http'] = (_, stream) => options.http().take(byteStream(stream));
  };

  return {
    member,
    gossip,
    remote,
    serverPeers: serverPeers({ member, gossip, settings }),
    raft,
    servers,
    addressOf(key) {
      const [address] = member.addressesOf(key);
      return address ? formatAddress(address) : '';
    },
    reachNode(nodeId) {
      const key = roster.members().find((one) => nodeIdOf(one) === nodeId);
      return key === undefined || key === peers.key ? undefined : peers.caller(key);
    },
    async start() {
      serve(roles.server);
      roster.onChange(keepLinks);
      spreadTombstones(roster, peers);
      keepLinks();
      gossip.start();
      await peers.start();
      // A server that stands outside of the group hears of changes from the others.
      stopFollowing = followRoster({ roster, servers: newest, clock: systemClock, random, log: log.child('roster') });
    },
    serverMesh: (consensus) => ({
      identity,
      home,
      roster,
      addresses: () => peers.addresses(),
      bootstrap: settings.mesh.bootstrap,
      view: (key) => ({
        Health: key === peers.key ? 'alive' : gossip.health(key),
        Link: peers.linked().find((peer) => peer.key === key)?.report ?? null,
        ServerState: standing(consensus, key),
      }),
    }),
    follow(consensus) {
      const tell = (): void => gossip.tell({ raft: raftHint(consensus) });
      consensus.onLeadership(tell);
      hintTimer = setInterval(tell, RAFT_HINT_MS);
      hintTimer.unref();
    },
    async close() {
      clearInterval(hintTimer);
      stopFollowing();
      remote.close();
      gossip.close();
      await member.close();
    },
  };
}

function raftHint(consensus: Consensus & ConsensusGroup): RaftHint {
  const state = standing(consensus, consensus.id);
  return { state: state === '' ? 'none' : state, term: consensus.term() };
}

/** What a member is in the group of servers; '' when it is not in it. */
function standing(consensus: Consensus & ConsensusGroup, key: NodeKey): 'leader' | 'voter' | 'standby' | '' {
  const { voters, learners } = consensus.membership();
  if (consensus.leader === key) return 'leader';
  if (voters.includes(key)) return 'voter';
  return learners.includes(key) ? 'standby' : '';
}
