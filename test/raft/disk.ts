import type { Entry, HardState, LogReader, SnapshotMeta, SnapshotReader } from '../../lib/raft/index.js';
import { EMPTY_HARD_STATE } from '../../lib/raft/index.js';

/** What survives a crash of a simulated server. */
export class SimDisk implements LogReader, SnapshotReader {
  hardState: HardState = EMPTY_HARD_STATE;
  #boundary = { index: 0, term: 0 };
  #entries: Entry[] = [];
  snapshot: { meta: SnapshotMeta; digest: number; register: string } | null = null;

  firstIndex(): number {
    return this.#boundary.index + 1;
  }
  lastIndex(): number {
    return this.#boundary.index + this.#entries.length;
  }
  term(index: number): number | undefined {
    if (index === this.#boundary.index) return this.#boundary.term;
    return this.#entries[index - this.#boundary.index - 1]?.term;
  }
  entries(from: number, to: number, bytesMax: number): readonly Entry[] {
    const found: Entry[] = [];
    let bytes = 0;
    for (const entry of this.#entries.slice(from - this.firstIndex(), to - this.#boundary.index)) {
      bytes += entry.data.length;
      if (found.length > 0 && bytes > bytesMax) break;
      found.push(entry);
    }
    return found;
  }
  configIndexes(): readonly number[] {
    return this.#entries.filter((entry) => entry.type === 'config').map((entry) => entry.index);
  }
  latest(): SnapshotMeta | null {
    return this.snapshot?.meta ?? null;
  }

  append(entries: readonly Entry[]): void {
    const first = entries[0];
    if (first === undefined) return;
    this.#entries.length = first.index - this.firstIndex();
    this.#entries.push(...entries);
  }
  compact(index: number): void {
    const term = this.term(index);
    if (term === undefined || index <= this.#boundary.index) return;
    this.#entries = this.#entries.slice(index - this.#boundary.index);
    this.#boundary = { index, term };
  }
  reset(boundary: { index: number; term: number }): void {
    this.#entries = [];
    this.#boundary = boundary;
  }
}
