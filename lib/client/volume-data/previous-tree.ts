import {
  type ChunkRef,
  ChunkTable,
  type Entry,
  type ManifestRecord,
  pathOrder,
  SLOT_BYTES,
} from '../../archive/index.js';
import type { ArchiveCore } from './archive-core.js';
import { manifestOf, type SnapshotRoot } from './snapshot-root.js';

/** A block in which less is needed is not counted on: what is needed of it is packed anew, so that it can be let go. */
const POOR_BYTES = 64 * 1024;

/** The chunks that need not be written again. */
export class KnownChunks {
  readonly #table = new ChunkTable();
  readonly #live = new Map<number, number>();

  /** Those of a snapshot, and those that were appended after it by a backup that did not come to its end. */
  static async load(core: ArchiveCore, previous: { root: SnapshotRoot; block: number } | null): Promise<KnownChunks> {
    const known = new KnownChunks();
    if (previous) {
      for (const ref of previous.root.manifest) known.#count(ref);
      for await (const record of manifestOf(core.source, previous.root)) {
        if (record.type === 'refs') for (const ref of record.refs) known.#count(ref);
      }
    }
    for (let block = (previous?.block ?? -1) + 1; block < core.length; block++) {
      if (!(await core.has(block))) continue;
      const body = await core.source.body(block);
      if (!isPackBody(body)) continue;
      const chunks = await core.source.chunksOf(block);
      for (const [slot, { address, size, data }] of chunks.entries()) {
        known.put({ address: new Uint8Array(address), block, slot, size, stored: data.length });
      }
      known.#live.set(block, Number.POSITIVE_INFINITY);
    }
    return known;
  }

  put(ref: ChunkRef): void {
    this.#table.put(ref);
    this.#live.set(ref.block, Number.POSITIVE_INFINITY);
  }

  /** Where the chunk lies, in a block that is worth keeping. */
  get(address: Uint8Array): ChunkRef | undefined {
    const ref = this.#table.get(address);
    return ref && !this.isPoor(ref.block) ? ref : undefined;
  }

  isPoor(block: number): boolean {
    return (this.#live.get(block) ?? Number.POSITIVE_INFINITY) < POOR_BYTES;
  }

  #count(ref: ChunkRef): void {
    if (this.#table.get(ref.address)) return;
    this.#table.put(ref);
    this.#live.set(ref.block, (this.#live.get(ref.block) ?? 0) + SLOT_BYTES + ref.stored);
  }
}

const isPackBody = (body: Uint8Array): boolean => body[0] === 1;

/** The tree of the snapshot before, read beside a walk: both have the same order. */
export class PreviousTree {
  readonly #records: AsyncIterator<ManifestRecord> | null;
  #next: ManifestRecord | null = null;
  #isOpen = true;

  constructor(core: ArchiveCore, root: SnapshotRoot | null) {
    this.#records = root ? manifestOf(core.source, root)[Symbol.asyncIterator]() : null;
  }

  /** The entry of this path, if there was one. Paths must be asked for in their order. */
  async find(path: string): Promise<Entry | null> {
    if (this.#next === null) await this.#advance();
    while (this.#next !== null) {
      const record = this.#next;
      if (record.type === 'entry') {
        const order = pathOrder(record.entry.path, path);
        if (order > 0) return null;
        if (order === 0) {
          await this.#advance();
          return record.entry;
        }
      }
      await this.#advance();
    }
    return null;
  }

  /** What the file is made of that was found last; null: it was changing while it was read. */
  async refs(): Promise<readonly ChunkRef[][] | null> {
    const lists: ChunkRef[][] = [];
    let isWhole = true;
    while (this.#next !== null && this.#next.type !== 'entry') {
      if (this.#next.type === 'changed') isWhole = false;
      else if (this.#next.type === 'refs') lists.push([...this.#next.refs]);
      await this.#advance();
    }
    return isWhole ? lists : null;
  }

  async #advance(): Promise<void> {
    if (!this.#records || !this.#isOpen) {
      this.#next = null;
      return;
    }
    const { value, done } = await this.#records.next();
    this.#isOpen = done !== true;
    this.#next = done === true ? null : (value as ManifestRecord);
  }
}
