import type { Millis, Nanos } from '../util/clock.js';
import type { NodeKey } from './mesh.js';

// Words about the servers as a group, in Nomad's shapes where Nomad has them. A server's id is its node key.

/** How autopilot decides; set by the agent's `autopilot { }` block in a new mesh, by an operator later. */
export interface AutopilotConfiguration {
  /** A voter that is dead is replaced, or let go where the others are safer without it. */
  CleanupDeadServers: boolean;
  /** A server that the leader has not heard for longer is unhealthy. */
  LastContactThreshold: Nanos;
  /** A server whose log is further behind the leader's is unhealthy. */
  MaxTrailingLogs: number;
  /** Voters are not reduced below this because of deaths. */
  MinQuorum: number;
  /** How long a server must be healthy before it may vote. */
  ServerStabilizationTime: Nanos;
  /** The most voters there are; an even number counts as the odd one below. An extension of Nomad's. */
  MaxVoters: number;
  CreateIndex: number;
  ModifyIndex: number;
}

/** Nomad asks for 200 ms since the last contact; between homes, where heartbeats pass NATs, that is no sign of illness. */
export const DEFAULT_AUTOPILOT: AutopilotConfiguration = {
  CleanupDeadServers: true,
  LastContactThreshold: 2_000_000_000,
  MaxTrailingLogs: 250,
  MinQuorum: 0,
  ServerStabilizationTime: 10_000_000_000,
  MaxVoters: 5,
  CreateIndex: 0,
  ModifyIndex: 0,
};

/** What a server says of itself when the leader's autopilot, or a person in need, asks. */
export interface ServerStats {
  ID: NodeKey;
  Name: string;
  Version: string;
  /** Absent of an older server. */
  Datacenter?: string;
  /** Whom it believes to lead; '' = nobody. */
  Leader: NodeKey;
  Term: number;
  /** Of the last entry in its log. */
  LastIndex: number;
  AppliedIndex: number;
  /** Votes and standbys as its own log has them. */
  Voters: NodeKey[];
  Learners: NodeKey[];
  /** Counts up with every recovery. */
  Epoch: number;
  /** Median time of a write that reaches its disk; null before the first. */
  SyncMs: Millis | null;
  /** `mesh { voter = "never" }`. */
  NeverVotes: boolean;
  /** It has a wire, it has mains; null = nobody can tell. */
  Wired: boolean | null;
  Mains: boolean | null;
  /** Of its links to other servers, how many there are and how many pass through a relay. */
  ServerLinks: number;
  RelayedLinks: number;
}

/** What a server is to the group. `plain`: a server-role member that holds no state, for there are enough of them. */
export type ServerStanding = 'leader' | 'voter' | 'standby' | 'plain';

/** One server, what it is, what autopilot wants it to be, and why. */
export interface ServerVerdict {
  ID: NodeKey;
  Name: string;
  Standing: ServerStanding;
  Wanted: 'voter' | 'standby' | 'plain' | 'gone';
  Healthy: boolean;
  /** A sentence for a person. */
  Reason: string;
  Version: string;
  LastTerm: number;
  LastIndex: number;
  /** Entries behind the leader. */
  Trailing: number;
  /** Null: never heard. */
  LastContactMs: Millis | null;
  SyncMs: Millis | null;
  RttMs: Millis | null;
  /** Gossip's word: alive, suspect, dead, left, unknown. */
  Gossip: string;
  /** Milliseconds since the epoch; 0 while it is unhealthy. */
  StableSince: Millis;
}

/** What autopilot did lately. */
export interface AutopilotEvent {
  At: Millis;
  Text: string;
}

/** Nomad's `/v1/operator/autopilot/health`. */
export interface AutopilotHealth {
  Healthy: boolean;
  /** How many voters may fail before there is no majority. */
  FailureTolerance: number;
  Servers: {
    ID: NodeKey;
    Name: string;
    Address: string;
    SerfStatus: string;
    Version: string;
    Leader: boolean;
    LastContact: Nanos;
    LastTerm: number;
    LastIndex: number;
    Healthy: boolean;
    Voter: boolean;
    /** RFC 3339; the zero time while it is unhealthy. */
    StableSince: string;
  }[];
}

/** Nomad's `/v1/operator/autopilot/health`, which says durations as text. */
export interface AutopilotHealthReply extends Omit<AutopilotHealth, 'Servers'> {
  Servers: (Omit<AutopilotHealth['Servers'][number], 'LastContact'> & { LastContact: string })[];
  /** By id. */
  Leader: NodeKey;
  Voters: NodeKey[];
}

/** Nomad's `/v1/operator/raft/configuration`. */
export interface RaftConfiguration {
  Servers: {
    ID: NodeKey;
    Node: string;
    Address: string;
    Leader: boolean;
    Voter: boolean;
    RaftProtocol: string;
  }[];
  /** Index of the state the answer was read at. */
  Index: number;
}

/** A server as lists show it. */
export interface ServerMember {
  ID: NodeKey;
  Name: string;
  /** `host:port` where it was seen last; '' when it never was. */
  Address: string;
  Status: 'alive' | 'suspect' | 'dead' | 'left' | 'unknown';
  Standing: ServerStanding;
  Version: string;
  /** '' when it does not tell. */
  Datacenter: string;
  Term: number;
  LastIndex: number;
  /** Entries that it has not applied yet. */
  Lag: number;
}

/** What a snapshot archive says of itself. */
export interface SnapshotMetadata {
  ID: string;
  Index: number;
  Term: number;
  /** Of the archive. */
  Version: number;
  /** The mesh it belongs to: its root key; '' for a server without one. */
  Mesh: NodeKey;
  CreatedAt: Millis;
  /** The program that wrote it. */
  Program: string;
}

/** What a guided recovery shows before it asks. */
export interface RecoveryView {
  Self: ServerStats;
  /** True: a leader is known, and nothing needs to be recovered. */
  HasLeader: boolean;
  /** The other members of the group, reached or not. */
  Others: { ID: NodeKey; Name: string; Stats: ServerStats | null; Why: string }[];
}

/** With fewer nodes than this, and while nobody has set the scheduler configuration, spreading is the default. */
export const SMALL_CLUSTER_NODES = 5;
