import type { AutopilotConfiguration } from '../../structs/operator.js';
import type { Millis } from '../../util/clock.js';
import { toMillis } from '../../util/clock.js';

/** How the leader sees one server at the moment. */
export interface ServerView {
  readonly id: string;
  readonly name: string;
  /** Of its program; '' = not told yet. */
  readonly version: string;
  /** What it is in the group that agrees. */
  readonly group: 'voter' | 'learner' | 'none';
  /** Admitted to the mesh with the role server; false: left, revoked, or never heard of. */
  readonly belongs: boolean;
  /** It has said what it is: what follows, down to mains, is known. */
  readonly told: boolean;
  /** `mesh { voter = "never" }`. */
  readonly neverVotes: boolean;
  readonly gossip: 'alive' | 'suspect' | 'dead' | 'left' | 'unknown';
  /** Since it last answered the leader; null = never since this one leads, or not in the group. */
  readonly lastContactMs: Millis | null;
  /** Entries that its log lacks. */
  readonly trailing: number;
  /** Median time of a write that reaches its disk; null = not told yet. */
  readonly syncMs: Millis | null;
  readonly rttMs: Millis | null;
  /** More of its links to other servers pass through a relay than not. */
  readonly relayed: boolean;
  /** It has a wire, it has mains; null = nobody can tell. */
  readonly wired: boolean | null;
  readonly mains: boolean | null;
}

/** All servers there are: those in the group, and the mesh's members with the role server. */
export interface View {
  readonly leader: string;
  readonly servers: readonly ServerView[];
}

/** The limits of a decision, in milliseconds. */
export interface Limits {
  readonly contactMs: Millis;
  readonly trailingMax: number;
  readonly stableMs: Millis;
  /** Odd. */
  readonly votersMax: number;
  readonly votersMin: number;
  readonly replacesDead: boolean;
}

export function limitsOf(config: AutopilotConfiguration): Limits {
  return {
    contactMs: toMillis(config.LastContactThreshold),
    trailingMax: config.MaxTrailingLogs,
    stableMs: toMillis(config.ServerStabilizationTime),
    votersMax: oddFloor(Math.max(1, config.MaxVoters)),
    votersMin: config.MinQuorum,
    replacesDead: config.CleanupDeadServers,
  };
}

/** The greatest odd number that is not above `count`; 1 for none: an even number of voters survives no more losses than one less. */
export function oddFloor(count: number): number {
  return Math.max(1, count - (count % 2 === 0 ? 1 : 0));
}

/** How many of so many voters are a majority. */
export function quorumOf(voters: number): number {
  return Math.floor(voters / 2) + 1;
}
