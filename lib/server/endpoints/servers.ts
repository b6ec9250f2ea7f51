import { watchKeys } from '../../state/watch.js';
import { MeshError } from '../../structs/errors.js';
import type { NodeKey } from '../../structs/mesh.js';
import type {
  AutopilotConfiguration,
  AutopilotHealth,
  RaftConfiguration,
  RecoveryView,
} from '../../structs/operator.js';
import type { RpcHandlers } from '../../transport/rpc.js';
import { toMillis, toNanos } from '../../util/clock.js';
import { quorumOf } from '../autopilot/view.js';
import { answerQuery } from '../blocking.js';
import type { Follower } from '../ports.js';
import { propose } from '../propose.js';
import { type EndpointContext, requireText, rfc3339 } from './context.js';
import { addressOf, ownStats } from './status.js';

/** How long a survivor may take to say that it is one. */
const SURVIVOR_MS = 5_000;
const NEVER = '0001-01-01T00:00:00Z';

/** The servers as a group: who votes, who leads, how autopilot decides. */
export function serverEndpoints(context: EndpointContext): RpcHandlers {
  const { consensus, store, autopilot } = context;
  return {
    async 'Operator.RaftGetConfiguration'(args, call) {
      return answerQuery(context, args, call, [], (state) => ({
        index: state.index,
        reply: { Configuration: raftConfiguration(context, state.index) },
      }));
    },

    async 'Operator.RaftRemovePeer'({ Peer }) {
      const group = requireGroup(context);
      const id = findPeer(context, Peer);
      if (id === group.id) {
        throw new MeshError(
          'E_BAD_REQUEST',
          `${Peer} leads: hand leadership over first (operator raft transfer-leadership)`,
        );
      }
      const { voters } = group.membership();
      const left = voters.filter((voter) => voter !== id);
      const alive = left.filter((voter) => voter === group.id || isHeard(context, voter));
      if (voters.includes(id) && alive.length < quorumOf(left.length)) {
        throw new MeshError(
          'E_CONFLICT',
          `without ${Peer} only ${alive.length} of ${left.length} voters answer, which is no majority: nothing could be written any more`,
        );
      }
      const { index } = await group.change({ type: 'remove', id });
      return { Index: index };
    },

    async 'Operator.TransferLeadership'({ Peer }) {
      const group = requireGroup(context);
      const to = Peer === '' ? bestHeir(context) : findPeer(context, Peer);
      if (to === group.id) return { From: group.id, To: to, Noop: true, Index: store.index };
      if (!group.membership().voters.includes(to)) {
        throw new MeshError('E_BAD_REQUEST', `${Peer} has no vote, so it cannot lead: see "meshnomad server why"`);
      }
      await group.transferLeadership(to);
      return { From: group.id, To: to, Noop: false, Index: store.index };
    },

    async 'Operator.AutopilotGetConfiguration'(args, call) {
      return answerQuery(context, args, call, [watchKeys.autopilotConfig()], (state) => {
        const config = state.autopilotConfig();
        return { index: config.ModifyIndex, reply: { Config: config } };
      });
    },

    async 'Operator.AutopilotSetConfiguration'(args) {
      const config = completeConfig(args.Config, store.snapshot().autopilotConfig());
      const { index, value } = await propose(consensus, {
        type: 'autopilot-config',
        config,
        ...(args.Cas ? { casModifyIndex: args.ModifyIndex ?? 0 } : {}),
      });
      return { Updated: value.updated, Index: index };
    },

    async 'Operator.RecoveryView'() {
      return recoveryView(context);
    },

    async 'Operator.Recover'() {
      const { epoch } = await requireGroup(context).recover();
      context.log.warn('this server was made the only voter', { epoch });
      return { Epoch: epoch };
    },

    async 'Operator.ServerHealth'() {
      return health(context);
    },

    async 'Operator.ServerWhy'() {
      const { servers, events } = autopilot.report();
      return { Servers: servers, Events: events };
    },
  };
}

function requireGroup({ group }: EndpointContext): NonNullable<EndpointContext['group']> {
  if (group) return group;
  throw new MeshError('E_NOT_SUPPORTED', 'this server is alone: it was started without a mesh');
}

function raftConfiguration(context: EndpointContext, index: number): RaftConfiguration {
  const { group, consensus } = context;
  const { voters, learners } = group?.membership() ?? { voters: [consensus.leader], learners: [] };
  const row = (id: string): RaftConfiguration['Servers'][number] => ({
    ID: id,
    Node: nameOf(context, id),
    Address: addressOf(context, id),
    Leader: id === consensus.leader,
    Voter: voters.includes(id),
    RaftProtocol: '3',
  });
  return { Servers: [...voters, ...learners].map(row), Index: index };
}

