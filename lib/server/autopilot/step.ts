import { isAlive, isHealthy } from './memory.js';
import { CHANGE_WORTH, faultsText, penaltyOf } from './quality.js';
import { isEligible, type Scene, type Target } from './target.js';
import { quorumOf, type ServerView } from './view.js';

/** One change, which must be done before the next is thought of. */
export type Action =
  /** Takes a server into the group as one that receives the log and does not vote. */
  | { readonly type: 'standby'; readonly id: string; readonly reason: string }
  | { readonly type: 'promote'; readonly id: string; readonly reason: string }
  | { readonly type: 'demote'; readonly id: string; readonly reason: string }
  /** Out of the group. */
  | { readonly type: 'release'; readonly id: string; readonly reason: string }
  /** The leader lets another voter lead. */
  | { readonly type: 'handOver'; readonly id: string; readonly reason: string };

/** More standbys than this cost the leader more than they are worth: the log goes to each of them. */
const STANDBYS_MAX = 4;
/** A better leader must have been better for so long before it is asked to lead. */
const HAND_OVER_AFTER_MS = 30_000;
/** So many servers have the log, if there are so many. */
const COPIES_MIN = 2;
/** A standby that is dead for so long makes room for another server. */
const STANDBY_DEAD_MS = 600_000;

/** The next change towards the target, or null when there is none to make, or none that is safe. */
export function nextAction(scene: Scene, target: Target): Action | null {
  const { view } = scene;
  const present = view.servers.filter(({ group }) => group === 'voter');
  const leaving = present.filter((server) => !target.voters.includes(server));
  const coming = target.voters.filter(({ group }) => group !== 'voter');
  if (leaving.length + coming.length > 0) {
    const move = { present, leaving: inOrderOfLeaving(scene, leaving), coming, target };
    return changeOfVoters(scene, move) ?? changeOfStandbys(scene);
  }
  return handOver(scene, target) ?? changeOfStandbys(scene);
}

interface Move {
  readonly present: readonly ServerView[];
  readonly leaving: readonly ServerView[];
  readonly coming: readonly ServerView[];
  readonly target: Target;
}

/** Of several changes that lead to the target, the first that leaves a majority alive. */
function changeOfVoters(scene: Scene, move: Move): Action | null {
  for (const action of voterChanges(scene, move)) {
    if (action.type === 'handOver' || isSafe(scene, move.present, action)) return action;
  }
  return null;
}

/**
 * A dead voter leaves before its replacement comes: with both in the group the majority would hang on the newcomer. A living
 * one leaves after its replacement has come.
 */
function* voterChanges(scene: Scene, move: Move): Generator<Action> {
  const { view, limits } = scene;
  const { leaving, coming, target } = move;
  const [comes] = coming;
  for (const server of leaving.filter((server) => !isAlive(server, view, limits))) yield leave(server, comes, target);
  if (comes !== undefined) {
    const count = target.voters.length;
    const reason = `${named(comes)} votes: ${target.able} servers can, which makes ${count} ${count === 1 ? 'voter' : 'voters'}`;
    yield { type: 'promote', id: comes.id, reason };
  }
  for (const server of leaving) {
    if (server.id !== view.leader) yield leave(server, comes, target);
  }
  const leader = leaving.find(({ id }) => id === view.leader);
  const heir = leader && bestHeir(scene, target);
  if (leader && heir) {
    const reason = `${named(heir)} leads: ${named(leader)} ${whyLeaves(leader, undefined, target)}`;
    yield { type: 'handOver', id: heir.id, reason };
  }
}

function leave(server: ServerView, replacement: ServerView | undefined, target: Target): Action {
  const reason = `${named(server)} ${whyLeaves(server, replacement, target)}`;
  return { type: server.belongs ? 'demote' : 'release', id: server.id, reason };
}

function whyLeaves(server: ServerView, replacement: ServerView | undefined, target: Target): string {
  if (!server.belongs) return 'votes no more: it is no member of the mesh any more';
  if (server.neverVotes) return 'votes no more: its configuration says mesh { voter = "never" }';
  const place = replacement ? `, and ${named(replacement)} takes its place` : ', and the others are safer without it';
  if (target.dead.includes(server)) return `votes no more: it is dead${place}`;
  const count = target.voters.length;
  if (replacement) return `votes no more: ${faultsText(server)}, and ${named(replacement)} does better`;
  return `votes no more: ${target.able} servers can, which makes ${count} ${count === 1 ? 'voter' : 'voters'}`;
}

