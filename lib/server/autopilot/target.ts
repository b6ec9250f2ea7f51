import type { Millis } from '../../util/clock.js';
import { isAlive, isHealthy, type Memory } from './memory.js';
import { hardFault, penaltyOf } from './quality.js';
import { type Limits, oddFloor, quorumOf, type ServerView, type View } from './view.js';

/** A better server must have been better for so long before it takes a voter's place. */
const SWAP_AFTER_MS = 60_000;

/** Whom the group should consist of, and what that rests on. */
export interface Target {
  /** An odd number of them. */
  readonly voters: readonly ServerView[];
  /** Servers that could vote: present voters and standbys that are fit. */
  readonly able: number;
  /** Standbys that could vote at once. */
  readonly fit: readonly ServerView[];
  /** Voters that are dead for longer than a while. */
  readonly dead: readonly ServerView[];
}

/** Everything a decision rests on. */
export interface Scene {
  readonly view: View;
  readonly limits: Limits;
  readonly memory: Memory;
}

/** May be chosen at all. */
export function isEligible(server: ServerView): boolean {
  return server.belongs && !server.neverVotes;
}

/** Why a server that is no voter cannot become one now; null when it can. */
export function unfitness(server: ServerView, { view, limits, memory }: Scene): string | null {
  if (!server.belongs) return 'it is no member of the mesh any more';
  if (server.neverVotes) return 'its configuration says mesh { voter = "never" }';
  if (server.group === 'none') return 'it is not a standby yet';
  if (!isAlive(server, view, limits)) return `it has not been heard for ${seconds(server.lastContactMs)}`;
  if (!server.told) return 'it has not said yet what it is';
  if (!isHealthy(server, view, limits)) return `its log is ${server.trailing} entries behind`;
  const fault = hardFault(server);
  if (fault !== null) return fault;
  const stableMs = memory.healthyMs(server.id);
  if (stableMs < limits.stableMs) {
    return `it has been healthy for ${seconds(stableMs)}; ${seconds(limits.stableMs)} are asked for`;
  }
  return null;
}

/**
 * Whom the group should consist of. Present voters stay unless they are gone, dead with someone to replace them, or much
 * worse than a standby. The number grows with what is able, and shrinks because of deaths only where that makes the rest
 * survive more.
 */
export function chooseTarget(scene: Scene): Target {
  const { view, limits, memory } = scene;
  const voters = view.servers.filter(({ group }) => group === 'voter').filter(isEligible);
  const isDead = (server: ServerView): boolean =>
    limits.replacesDead && !isAlive(server, view, limits) && memory.deadMs(server.id) >= limits.stableMs;
  const dead = voters.filter(isDead);
  const kept = voters.filter((server) => !isDead(server)).toSorted(byWorth(scene));
  const fit = view.servers
    .filter((server) => server.group === 'learner' && unfitness(server, scene) === null)
    .toSorted(byWorth(scene));
  const able = kept.length + fit.length;
  const size = sizeOf({ able, dead: dead.length, present: voters.length, limits });
  const chosen = [...kept, ...fit, ...dead].slice(0, size);
  // Nobody may vote, but somebody must: the leader alone, until there is another.
  if (chosen.length === 0) chosen.push(...view.servers.filter(({ id }) => id === view.leader));
  return { voters: swapped(chosen, fit, scene), able, fit, dead };
}

function sizeOf(counts: { able: number; dead: number; present: number; limits: Limits }): number {
  const { able, dead, present, limits } = counts;
  const grown = oddFloor(Math.min(able, limits.votersMax));
  const held = oddFloor(Math.min(present, limits.votersMax));
  if (grown >= held || dead === 0) return Math.max(grown, held);
  // How many more losses a group of this size would survive.
  const tolerance = (size: number): number => Math.min(able, size) - quorumOf(size);
  return tolerance(grown) > tolerance(held) && grown >= limits.votersMin ? grown : held;
}

/** Who is healthy first, then the better one; the leader a little before its equals, to be spared a hand-over. */
function byWorth({ view, limits }: Scene): (a: ServerView, b: ServerView) => number {
  const worth = (server: ServerView): number => penaltyOf(server) - (server.id === view.leader ? 0.5 : 0);
  const sickness = (server: ServerView): number => (isHealthy(server, view, limits) ? 0 : 1);
  return (a, b) => sickness(a) - sickness(b) || worth(a) - worth(b) || (a.id < b.id ? -1 : 1);
}

/** The worst voter's place for the best standby, when that has been much better for long. One at a time. */
function swapped(chosen: readonly ServerView[], fit: readonly ServerView[], scene: Scene): readonly ServerView[] {
  const { view, memory } = scene;
  const present = view.servers.filter(({ group }) => group === 'voter');
  const isSettled = present.length === chosen.length && chosen.every(({ group }) => group === 'voter');
  const [best] = fit;
  if (!isSettled || best === undefined) return chosen;
  const worst = chosen.toSorted((a, b) => penaltyOf(b) - penaltyOf(a))[0];
  if (worst === undefined || memory.betterMs(worst.id, best.id) < SWAP_AFTER_MS) return chosen;
  return chosen.map((server) => (server === worst ? best : server));
}

/** For people. */
export function seconds(ms: Millis | null): string {
  return ms === null ? 'a while' : `${Math.round(ms / 1000)} s`;
}
