import { randomBytes } from 'node:crypto';
import type { Test } from 'tap';
import type { ServerMesh } from '../../lib/server/mesh/config.js';
import { createServer, type Server } from '../../lib/server/server.js';
import { createStore, type Store } from '../../lib/state/store.js';
import type { RpcMethods } from '../../lib/structs/rpc.js';
import type { MeshMemberStub } from '../../lib/structs/rpc-mesh.js';
import { systemClock } from '../../lib/transport/clock.js';
import { foundMesh, refoundMesh } from '../../lib/transport/found.js';
import { inviteKey, parseInvite } from '../../lib/transport/invite.js';
import { type Joined, type JoinOptions, joinMesh } from '../../lib/transport/join.js';
import { createJoinDoor } from '../../lib/transport/join-door.js';
import { localCaller } from '../../lib/transport/local.js';
import { createMemoryNetwork, type MemoryNetwork } from '../../lib/transport/memory-network.js';
import { type MeshHome, openMeshHome } from '../../lib/transport/mesh-home.js';
import type { Network } from '../../lib/transport/network.js';
import { createRoster, type MemberRoster, saveMembership } from '../../lib/transport/roster.js';
import type { RpcContext, RpcMethod } from '../../lib/transport/rpc.js';
import { keyFromSeed, type SigningKey } from '../../lib/transport/signature.js';
import { silentLog } from '../../lib/util/log.js';
import { seededRandom } from '../../lib/util/random.js';
import { createSimulatedTime, type SimulatedTime } from './simulated-time.js';
import { createFakeConsensus, type FakeConsensus } from './world.js';

/** A server of a mesh, in memory: its state, its roster, the door for invites. */
export interface MeshServer {
  readonly identity: SigningKey;
  readonly server: Server;
  readonly consensus: FakeConsensus;
  readonly roster: MemberRoster;
  readonly home: MeshHome;
  /** By gossip, as it were. */
  readonly health: Map<string, MeshMemberStub['Health']>;
  call<M extends RpcMethod>(
    method: M,
    args: RpcMethods[M]['args'],
    peer?: RpcContext['peer'],
  ): Promise<RpcMethods[M]['reply']>;
}

export interface MeshWorld {
  readonly founder: MeshServer;
  readonly store: Store;
  readonly time: SimulatedTime;
  readonly memory: MemoryNetwork;
  readonly recoveryCode: string;
  readonly mesh: string;
  /** Another server over the same state, once it has joined: it leads when it is told to. */
  serve(joined: Joined, identity: SigningKey): Promise<MeshServer>;
  /** A new machine with this invite. */
  join(invite: string, changes?: Partial<JoinOptions>): Promise<Joined>;
  invite(args?: RpcMethods['Mesh.CreateInvite']['args']): Promise<string>;
}

export const newKey = (): SigningKey => keyFromSeed(randomBytes(32));

/** A mesh that was founded a moment ago, its founder leading; `from` a sealed root: founded again. */
export async function createMeshWorld(t: Test, from?: { sealed: string; code: string }): Promise<MeshWorld> {
  const store = createStore();
  const time = createSimulatedTime();
  const memory = createMemoryNetwork({ clock: systemClock, random: seededRandom(4), unreachableMs: 50 });
  const networks: Network[] = [];
  const rosters: MemberRoster[] = [];
  const servers: Server[] = [];
  // A network in memory has no sockets that would keep the process alive.
  const alive = setInterval(() => {}, 1_000);
  t.teardown(async () => {
    clearInterval(alive);
    for (const server of servers) server.stop();
    for (const roster of rosters) roster.close();
    for (const network of networks) await network.close();
  });

  async function start(home: MeshHome, identity: SigningKey): Promise<MeshServer> {
    const consensus = createFakeConsensus(store);
    const roster = createRoster({ home, key: identity.publicKey, now: time.now, log: silentLog });
    const health: MeshServer['health'] = new Map();
    const mesh: ServerMesh = {
      identity,
      home,
      roster,
      addresses: () => [{ host: '10.0.0.1', port: 49737 }],
      bootstrap: 'public',
      view: (key) => ({ Health: health.get(key) ?? 'unknown', Link: null, ServerState: '' }),
    };
    const server = createServer({
      consensus,
      store,
      now: time.now,
      random: seededRandom(networks.length + (from ? 100 : 1)),
      log: silentLog,
      timers: time.timers,
      config: { region: 'global', mesh },
    });
    server.start();
    const door = createJoinDoor({
      identity,
      chain: () => roster.own().chain,
      rpc: localCaller(server.handlers, server.streamHandlers),
      members: () => [...store.snapshot().meshMembers()],
      places: () => [{ Key: identity.publicKey, Addresses: ['10.0.0.1:49737'] }],
      log: silentLog,
    });
    const network = memory.join(identity);
    await network.listen({ admit: (key) => isWelcome(roster, key), onConnection: door });
    networks.push(network);
    rosters.push(roster);
    servers.push(server);
    const call: MeshServer['call'] = (method, args, peer) => {
      const handler = server.handlers[method] as (args: unknown, context: RpcContext) => Promise<never>;
      return handler(args, { signal: new AbortController().signal, ...(peer && { peer }) });
    };
    return { identity, server, consensus, roster, home, health, call };
  }

  const home = openMeshHome(null);
  const identity = newKey();
  // What is founded again is founded later.
  if (from) time.sleep(60_000);
  const about = { home, identity, name: 'nas', meshName: 'home', nowMs: time.now() };
  const { recoveryCode, info } = from
    ? { recoveryCode: from.code, info: refoundMesh({ ...about, ...from }) }
    : foundMesh(about);
  const founder = await start(home, identity);
  founder.consensus.lead(true);
  await time.advance(20);

  return {
    founder,
    store,
    time,
    memory,
    recoveryCode,
    mesh: info.Root,
    async serve(joined, key) {
      const own = openMeshHome(null);
      saveMembership(own, joined.membership);
      return start(own, key);
    },
    async join(text, changes = {}) {
      const invite = parseInvite(text);
      if (!invite.ok) throw invite.error;
      const key = changes.identity ?? newKey();
      const network = memory.join(key);
      networks.push(network);
      return joinMesh({
        invite: invite.value,
        network,
        identity: key,
        name: 'pi',
        rename: true,
        facts: {},
        now: time.now,
        timeoutMs: 3_000,
        ...changes,
      });
    },
    async invite(args = {}) {
      return (await founder.call('Mesh.CreateInvite', args)).Invite;
    },
  };
}

/** Whether the firewall of the link manager would let a key in. */
export function isWelcome(roster: MemberRoster, key: string): boolean {
  return roster.isInvite(key) || roster.find(key)?.status === 'admitted';
}

/** The key that an invite is known by. */
export function keyOfInvite(text: string): string {
  const invite = parseInvite(text);
  if (!invite.ok) throw invite.error;
  return inviteKey(invite.value.seed).publicKey;
}
