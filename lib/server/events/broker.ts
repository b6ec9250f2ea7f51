import type { Commit } from '../../state/store.js';
import { MeshError } from '../../structs/errors.js';
import { tellsEvents } from './events.js';

/** Changes that are kept at the most, however few commits brought them: a plan has thousands. */
const CHANGES_MAX = 20_000;

/** How many commits a reader may fall behind. What it has not read is kept for it alone. */
const LAG_MAX = 4096;

interface Item {
  readonly seq: number;
  readonly commit: Commit;
  next: Item | null;
}

/**
 * The latest commits, for those who read the event stream: a list that every reader goes along at its own pace, so that
 * publishing costs the same with none and with a hundred.
 */
export class EventBroker {
  /** The item before the oldest one kept. */
  #before: Item = { seq: 0, commit: { index: 0, changes: [], causes: [] }, next: null };
  #newest = this.#before;
  #changes = 0;
  readonly #readers = new Set<EventReader>();

  readonly #size: number;

  /** Keeps the last `size` commits. */
  constructor(size: number) {
    this.#size = size;
  }

  publish(commit: Commit): void {
    if (!tellsEvents(commit)) return;
    const item: Item = { seq: this.#newest.seq + 1, commit, next: null };
    this.#newest.next = item;
    this.#newest = item;
    this.#changes += commit.changes.length;
    while (this.#newest.seq - this.#before.seq > this.#size || this.#changes > CHANGES_MAX) {
      const oldest = this.#before.next;
      if (!oldest || oldest === item) break;
      this.#changes -= oldest.commit.changes.length;
      this.#before = oldest;
    }
    for (const reader of this.#readers) {
      if (item.seq - reader.seq > LAG_MAX) reader.close(tooSlow());
      else reader.wake();
    }
  }

  /** Reads from the oldest commit that is kept on, or from the first one at or after `index`. */
  read(index = 0): EventReader {
    let at = this.#before;
    while (at.next && at.next.commit.index < index) at = at.next;
    const reader = new EventReader(at, () => this.#readers.delete(reader));
    this.#readers.add(reader);
    return reader;
  }

  /** Another state is there, which no change of the one before leads to: readers begin anew. */
  replaced(): void {
    this.#before = { ...this.#newest, next: null };
    this.#newest = this.#before;
    this.#changes = 0;
    for (const reader of this.#readers) reader.close(replaced());
  }
}

/** One who reads the stream. */
export class EventReader {
  #at: Item;
  readonly #forget: () => void;
  #wake: (() => void) | null = null;
  #closed: MeshError | null = null;

  constructor(at: Item, forget: () => void) {
    this.#at = at;
    this.#forget = forget;
  }

  /** How far it is. */
  get seq(): number {
    return this.#at.seq;
  }

  /** The next commit, once there is one. Rejects with the reason when the reader was closed. */
  async next(): Promise<Commit> {
    while (!this.#closed && !this.#at.next) {
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
    if (this.#closed || !this.#at.next) throw this.#closed ?? replaced();
    this.#at = this.#at.next;
    return this.#at.commit;
  }

  wake(): void {
    this.#wake?.();
    this.#wake = null;
  }

  close(reason: MeshError): void {
    this.#closed ??= reason;
    this.#forget();
    this.wake();
  }
}

function tooSlow(): MeshError {
  return new MeshError('E_TOO_MANY', `subscription closed: the reader is more than ${LAG_MAX} commits behind`);
}

function replaced(): MeshError {
  return new MeshError('E_CONFLICT', 'subscription closed: a snapshot was restored; subscribe again');
}
