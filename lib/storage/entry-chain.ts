import { createHash } from 'node:crypto';
import type { Entry, EntryType, Membership, SnapshotMeta } from '../raft/index.js';
import { decodeMembership, NO_MEMBERS } from '../raft/index.js';

const TYPES: Record<EntryType, number> = { command: 1, noop: 2, config: 3 };

/** The digest before the first entry, and of a snapshot from before digests were kept. */
const NOTHING = new Uint8Array(32);

/** The digest after one more entry: SHA-256 over the digest before, index, term, type and data. */
export function chainDigest(before: Uint8Array, entry: Entry): Uint8Array {
  const head = Buffer.allocUnsafe(49);
  head.set(before, 0);
  head.writeBigUInt64BE(BigInt(entry.index), 32);
  head.writeBigUInt64BE(BigInt(entry.term), 40);
  head[48] = TYPES[entry.type];
  return createHash('sha256').update(head).update(entry.data).digest();
}

/** Hears of an entry as soon as it is applied, with the digest of everything up to it. */
export type AppliedListener = (entry: Entry, digest: Uint8Array) => void;

/**
 * One digest for the whole history that this server has applied: equal on every server at the same index, or one of them is
 * wrong. The host of raft feeds it in the order of application; snapshots carry it on.
 */
export class EntryChain {
  #index = 0;
  #term = 0;
  #digest: Uint8Array = NOTHING;
  #membership: Membership = NO_MEMBERS;
  #isBeingReplaced = false;
  readonly #listeners = new Set<AppliedListener>();

  /** The index of the entry applied last. */
  get index(): number {
    return this.#index;
  }

  get term(): number {
    return this.#term;
  }

  get digest(): Uint8Array {
    return this.#digest;
  }

  /** The same as snapshots carry it. */
  get digestText(): string {
    return Buffer.from(this.#digest).toString('hex');
  }

  /** What a snapshot of the state as it is now carries. */
  get meta(): SnapshotMeta & { readonly digest: string } {
    return { index: this.#index, term: this.#term, membership: this.#membership, digest: this.digestText };
  }

  /** Between willBeReplaced() and what follows: what is said here is not what the state is. */
  get isBeingReplaced(): boolean {
    return this.#isBeingReplaced;
  }

  /** A snapshot is about to take the place of the state. */
  willBeReplaced(): void {
    this.#isBeingReplaced = true;
  }

  /** It did not, after all. */
  stays(): void {
    this.#isBeingReplaced = false;
  }

  /** The state was replaced by a snapshot's. */
  restored(meta: SnapshotMeta): void {
    this.#isBeingReplaced = false;
    this.#membership = meta.membership;
    this.#index = meta.index;
    this.#term = meta.term;
    this.#digest = snapshotDigest(meta);
  }

  /** `digest`: when it has been computed already. */
  applied(entry: Entry, digest = chainDigest(this.#digest, entry)): void {
    this.#digest = digest;
    this.#index = entry.index;
    this.#term = entry.term;
    if (entry.type === 'config') this.#membership = decodeMembership(entry.data);
    for (const listener of this.#listeners) listener(entry, this.#digest);
  }

  /** Returns how to stop listening. */
  listen(listener: AppliedListener): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }
}

/** The digest that a snapshot carries; one from before digests were kept begins a chain of its own. */
export function snapshotDigest({ index, term, digest }: SnapshotMeta): Uint8Array {
  if (digest !== undefined) return Buffer.from(digest, 'hex');
  return index === 0 ? NOTHING : createHash('sha256').update(`${index}/${term}`).digest();
}
