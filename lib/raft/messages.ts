import type { Entry, SnapshotMeta } from './ports.js';

interface Envelope {
  readonly from: string;
  readonly to: string;
  /** The sender's term; for a pre-vote the term it would campaign in. */
  readonly term: number;
}

/** Replicates entries after (prevIndex, prevTerm), Raft §5.3; an empty one probes or tells the commit index. */
export interface AppendMessage extends Envelope {
  readonly type: 'append';
  readonly prevIndex: number;
  readonly prevTerm: number;
  readonly entries: readonly Entry[];
  readonly commit: number;
}

/** `match`: durable and agreed up to here. When rejected, `index` is the refused prevIndex and the hint where logs may agree. */
export interface AppendResponseMessage extends Envelope {
  readonly type: 'appendResponse';
  readonly outcome:
    | { readonly ok: true; readonly match: number }
    | { readonly ok: false; readonly index: number; readonly hintIndex: number; readonly hintTerm: number };
}

/** `round` numbers the leader's rounds of confirming that it still leads (ReadIndex, Raft §8). */
export interface HeartbeatMessage extends Envelope {
  readonly type: 'heartbeat';
  readonly commit: number;
  readonly round: number;
}

export interface HeartbeatResponseMessage extends Envelope {
  readonly type: 'heartbeatResponse';
  readonly round: number;
}

/** `pre`: a trial that changes nobody's term (thesis §9.6). `transfer`: the leader itself asked for this election (§3.10). */
export interface VoteMessage extends Envelope {
  readonly type: 'vote';
  readonly pre: boolean;
  readonly transfer: boolean;
  readonly lastIndex: number;
  readonly lastTerm: number;
}

export interface VoteResponseMessage extends Envelope {
  readonly type: 'voteResponse';
  readonly pre: boolean;
  readonly granted: boolean;
}

/** Announces a snapshot. Its bytes travel beside the message: the receiver's host steps this once it holds them. */
export interface SnapshotMessage extends Envelope {
  readonly type: 'snapshot';
  readonly snapshot: SnapshotMeta;
}

/** The leader asks its chosen successor to campaign at once. */
export interface TimeoutNowMessage extends Envelope {
  readonly type: 'timeoutNow';
}

/** A follower asks for an index that makes a read linearizable. `context` is its own number for the question. */
export interface ReadIndexMessage extends Envelope {
  readonly type: 'readIndex';
  readonly context: number;
}

export interface ReadIndexResponseMessage extends Envelope {
  readonly type: 'readIndexResponse';
  readonly context: number;
  readonly index: number;
}

/** All that servers say to each other. */
export type Message =
  | AppendMessage
  | AppendResponseMessage
  | HeartbeatMessage
  | HeartbeatResponseMessage
  | VoteMessage
  | VoteResponseMessage
  | SnapshotMessage
  | TimeoutNowMessage
  | ReadIndexMessage
  | ReadIndexResponseMessage;
