import type { ServerStats } from '../../structs/operator.js';
import type { ConsensusGroup, Follower, ServerPeers } from '../ports.js';
import type { ServerWorld } from '../world.js';
import type { ServerView, View } from './view.js';

interface Sources {
  readonly world: ServerWorld;
  readonly group: ConsensusGroup;
  readonly peers: ServerPeers;
}

/** How the leader sees the servers now: the mesh's members with the role server, and whoever else is in the group. */
export function observe(sources: Sources, stats: ReadonlyMap<string, ServerStats>): View {
  const { world, group } = sources;
  const { voters, learners } = group.membership();
  const followers = new Map(group.followers().map((follower) => [follower.id, follower]));
  const ids = new Set([...voters, ...learners, ...serversOf(world)]);
  const servers = [...ids].sort().map((id) => {
    const standing = voters.includes(id) ? 'voter' : learners.includes(id) ? 'learner' : 'none';
    return viewOf(id, { sources, standing, follower: followers.get(id), told: stats.get(id) });
  });
  return { leader: group.id, servers };
}

/** The members that may serve. */
export function serversOf({ store }: ServerWorld): string[] {
  const keys: string[] = [];
  for (const { Key, Role, Status } of store.snapshot().meshMembers()) {
    if (Role === 'server' && Status === 'admitted') keys.push(Key);
  }
  return keys;
}

function viewOf(
  id: string,
  about: {
    sources: Sources;
    standing: ServerView['group'];
    follower: Follower | undefined;
    told: ServerStats | undefined;
  },
): ServerView {
  const { sources, standing, follower } = about;
  const { world, group, peers } = sources;
  const isSelf = id === group.id;
  const told = isSelf ? { ...peers.self(), SyncMs: group.syncMs() } : about.told;
  const state = world.store.snapshot();
  const member = state.meshMember(id);
  // Without a mesh the group itself says who belongs to it.
  const belongs = state.mesh() === undefined || (member?.Role === 'server' && member.Status === 'admitted');
  return {
    id,
    name: member?.Name ?? told?.Name ?? '',
    version: told?.Version ?? '',
    group: standing,
    belongs,
    told: told !== undefined,
    neverVotes: told?.NeverVotes ?? false,
    gossip: isSelf ? 'alive' : peers.health(id),
    lastContactMs: isSelf ? 0 : (follower?.lastContactMs ?? null),
    trailing: isSelf ? 0 : Math.max(0, group.lastIndex() - (follower?.matchIndex ?? 0)),
    syncMs: told?.SyncMs ?? null,
    rttMs: isSelf ? 0 : (follower?.rttMs ?? null),
    relayed: told !== undefined && told.RelayedLinks * 2 > told.ServerLinks,
    wired: told?.Wired ?? null,
    mains: told?.Mains ?? null,
  };
}
