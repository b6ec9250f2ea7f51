import type { Entry, LogStore } from '../raft/index.js';
import { assert } from '../util/assert.js';

/** The log of an agent that keeps no state (-dev): same rules, no disk. */
export function memoryRaftLog(): LogStore {
  return new MemoryLog();
}

class MemoryLog implements LogStore {
  #boundary = { index: 0, term: 0 };
  #entries: Entry[] = [];

  firstIndex(): number {
    return this.#boundary.index + 1;
  }
  lastIndex(): number {
    return this.#boundary.index + this.#entries.length;
  }
  term(index: number): number | undefined {
    return index === this.#boundary.index ? this.#boundary.term : this.#entries[index - this.firstIndex()]?.term;
  }
  configIndexes(): readonly number[] {
    return this.#entries.filter(({ type }) => type === 'config').map(({ index }) => index);
  }

  entries(from: number, to: number, bytesMax: number): readonly Entry[] {
    assert(from >= this.firstIndex() && to <= this.lastIndex(), `raft log: entries ${from} to ${to} are not there`);
    const found: Entry[] = [];
    let bytes = 0;
    for (let index = from; index <= to; index++) {
      const entry = this.#entries[index - this.firstIndex()] as Entry;
      bytes += entry.data.length;
      if (bytes > bytesMax && found.length > 0) break;
      found.push(entry);
    }
    return found;
  }

  async append(entries: readonly Entry[]): Promise<void> {
    const first = entries[0];
    if (first === undefined) return;
    assert(first.index <= this.lastIndex() + 1 && first.index >= this.firstIndex(), 'raft log: entries leave no gap');
    this.#entries.length = first.index - this.firstIndex();
    for (const entry of entries) this.#entries.push(entry);
  }

  async compact(index: number): Promise<void> {
    const term = this.term(index);
    if (term === undefined || index <= this.#boundary.index) return;
    this.#entries = this.#entries.slice(index - this.#boundary.index);
    this.#boundary = { index, term };
  }

  async reset(boundary: { index: number; term: number }): Promise<void> {
    this.#entries = [];
    this.#boundary = { index: boundary.index, term: boundary.term };
  }

  async repair(): Promise<void> {}
  async close(): Promise<void> {}
}
