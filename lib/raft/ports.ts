import type { Membership } from './membership.js';

/** A command for the state machine, the empty entry that opens a term, or a change of membership. */
export type EntryType = 'command' | 'noop' | 'config';

/** One entry of the replicated log. Term and index together name it: two entries with both alike are the same (Raft §5.3). */
export interface Entry {
  readonly term: number;
  readonly index: number;
  readonly type: EntryType;
  readonly data: Uint8Array;
}

/** What must be on disk before this server answers anybody. `commit` is a hint that shortens a restart, never needed for safety. */
export interface HardState {
  readonly term: number;
  /** Whom this server voted for in `term`; '' for nobody. */
  readonly vote: string;
  readonly commit: number;
}

export const EMPTY_HARD_STATE: HardState = { term: 0, vote: '', commit: 0 };

/** What a snapshot stands for: everything up to `index`, and the membership in force there. */
export interface SnapshotMeta {
  readonly index: number;
  readonly term: number;
  readonly membership: Membership;
  /** Of all entries up to `index`, in hexadecimal: see storage/entry-chain.ts. Absent in snapshots from before it was kept. */
  readonly digest?: string;
}

/** What the machine reads of the durable log. Synchronous: it serves from memory, or from the page cache. */
export interface LogReader {
  /** Index of the oldest entry that is kept; lastIndex + 1 when there is none. */
  firstIndex(): number;
  /** Index of the newest durable entry; firstIndex - 1 when there is none. */
  lastIndex(): number;
  /** Term of an entry from firstIndex - 1 (the boundary, known after compaction) to lastIndex; undefined outside. */
  term(index: number): number | undefined;
  /** Entries from `from` up to and including `to`, at least one, then as many as fit in `bytesMax` of payload. */
  entries(from: number, to: number, bytesMax: number): readonly Entry[];
  /** Indexes of the kept config entries, ascending. */
  configIndexes(): readonly number[];
}

/** The durable log. Writes are made one after the other: the caller awaits each before the next. */
export interface LogStore extends LogReader {
  /**
   * Writes entries; those with indexes already taken are replaced, with all that followed. The promise resolves once all
   * is durable. It rejects with MeshError E_STORAGE when the disk refuses: then the log is as before the call (entries that
   * were to be replaced may be gone), and every further write is refused until repair() has succeeded.
   */
  append(entries: readonly Entry[]): Promise<void>;
  /** Forgets entries up to and including `index`; after a restart some may be back. May be called while a write is under way. */
  compact(index: number): Promise<void>;
  /** Forgets everything: the log now begins after a snapshot. */
  reset(boundary: { index: number; term: number }): Promise<void>;
  /** After a refused write: makes the log writable again without trusting what the failed write left behind. Rejects with E_STORAGE. */
  repair(): Promise<void>;
  close(): Promise<void>;
}

/** Term, vote and commit hint. */
export interface StableStore {
  load(): HardState;
  /** Durable when resolved; rejects with E_STORAGE. */
  save(state: HardState): Promise<void>;
}

/** What the machine knows of snapshots: whether there is one to send to a follower which lags behind the log. */
export interface SnapshotReader {
  latest(): SnapshotMeta | null;
}

/** Kept snapshots, the newest two. */
export interface SnapshotStore extends SnapshotReader {
  /** All that are kept, newest first. */
  list(): readonly SnapshotMeta[];
  /** Bytes of a kept snapshot; 0 when unknown. */
  bytes(meta: SnapshotMeta): number;
  /** Streams a snapshot to disk; durable, and older ones beyond the second removed, when resolved. Rejects with E_STORAGE. */
  save(meta: SnapshotMeta, chunks: AsyncIterable<Uint8Array>): Promise<void>;
  /** Its chunks, each verified before it is handed out; throws MeshError E_STORAGE at the first damaged one. */
  open(meta: SnapshotMeta): AsyncIterable<Uint8Array>;
}
