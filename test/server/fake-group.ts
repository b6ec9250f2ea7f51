import type { Membership } from '../../lib/raft/index.js';
import { changeMembership } from '../../lib/raft/membership.js';
import type { Consensus, ConsensusGroup, ServerPeers } from '../../lib/server/ports.js';
import { createServer, type Server } from '../../lib/server/server.js';
import type { ServerConfig } from '../../lib/server/world.js';
import type { Command } from '../../lib/state/commands.js';
import { createStore, type Store } from '../../lib/state/store.js';
import { MeshError } from '../../lib/structs/errors.js';
import type { RpcMethods } from '../../lib/structs/rpc.js';
import { localCaller } from '../../lib/transport/local.js';
import type { RpcCaller, RpcMethod } from '../../lib/transport/rpc.js';
import { silentLog } from '../../lib/util/log.js';
import { seededRandom } from '../../lib/util/random.js';
import { createSimulatedTime, type SimulatedTime } from './simulated-time.js';

/** One of several servers that share a log; agreement itself is played, so that every moment of it can be chosen. */
export interface GroupServer {
  readonly id: string;
  readonly server: Server;
  readonly store: Store;
  /** Does not answer calls, and takes nothing from the log. */
  down: boolean;
  /** Takes nothing from the log, but answers. */
  lags: boolean;
  call<M extends RpcMethod>(
    method: M,
    args: RpcMethods[M]['args'],
    signal?: AbortSignal,
  ): Promise<RpcMethods[M]['reply']>;
}

export interface FakeGroup {
  readonly time: SimulatedTime;
  readonly servers: readonly GroupServer[];
  readonly leader: string;
  /** Calls that went from one server to another: `s1>s0 Job.Register`. */
  readonly passed: string[];
  /** Before a command is kept: what is thrown here is what the proposer hears. */
  onPropose: (command: Command) => void;
  /** After it was kept, before anybody hears of it. */
  onKept: (command: Command) => void;
  /** Who agrees, changed by whoever leads. */
  membership: Membership;
  /** Before it is changed: what is thrown here is what the changer hears. */
  onChange: () => void;
  /** Puts a command into the log, as if a server had proposed it. */
  keep(command: Command): Promise<unknown>;
  /** What was done to it: `addVoter s1`. */
  readonly changes: string[];
  lead(id: string): void;
  /** Lagging servers take what they lack. */
  catchUp(): void;
}

export function createFakeGroup(count: number, config: Partial<ServerConfig> = {}): FakeGroup {
  const time = createSimulatedTime();
  const log: Command[] = [];
  const servers: (GroupServer & { leads: (now: boolean) => void })[] = [];
  let leader = '';
  const take = (server: GroupServer): void => {
    const taken = (): number => server.store.index - server.store.indexOffset;
    while (!server.down && !server.lags && taken() < log.length) {
      server.store.apply(taken() + 1, log[taken()] as Command);
    }
  };
  const group: FakeGroup = {
    time,
    servers,
    get leader() {
      return leader;
    },
    passed: [],
    onPropose: () => {},
    onKept: () => {},
    membership: { voters: Array.from({ length: count }, (_, i) => `s${i}`), learners: [] },
    onChange: () => {},
    keep: (command) => keep(command, group.servers.find(({ id }) => id === leader) as GroupServer),
    changes: [],
    lead(id) {
      const before = leader;
      leader = id;
      for (const server of servers) {
        take(server);
        if (server.id === before && before !== id) server.leads(false);
        if (server.id === id && before !== id) server.leads(true);
      }
    },
    catchUp: () => {
      for (const server of servers) {
        server.lags = false;
        take(server);
      }
    },
  };
  const keep = async (command: Command, own: GroupServer): Promise<{ index: number; result: unknown }> => {
    await Promise.resolve();
    group.onPropose(command);
    log.push(command);
    let result: unknown;
    for (const server of servers) {
      if (server !== own) take(server);
      else result = own.store.apply(log.length, command);
    }
    group.onKept(command);
    return { index: log.length, result };
  };
  for (let i = 0; i < count; i++) {
    const store = createStore();
    const listeners: ((leads: boolean) => void)[] = [];
    const id = `s${i}`;
    const consensus: Consensus = {
      async propose(command) {
        if (leader !== id) throw new MeshError('E_NO_LEADER', 'No cluster leader');
        return keep(command, own);
      },
      async readIndex() {
        const needed = log.length;
        for (let tries = 0; leader === '' || store.index - store.indexOffset < needed; tries++) {
          if (tries === 50) throw new MeshError('E_NO_LEADER', 'No cluster leader');
          await new Promise<void>((resolve) => time.timers.setTimeout(100, resolve));
        }
        return needed;
      },
      get isLeader() {
        return leader === id;
      },
      get leader() {
        return leader;
      },
      lastContactMs: () => (leader === id ? 0 : servers.find((server) => server.id === leader)?.down ? 60_000 : 7),
      onLeadership: (listener) => void listeners.push(listener),
    };
    const server = createServer({
      consensus,
      group: memberOf(id, group, () => log.length),
      peers: peersOf(id, group),
      store,
      now: time.now,
      random: seededRandom(i + 1),
      log: silentLog,
      timers: time.timers,
      config: { region: 'global', heartbeat: { ttlMinMs: 24 * 3_600_000 }, ...config },
    });
    const own = {
      id,
      server,
      store,
      down: false,
      lags: false,
      leads: (now: boolean) => {
        for (const listener of listeners) listener(now);
      },
      call: ((method, args, signal = new AbortController().signal) => {
        const answer = (server.handlers[method] as (a: unknown, c: unknown) => Promise<never>)(args, { signal });
        // A test looks at the answer when it wants to.
        answer.catch(() => {});
        return answer;
      }) as GroupServer['call'],
    };
    servers.push(own);
    server.start();
  }
  return group;
}

