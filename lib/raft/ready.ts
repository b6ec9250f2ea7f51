import type { Message } from './messages.js';
import type { Entry, HardState, SnapshotMeta } from './ports.js';

export type Role = 'follower' | 'preCandidate' | 'candidate' | 'leader';

/** A linearizable read may be answered once everything up to `index` is applied. */
export interface ReadState {
  readonly context: number;
  readonly index: number;
}

/**
 * What the host has to do now. In this order, and then advance():
 * 1. send `messages`; 2. install `snapshot` (restore from it, keep it, begin the log anew after it);
 * 3. write `hardState`, then `entries`, durably if `mustSync`; 4. send `messagesAfterPersist`.
 * `committed` are durable already: apply them at any time before advance(), best while the disk works on step 3.
 */
export interface Ready {
  readonly role: Role;
  readonly term: number;
  /** '' when unknown. */
  readonly leader: string;
  /** Set when term, vote or commit differ from what was last handed out. */
  readonly hardState: HardState | null;
  readonly snapshot: SnapshotMeta | null;
  readonly entries: readonly Entry[];
  /** A leader may send these before its own write is done: it does not count itself until then (thesis §10.2.1). */
  readonly messages: readonly Message[];
  /** Promises to others: votes, acceptances. A crash after sending and before writing would break them. */
  readonly messagesAfterPersist: readonly Message[];
  readonly committed: readonly Entry[];
  readonly reads: readonly ReadState[];
  /** Term, vote or entries change: without a sync nothing of this may be acknowledged. A changed commit hint alone may wait. */
  readonly mustSync: boolean;
}
