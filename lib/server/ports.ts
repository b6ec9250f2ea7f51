import type { Command } from '../state/commands.js';

/** Agreement on the order of commands. The raft host implements it; endpoints and watchers only know this. */
export interface Consensus {
  /**
   * Commits a command. Resolves once it is on disk at a quorum and applied here, with its index and what applying it
   * returned. Rejects with MeshError E_NO_LEADER (not leader, or lost it: the outcome is unknown) or E_STORAGE.
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

/** What agreement is reached about: the host of raft applies to it. lib/state's store has this shape. */
export interface StateMachine {
  /** Applies a committed command; total and deterministic. What it returns goes to the proposer. */
  apply(index: number, command: Command): unknown;
  /** Captures the state as it is now (copy on write, at once); the returned function streams what was captured, later. */
  snapshot(): () => AsyncIterable<Uint8Array>;
  /** Replaces the whole state by what a snapshot taken at `index` holds. */
  restore(stream: AsyncIterable<Uint8Array>, index: number): Promise<void>;
}