function peersOf(own: string, group: FakeGroup): ServerPeers {
  return {
    serverCaller: (id) => caller(own, id, group),
    health: (id) => (group.servers.find((server) => server.id === id)?.down ? 'dead' : 'alive'),
    onHealth() {},
    link: () => null,
    self: () => ({
      Name: own,
      Version: '0.0.0',
      NeverVotes: false,
      Wired: true,
      Mains: true,
      ServerLinks: 2,
      RelayedLinks: 0,
    }),
  };
}

function memberOf(own: string, group: FakeGroup, lastIndex: () => number): ConsensusGroup {
  const self = (): GroupServer => group.servers.find(({ id }) => id === own) as GroupServer;
  const leads = (): boolean => group.leader === own;
  return {
    id: own,
    membership: () => group.membership,
    followers: () =>
      leads()
        ? group.servers
            .filter(({ id }) => id !== own && [...group.membership.voters, ...group.membership.learners].includes(id))
            .map(({ id, store, down }) => ({
              id,
              voter: group.membership.voters.includes(id),
              matchIndex: store.index,
              lastContactMs: down ? 60_000 : 10,
              rttMs: 3,
              receivingSnapshot: false,
            }))
        : [],
    async change(change) {
      group.onChange();
      const next = changeMembership(group.membership, change);
      if (!next.ok) throw new MeshError('E_BAD_REQUEST', next.error);
      group.membership = next.value;
      group.changes.push(`${change.type} ${change.id}`);
      return { index: lastIndex() };
    },
    async transferLeadership(to) {
      group.changes.push(`transfer ${to}`);
      group.lead(to);
    },
    lastIndex,
    appliedIndex: () => self().store.index,
    term: () => 1,
    syncMs: () => 1,
    epoch: () => 1,
    isJustRecovered: () => false,
    recover: async () => ({ epoch: 2 }),
  };
}

function caller(from: string, to: string, group: FakeGroup): RpcCaller {
  const target = (): GroupServer => {
    const found = group.servers.find(({ id }) => id === to);
    if (!found) throw new Error(`no server ${to}`);
    return found;
  };
  const lost = (): MeshError => new MeshError('E_TIMEOUT', `the link to ${to} was lost`);
  return {
    async call(method, args, options = {}) {
      // The leader asks all others about themselves all the time.
      if (method !== 'Status.ServerStats') group.passed.push(`${from}>${to} ${method}`);
      const { server } = target();
      if (target().down) throw lost();
      const answer = await localCaller(server.handlers, server.streamHandlers).call(method, args, options);
      // It died while it worked: what it did is done, and nobody was told.
      if (target().down) throw lost();
      return answer;
    },
    stream(method, args) {
      group.passed.push(`${from}>${to} ${method}`);
      const { server } = target();
      return localCaller(server.handlers, server.streamHandlers).stream(method, args);
    },
  };
}
