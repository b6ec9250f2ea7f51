import type { HttpServer } from '../../http/server.js';
import { type MeshRaftTransport, meshRaftTransport } from '../../server/raft-transport.js';
import type { Server } from '../../server/server.js';
import { byteStream } from '../../transport/byte-stream.js';
import { nodeIdOf } from '../../transport/certificate.js';
import type { Identity } from '../../transport/identity.js';
import { createJoinDoor } from '../../transport/join-door.js';
import { localCaller } from '../../transport/local.js';
import { formatAddress } from '../../transport/mesh/hello.js';
import type { MeshHome } from '../../transport/mesh-home.js';
import type { Peer } from '../../transport/peers.js';
import type { RpcCaller } from '../../transport/rpc.js';
import type { Log } from '../../util/log.js';
import type { Random } from '../../util/random.js';
import { fillServed, type Roles, type Served } from '../dispatch.js';
import { nodeLinkHandlers } from '../node-links.js';
import type { RemoteServer } from '../remote-server.js';
import type { AgentSettings } from '../settings.js';
import { followRoster } from './follow-roster.js';
import { keptLinks } from './keep-links.js';
import { type Member, openMember } from './member.js';
import { ownElseOthers } from './own-else-others.js';
import { meshServers } from './servers.js';

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
  /** A way to a node by its id. */
  reachNode(nodeId: string): RpcCaller | undefined;
  /** Links begin: what others may ask is answered from now on. */
  start(): Promise<void>;
  close(): Promise<void>;
}

/** Opens this agent's part in the mesh it is a member of; nothing is said to anybody before start(). */
export async function openAgentMesh(options: AgentMeshOptions): Promise<AgentMesh> {
  const { home, identity, settings, roles, log, random } = options;
  const served: Served = { handlers: {}, streamHandlers: {} };
  const ending = new AbortController();
  const now = (): number => Date.now();
  const isServer = settings.server !== null;

  const member: Member = await openMember({
    home,
    identity,
    settings: settings.mesh,
    keepPort: true,
    served,
    ...(isServer ? { onJoin: (connection) => door(connection) } : {}),
    log,
    random,
    version: settings.version,
  });
  const { peers, roster, nameOf } = member;
  const remote = meshServers({ peers, servers: member.servers, nameOf, monotonicMs: () => performance.now() });
  const servers = ownElseOthers(
    () => roles.server && localCaller(roles.server.handlers, roles.server.streamHandlers),
    remote,
  );
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
    Object.assign(served.handlers, { 'Mesh.NetReport': async () => ({ Report: peers.report() }) });
    Object.assign(served.streamHandlers, raft.streamHandlers);
    if (!server) return;
    Object.assign(served.handlers, nodeLinkHandlers(server, { ...served.handlers }, peers));
    served.streamHandlers['Mesh.Http'] = (_, stream) => options.http().take(byteStream(stream));
  };

  return {
    member,
    remote,
    raft,
    servers,
    reachNode(nodeId) {
      const key = roster.members().find((one) => nodeIdOf(one) === nodeId);
      return key === undefined || key === peers.key ? undefined : peers.caller(key);
    },
    async start() {
      serve(roles.server);
      roster.onChange(keepLinks);
      keepLinks();
      await peers.start();
      void followRoster({
        roster,
        ask: () => servers,
        key: peers.key,
        now,
        random,
        log: log.child('roster'),
        signal: ending.signal,
      });
    },
    async close() {
      ending.abort();
      remote.close();
      await member.close();
    },
  };
}
