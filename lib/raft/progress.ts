import { assert } from '../util/assert.js';

/**
 * What the leader knows of one member's log:
 *
 *     probe ──accepted──▶ replicate ──refused──▶ probe
 *       └── behind the log ──▶ snapshot ──installed or failed──▶ probe
 *
 * probe: one message, then wait. replicate: send ahead without waiting, within the window. snapshot: send nothing.
 */
export type ProgressState = 'probe' | 'replicate' | 'snapshot';

/** Limits of what is under way to one member. */
export interface Window {
  readonly messagesMax: number;
  readonly bytesMax: number;
}

/** Invariant: match < next. */
export class Progress {
  /** Known to be durable there, and the same as here, up to this index. */
  match = 0;
  /** The next entry to send. */
  next: number;
  state: ProgressState = 'probe';
  /** Heard from since the last check of quorum. */
  active = false;
  /** The newest round of confirming leadership that it has answered. */
  ackedRound = 0;
  /** In state snapshot: the index of the one on its way. */
  snapshotIndex = 0;
  /** In state probe: a message is under way. */
  #probing = false;
  readonly #window: Window;
  #inflight: { index: number; bytes: number }[] = [];
  #inflightBytes = 0;

  constructor(next: number, window: Window) {
    this.next = next;
    this.#window = window;
  }

  /** Nothing may be sent until an answer, a heartbeat's answer or a report arrives. */
  get paused(): boolean {
    if (this.state === 'probe') return this.#probing;
    if (this.state === 'snapshot') return true;
    return this.#inflight.length >= this.#window.messagesMax || this.#inflightBytes >= this.#window.bytesMax;
  }

  becomeProbe(): void {
    // After a snapshot was received, what follows it is the best guess.
    this.next = Math.max(this.match, this.state === 'snapshot' ? this.snapshotIndex : 0) + 1;
    this.#enter('probe');
  }

  becomeReplicate(): void {
    this.next = this.match + 1;
    this.#enter('replicate');
  }

  becomeSnapshot(index: number): void {
    this.#enter('snapshot');
    this.snapshotIndex = index;
  }

  #enter(state: ProgressState): void {
    this.state = state;
    this.snapshotIndex = 0;
    this.#probing = false;
    this.#inflight = [];
    this.#inflightBytes = 0;
  }

  /** Entries up to `lastIndex` went out (0: an empty message). */
  sent(lastIndex: number, bytes: number): void {
    if (this.state === 'probe') this.#probing = true;
    if (this.state !== 'replicate' || lastIndex === 0) return;
    assert(lastIndex >= this.next, 'progress: entries are sent in order');
    this.next = lastIndex + 1;
    this.#inflight.push({ index: lastIndex, bytes });
    this.#inflightBytes += bytes;
  }

  /** An acceptance up to `index` came in; returns whether it was news. */
  accepted(index: number): boolean {
    this.#probing = false;
    let done = 0;
    for (const message of this.#inflight) {
      if (message.index > index) break;
      this.#inflightBytes -= message.bytes;
      done++;
    }
    if (done > 0) this.#inflight.splice(0, done);
    this.next = Math.max(this.next, index + 1);
    if (index <= this.match) return false;
    this.match = index;
    return true;
  }

  /** A refusal of `index` came in; returns false when it is stale and must be ignored. */
  refused(index: number, hint: number): boolean {
    if (this.state === 'replicate') {
      if (index <= this.match) return false;
      this.becomeProbe();
      return true;
    }
    if (this.next - 1 !== index) return false;
    this.next = Math.max(Math.min(index, hint + 1), this.match + 1, 1);
    this.#probing = false;
    return true;
  }

  /** The member is there: whatever was lost may be sent again. */
  heard(): void {
    this.active = true;
    this.#probing = false;
  }

  /** A heartbeat was answered though the window is full: the acceptances were lost, make room for one message. */
  freeOne(): void {
    if (this.state !== 'replicate' || !this.paused) return;
    const first = this.#inflight.shift();
    this.#inflightBytes -= first?.bytes ?? 0;
  }
}
