import type { NodeKey } from '../structs/mesh.js';
import type { Millis } from '../util/clock.js';
import type { MemberInfo, MemberState } from './member.js';

/** Asks for an ack. A suspect is told of the suspicion in the same packet, so that it can refute at once. */
export interface PingMessage {
  readonly type: 'ping';
  readonly seq: number;
}

/** Asks another to ping `target`, and to say after `waitMs` that it heard nothing either. */
export interface PingRequestMessage {
  readonly type: 'pingRequest';
  readonly seq: number;
  readonly target: NodeKey;
  readonly waitMs: Millis;
}

/** `seq` is the one of the ping, or of the request for one. */
export interface AckMessage {
  readonly type: 'ack';
  readonly seq: number;
}

/** The one asked could not reach the target either: so it is not the asker that is sick (Lifeguard). */
export interface NackMessage {
  readonly type: 'nack';
  readonly seq: number;
}

export interface AliveMessage {
  readonly type: 'alive';
  readonly key: NodeKey;
  readonly incarnation: number;
  readonly info: MemberInfo;
}

export interface SuspectMessage {
  readonly type: 'suspect';
  readonly key: NodeKey;
  readonly incarnation: number;
  /** The accuser: independent ones make the time of the suspicion shorter. */
  readonly by: NodeKey;
}

export interface DeadMessage {
  readonly type: 'dead';
  readonly key: NodeKey;
  readonly incarnation: number;
}

export interface LeftMessage {
  readonly type: 'left';
  readonly key: NodeKey;
  readonly incarnation: number;
}

/** A revocation: signed bytes that mean nothing here. Checked by the shell before it is kept or passed on. */
export interface TombstoneMessage {
  readonly type: 'tombstone';
  readonly key: NodeKey;
  readonly bytes: Uint8Array;
}

/** One hash for each bucket of keys: who gets it answers with what it has in the buckets that differ. */
export interface DigestMessage {
  readonly type: 'digest';
  /** A power of two of them. */
  readonly hashes: readonly number[];
}

export interface StateEntry {
  readonly key: NodeKey;
  readonly state: MemberState;
  readonly incarnation: number;
  /** For how long it has been so. */
  readonly ageMs: Millis;
  readonly info: MemberInfo;
}

/** All that the sender knows of some buckets, in parts that each stand alone. */
export interface StateMessage {
  readonly type: 'state';
  readonly entries: readonly StateEntry[];
  /** The answer to a digest asks for the other side's view of these buckets; null = nothing is asked. */
  readonly ask: { readonly buckets: number; readonly wanted: readonly number[] } | null;
}

export type GossipMessage =
  | PingMessage
  | PingRequestMessage
  | AckMessage
  | NackMessage
  | AliveMessage
  | SuspectMessage
  | DeadMessage
  | LeftMessage
  | TombstoneMessage
  | DigestMessage
  | StateMessage;
