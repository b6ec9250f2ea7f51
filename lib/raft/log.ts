import { assert } from '../util/assert.js';
import type { Entry, LogReader, SnapshotMeta } from './ports.js';

/**
 * The log as the machine sees it:
 *
 *     first … applied … committed … stable │ unstable … last
 *     └────────── in the store ───────────┘ └─ in memory ─┘
 *
 * The store may hold stale entries at or above the first unstable index: the next write replaces them.
 */
export class RaftLog {
  readonly #store: LogReader;
  #unstable: Entry[] = [];
  /** Index of the first unstable entry. */
  #offset: number;
  /** A snapshot from the leader that the host is still installing: until then the store is void. */
  #installing: SnapshotMeta | null = null;
  #committed: number;
  #applied: number;

  constructor(store: LogReader, position: { committed: number; applied: number }) {
    this.#store = store;
    this.#offset = store.lastIndex() + 1;
    const boundary = store.firstIndex() - 1;
    this.#applied = Math.max(position.applied, boundary);
    this.#committed = Math.max(position.committed, this.#applied);
    assert(this.#committed <= this.lastIndex, `log: committed ${this.#committed} lies beyond the last entry`);
  }

  get firstIndex(): number {
    return this.#installing === null ? this.#store.firstIndex() : this.#installing.index + 1;
  }

  get lastIndex(): number {
    return this.#offset + this.#unstable.length - 1;
  }

  get lastTerm(): number {
    return this.term(this.lastIndex) ?? 0;
  }

  /** Everything up to here is durable. */
  get stableIndex(): number {
    return this.#offset - 1;
  }

  get committed(): number {
    return this.#committed;
  }

  get applied(): number {
    return this.#applied;
  }

  get installing(): SnapshotMeta | null {
    return this.#installing;
  }

  /** Term of an entry; undefined when compacted away or not yet there. */
  term(index: number): number | undefined {
    if (index >= this.#offset) return this.#unstable[index - this.#offset]?.term;
    if (this.#installing !== null) return index === this.#installing.index ? this.#installing.term : undefined;
    return this.#store.term(index);
  }

  matches(index: number, term: number): boolean {
    return this.term(index) === term;
  }

  /** Whether a candidate with this last entry has all that is committed here (Raft §5.4.1). */
  isUpToDate(lastIndex: number, lastTerm: number): boolean {
    return lastTerm > this.lastTerm || (lastTerm === this.lastTerm && lastIndex >= this.lastIndex);
  }

  /** Entries from `from` to the end, at least one, then as many as fit in `bytesMax`. `from` must not be compacted away. */
  entries(from: number, bytesMax: number): readonly Entry[] {
    return this.#slice(from, this.lastIndex, bytesMax);
  }

  #slice(from: number, to: number, bytesMax: number): readonly Entry[] {
    if (from > to) return [];
    assert(from >= this.firstIndex, `log: entry ${from} is compacted away`);
    const found: Entry[] = [];
    let bytes = 0;
    if (from < this.#offset) {
      for (const entry of this.#store.entries(from, Math.min(to, this.#offset - 1), bytesMax)) {
        found.push(entry);
        bytes += entry.data.length;
      }
      if (found.length < Math.min(to, this.#offset - 1) - from + 1) return found;
    }
    for (let index = Math.max(from, this.#offset); index <= to; index++) {
      const entry = this.#unstable[index - this.#offset] as Entry;
      bytes += entry.data.length;
      if (bytes > bytesMax && found.length > 0) break;
      found.push(entry);
    }
    return found;
  }

  /** Adds entries behind or over the present ones; nothing committed may be replaced. */
  append(entries: readonly Entry[]): void {
    const first = entries[0];
    if (first === undefined) return;
    assert(first.index > this.#committed, `log: entry ${first.index} is committed and cannot be replaced`);
    assert(first.index <= this.lastIndex + 1, 'log: entries leave no gap');
    if (first.index <= this.#offset) {
      this.#offset = first.index;
      this.#unstable = [...entries];
    } else {
      this.#unstable.length = first.index - this.#offset;
      for (const entry of entries) this.#unstable.push(entry);
    }
  }

  /** The first of the entries that this log lacks or holds differently; undefined when it holds them all. */
  firstNew(entries: readonly Entry[]): Entry | undefined {
    return entries.find((entry) => !this.matches(entry.index, entry.term));
  }

  /** The largest index ≤ `index` whose term is ≤ `term`: where two logs may agree (thesis §5.3, faster back-off). */
  lastIndexWithTerm(index: number, term: number): { index: number; term: number } {
    let at = Math.min(index, this.lastIndex);
    for (; at > 0; at--) {
      const here = this.term(at);
      if (here === undefined) break;
      if (here <= term) return { index: at, term: here };
    }
    return { index: at, term: 0 };
  }

  /** Returns whether the commit index moved. */
  commitTo(index: number): boolean {
    if (index <= this.#committed) return false;
    assert(index <= this.lastIndex, `log: cannot commit ${index}, the last entry is ${this.lastIndex}`);
    this.#committed = index;
    return true;
  }

  unstable(): readonly Entry[] {
    return this.#unstable;
  }

  /** The write up to this entry is durable. An entry that was replaced meanwhile stays unstable. */
  stableTo(index: number, term: number): void {
    if (index < this.#offset || this.#unstable[index - this.#offset]?.term !== term) return;
    this.#unstable = this.#unstable.slice(index - this.#offset + 1);
    this.#offset = index + 1;
  }

  /** Committed and durable entries that have not been handed out yet: they may be applied while later ones are written. */
  nextCommitted(bytesMax: number): readonly Entry[] {
    if (this.#installing !== null) return [];
    return this.#slice(this.#applied + 1, Math.min(this.#committed, this.stableIndex), bytesMax);
  }

  hasNextCommitted(): boolean {
    return this.#installing === null && Math.min(this.#committed, this.stableIndex) > this.#applied;
  }

  appliedTo(index: number): void {
    assert(index <= this.#committed, 'log: only what is committed is applied');
    this.#applied = Math.max(this.#applied, index);
  }

  /** A snapshot takes the place of the whole log. */
  install(snapshot: SnapshotMeta): void {
    this.#installing = snapshot;
    this.#unstable = [];
    this.#offset = snapshot.index + 1;
    this.#committed = snapshot.index;
  }

  /** The host holds the snapshot durably, has restored from it and begun a new log after it. */
  installed(snapshot: SnapshotMeta): void {
    this.#applied = Math.max(this.#applied, snapshot.index);
    if (this.#installing?.index === snapshot.index) this.#installing = null;
  }
}