/** The dead first, then those who do not belong, the worst before the better. */
function inOrderOfLeaving({ view, limits }: Scene, leaving: readonly ServerView[]): ServerView[] {
  const rank = (server: ServerView): number => (isAlive(server, view, limits) ? 1 : 0) + (isEligible(server) ? 1 : 0);
  return leaving.toSorted((a, b) => rank(a) - rank(b) || penaltyOf(b) - penaltyOf(a));
}

/** Whether the voters after a change have a majority that answers, which the change itself needs to be committed. */
function isSafe(scene: Scene, present: readonly ServerView[], action: Action): boolean {
  const { view, limits } = scene;
  const after =
    action.type === 'promote'
      ? [...present, ...view.servers.filter(({ id }) => id === action.id)]
      : present.filter(({ id }) => id !== action.id);
  const alive = after.filter((server) => isAlive(server, view, limits)).length;
  return after.length > 0 && alive >= quorumOf(after.length);
}

/** The best of the other voters that could lead at once. */
function bestHeir({ view, limits }: Scene, target: Target): ServerView | undefined {
  return target.voters
    .filter((server) => server.group === 'voter' && server.id !== view.leader && isHealthy(server, view, limits))
    .toSorted((a, b) => penaltyOf(a) - penaltyOf(b) || (a.id < b.id ? -1 : 1))[0];
}

/** Leadership away from a server that others reach only through a relay, or whose disk is slow. */
function handOver(scene: Scene, target: Target): Action | null {
  const { view, memory } = scene;
  const leader = view.servers.find(({ id }) => id === view.leader);
  const heir = bestHeir(scene, target);
  if (!leader || !heir || penaltyOf(leader) - penaltyOf(heir) < CHANGE_WORTH) return null;
  if (memory.betterMs(leader.id, heir.id) < HAND_OVER_AFTER_MS) return null;
  return { type: 'handOver', id: heir.id, reason: `${named(heir)} leads: of ${named(leader)}, ${faultsText(leader)}` };
}

/** Who receives the log without a vote. */
function changeOfStandbys(scene: Scene): Action | null {
  const { view, memory } = scene;
  const standbys = view.servers.filter(({ group }) => group === 'learner');
  const stranger = standbys.find(({ belongs }) => !belongs);
  if (stranger) {
    const reason = `${named(stranger)} receives the log no more: it is no member of the mesh any more`;
    return { type: 'release', id: stranger.id, reason };
  }
  const replica = standbys.find((server) => server.neverVotes && hasCopiesBut(server, scene));
  if (replica) {
    const reason = `${named(replica)} receives the log no more: it never votes, and reads what the others decide from their feed`;
    return { type: 'release', id: replica.id, reason };
  }
  const waiting = view.servers
    .filter(({ group, belongs, gossip }) => group === 'none' && belongs && gossip === 'alive')
    .filter((server) => !server.neverVotes || !hasCopiesBut(server, scene))
    .toSorted((a, b) => Number(a.neverVotes) - Number(b.neverVotes) || (a.id < b.id ? -1 : 1))[0];
  if (!waiting) return null;
  if (standbys.length < STANDBYS_MAX) {
    const why = waiting.neverVotes ? 'for nobody else has it but the one that leads' : 'to be ready to vote';
    return { type: 'standby', id: waiting.id, reason: `${named(waiting)} receives the log, ${why}` };
  }
  const dead = standbys.find(({ id }) => memory.deadMs(id) >= STANDBY_DEAD_MS);
  if (!dead) return null;
  const reason = `${named(dead)} receives the log no more: it is dead, and ${named(waiting)} takes its place`;
  return { type: 'release', id: dead.id, reason };
}

/**
 * Whether the log is in two places at least without this server. A read replica follows the state feed, which costs the leader
 * next to nothing; but the log of a group is not to be in one place alone while there is another.
 */
function hasCopiesBut({ id }: ServerView, { view, limits }: Scene): boolean {
  const holds = (server: ServerView): boolean =>
    server.id !== id && server.group !== 'none' && server.belongs && isAlive(server, view, limits);
  return view.servers.filter(holds).length >= COPIES_MIN;
}

/** A name for people; the beginning of the key where there is none. */
export function named({ name, id }: { name: string; id: string }): string {
  return name === '' ? id.slice(0, 8) : name;
}