function nameOf({ store, peers, group, consensus, config }: EndpointContext, id: string): string {
  const name =
    store.snapshot().meshMember(id)?.Name ??
    (id === (group?.id ?? consensus.leader) ? (peers?.self().Name ?? config.about?.name) : undefined);
  return name || id.slice(0, 8);
}

/** A member of the group by id, name, address or the beginning of its id. */
function findPeer(context: EndpointContext, peer: string): NodeKey {
  const text = requireText(peer, 'server: give its id, its name or its address');
  const { voters, learners } = requireGroup(context).membership();
  const ids = [...voters, ...learners];
  const exact = ids.find((id) => id === text || nameOf(context, id) === text || addressOf(context, id) === text);
  if (exact !== undefined) return exact;
  const [found, ...more] = ids.filter((id) => id.startsWith(text));
  if (found !== undefined && more.length === 0) return found;
  if (found !== undefined)
    throw new MeshError('E_BAD_REQUEST', `several servers begin with ${text}: write more of the id`);
  const known = ids.map((id) => nameOf(context, id)).join(', ');
  throw new MeshError('E_NOT_FOUND', `no server of the group is ${text}; there are ${known}`);
}

function followerOf({ group }: EndpointContext, id: string): Follower | undefined {
  return group?.followers().find((follower) => follower.id === id);
}

function isHeard(context: EndpointContext, id: string): boolean {
  const limitMs = toMillis(context.store.snapshot().autopilotConfig().LastContactThreshold);
  return (followerOf(context, id)?.lastContactMs ?? Number.POSITIVE_INFINITY) <= limitMs;
}

/** The voter that is heard and has most of the log; of equals the nearer. */
function bestHeir(context: EndpointContext): NodeKey {
  const group = requireGroup(context);
  const able = group.followers().filter(({ id, voter }) => voter && isHeard(context, id));
  const [best] = able.toSorted((a, b) => b.matchIndex - a.matchIndex || (a.rttMs ?? 1e9) - (b.rttMs ?? 1e9));
  if (best) return best.id;
  throw new MeshError('E_BAD_REQUEST', 'no other voter could lead now: see "meshnomad server why"');
}

/** This server, and what the others of its group say of themselves. */
async function recoveryView(context: EndpointContext): Promise<RecoveryView> {
  const { consensus, peers } = context;
  const Self = ownStats(context);
  const others = [...Self.Voters, ...Self.Learners].filter((id) => id !== Self.ID);
  const Others = await Promise.all(
    others.map(async (ID) => {
      const Name = nameOf(context, ID);
      if (!peers) return { ID, Name, Stats: null, Why: 'there is no way to it' };
      try {
        const Stats = await peers.serverCaller(ID).call('Status.ServerStats', {}, { timeoutMs: SURVIVOR_MS });
        return { ID, Name, Stats, Why: '' };
      } catch (error) {
        return { ID, Name, Stats: null, Why: (error as Error).message };
      }
    }),
  );
  return { Self, HasLeader: consensus.leader !== '', Others };
}

/** What is not given stays as it is. */
function completeConfig(
  given: Partial<AutopilotConfiguration> | undefined,
  present: AutopilotConfiguration,
): AutopilotConfiguration {
  if (!given) throw new MeshError('E_BAD_REQUEST', 'missing autopilot configuration');
  const config = { ...present, ...given };
  if (config.MaxVoters < 1) throw new MeshError('E_BAD_REQUEST', 'MaxVoters must be at least 1: somebody has to vote');
  for (const key of ['LastContactThreshold', 'MaxTrailingLogs', 'ServerStabilizationTime', 'MinQuorum'] as const) {
    if (config[key] >= 0) continue;
    throw new MeshError('E_BAD_REQUEST', `${key} must not be negative`);
  }
  return config;
}

function health(context: EndpointContext): AutopilotHealth {
  const { servers } = context.autopilot.report();
  const group = servers.filter(({ Standing }) => Standing !== 'plain');
  const voters = group.filter(({ Standing }) => Standing === 'leader' || Standing === 'voter');
  const healthy = voters.filter(({ Healthy }) => Healthy).length;
  return {
    Healthy: group.every(({ Healthy }) => Healthy),
    FailureTolerance: Math.max(0, healthy - quorumOf(voters.length)),
    Servers: group.map((server) => ({
      ID: server.ID,
      Name: server.Name || server.ID.slice(0, 8),
      Address: addressOf(context, server.ID),
      SerfStatus: server.Gossip,
      Version: server.Version,
      Leader: server.Standing === 'leader',
      LastContact: toNanos(Math.round(server.LastContactMs ?? 0)),
      LastTerm: server.LastTerm,
      LastIndex: server.LastIndex,
      Healthy: server.Healthy,
      Voter: server.Standing !== 'standby',
      StableSince: server.StableSince === 0 ? NEVER : rfc3339(server.StableSince),
    })),
  };
}
