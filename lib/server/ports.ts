import type { Membership, MembershipChange, SnapshotMeta } from '../raft/index.js';
import type { Command } from '../state/commands.js';
import type { LinkReport, NodeKey } from '../structs/mesh.js';
import type { ServerStats } from '../structs/operator.js';
import type { RpcCaller } from '../transport/rpc.js';

/** Agreement on the order of commands. The raft host implements it; endpoints and watchers only know this. */
export interface Consensus {
  /**
   * Commits a command. Resolves once it is on disk at a quorum and applied here, with its index and what applying it
   * returned. Rejects with MeshError: E_NO_LEADER (nothing was done), E_TIMEOUT (leadership was lost on the way: the
   * outcome is unknown) or E_STORAGE.
   */
  propose(command: Command): Promise<{ index: number; result: unknown }>;
  /** Resolves when everything committed before the call is applied here: a linearizable read may follow (Raft §8). */
  readIndex(): Promise<number>;
  readonly isLeader: boolean;
  /** Id of the leader, '' when unknown. */
  readonly leader: string;
  /** Milliseconds since the leader was last heard; 0 on the leader itself. */
  lastContactMs(): number;
  /** Called with true when this server has become leader and applied everything before its term, with false when it steps down. */
  onLeadership(listener: (leads: boolean) => void): void;
}

/** What a leader knows of another member of the group. */
export interface Follower {
  readonly id: string;
  readonly voter: boolean;
  /** Everything up to here is durable there. */
  readonly matchIndex: number;
  /** Milliseconds since it was last heard. */
  readonly lastContactMs: number;
  /** Median of the latest heartbeats; null before the first. */
  readonly rttMs: number | null;
  /** A snapshot is on its way to it. */
  readonly receivingSnapshot: boolean;
}

/** Who agrees: asked and changed by the leader's autopilot and by operators. All reject with E_NO_LEADER elsewhere. */
export interface ConsensusGroup {
  readonly id: string;
  membership(): Membership;
  /** Of the leader only; empty on others. */
  followers(): readonly Follower[];
  /** One at a time; resolves when committed. Rejects with E_CONFLICT (another is under way) or E_BAD_REQUEST (makes no sense). */
  change(change: MembershipChange): Promise<{ index: number }>;
  /** Resolves when the other one leads; rejects with E_TIMEOUT when it does not come to it. */
  transferLeadership(to: string): Promise<void>;
  lastIndex(): number;
  appliedIndex(): number;
  term(): number;
  /** Median time of a write that reaches the disk here; null before the first. */
  syncMs(): number | null;
  /** Counts up with every recovery: whoever is of an earlier one belongs to a group that is no more. */
  epoch(): number;
  /** A person made this server the only voter, no others vote yet, and it was not started again since (once, if it was stopped). */
  isJustRecovered(): boolean;
  /**
   * Makes this server the only voter, of a new epoch, with all that is in its log; a person asked for it. Rejects with
   * E_CONFLICT while somebody leads, E_BAD_REQUEST when there is no log here.
   */
  recover(): Promise<{ epoch: number }>;
}

/**
 * How servers of the group reach each other. What is sent may be lost, doubled, late or out of order; whoever it comes from
 * has been proven by the transport.
 */
export interface RaftTransport {
  /** Best effort; at once, or not at all. */
  send(to: string, message: Uint8Array): void;
  onMessage(listener: (from: string, message: Uint8Array) => void): void;
  /**
   * Streams a snapshot to a member, as fast as it takes it; resolves when the member has stored all of it, and rejects with
   * MeshError when it has not, or `signal` ended it. What arrived by half is forgotten there.
   */
  sendSnapshot(
    to: string,
    snapshot: { head: Uint8Array; chunks: AsyncIterable<Uint8Array> },
    signal: AbortSignal,
  ): Promise<void>;
  /** Takes snapshots. `chunks` throws when the stream breaks or its digest is wrong; resolves when all is stored. */
  onSnapshot(
    receive: (from: string, snapshot: { head: Uint8Array; chunks: AsyncIterable<Uint8Array> }) => Promise<void>,
  ): void;
}

/** The other servers of the mesh, whatever way they are reached; the agent implements it. */
export interface ServerPeers {
  /** Asks another server, by its key. */
  serverCaller(id: string): RpcCaller;
  /** By gossip, as this agent sees it. */
  health(id: string): 'alive' | 'suspect' | 'dead' | 'left' | 'unknown';
  /** Hears of every change of the health of any member, servers and others. */
  onHealth(listener: (key: NodeKey, health: 'alive' | 'suspect' | 'dead' | 'left') => void): void;
  /** Its link to this agent, when there is one. */
  link(id: string): LinkReport | null;
  /** What this agent says of itself. */
  self(): Pick<ServerStats, 'Name' | 'Version' | 'NeverVotes' | 'Wired' | 'Mains' | 'ServerLinks' | 'RelayedLinks'>;
}

/** A state as it was at an index. */
export interface HandedOver {
  readonly meta: SnapshotMeta;
  readonly stream: AsyncIterable<Uint8Array>;
}

/** Whoever keeps the state of a server that is outside of the group: from the feed of one that is in it. */
export interface Replica {
  /**
   * The group takes this server in: the state is left alone from now on, and raft goes on from where it is. Null when there
   * is no state.
   */
  handOver(): Promise<HandedOver | null>;
  /** Whoever leads the group, by what its servers said last; '' when none of them said so. */
  readonly leader: string;
  /** The state here is no older than that: everything that the leader had applied so long ago is in it. */
  lastContactMs(): number;
  /** Resolves when everything committed before the call is in the state here. Rejects with E_NO_LEADER or E_TIMEOUT. */
  readIndex(): Promise<number>;
}

/** What agreement is reached about: the host of raft applies to it. lib/state's store has this shape. */
export interface StateMachine {
  /** Applies a committed command; total and deterministic. What it returns goes to the proposer. */
  apply(index: number, command: Command): unknown;
  /** Captures the state as it is now (copy on write, at once); the returned function streams what was captured, later. */
  snapshot(): () => AsyncIterable<Uint8Array>;
  /** Replaces the whole state by what a snapshot taken at `index` holds. */
  restore(stream: AsyncIterable<Uint8Array>, index: number): Promise<void>;
}
