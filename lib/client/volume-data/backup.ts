import { join } from 'node:path';
import {
  type ChunkRef,
  type Entry,
  encodeAttribute,
  encodeEntry,
  encodeNote,
  encodeRefs,
  REFS_MAX,
} from '../../archive/index.js';
import { MeshError } from '../../structs/errors.js';
import type { VolumeProgress, WrittenSnapshot } from '../../structs/volume-data.js';
import type { ArchiveCipher } from './archive-cipher.js';
import { ArchiveCore, type ArchivePlace } from './archive-core.js';
import { type Attributes, readAttributes } from './attributes.js';
import { ChunkWriter } from './chunk-writer.js';
import { KnownChunks, PreviousTree } from './previous-tree.js';
import { encodeRoot, readRoot, type SnapshotRoot } from './snapshot-root.js';
import { Spool } from './spool.js';
import { type Found, type OpenFile, walk } from './walk.js';

/** A file that changes while it is read is read so often, if it is no larger than that; then it is taken as it comes. */
const READS_MAX = 3;
const READ_AGAIN_BYTES_MAX = 64 * 1024 * 1024;
/** A file that changed so shortly before the walk may have changed again within the same tick of the clock. */
const RACY_NS = 2_000_000_000n;
/** Names of what was left out, for the one who asks. */
const NOTES_MAX = 20;
const NOTE_CHARS_MAX = 400;

export interface BackupOptions {
  readonly place: ArchivePlace;
  readonly cipher: ArchiveCipher;
  readonly archiveId: string;
  /** The directory of the volume. */
  readonly path: string;
  /** The newest snapshot of this node's core, as the servers know it. */
  readonly previous: { Core: string; Block: number; Length: number; Digest: string } | null;
  readonly progress: VolumeProgress;
  readonly signal: AbortSignal;
  readonly nowNs: bigint;
}

/**
 * Makes a snapshot of a directory: walks it, reads what is not known to be as it was, and appends what is new. Until the very last
 * block is written nothing refers to what was appended; whoever comes after a kill -9 finds it and need not write it again.
 */
export async function backUp(options: BackupOptions): Promise<WrittenSnapshot> {
  const { place, cipher, archiveId, previous } = options;
  const known = previous && { Key: previous.Core, Length: previous.Length };
  const core = await ArchiveCore.open(place, cipher, { archiveId, known });
  try {
    // A core that was begun anew has nothing of the one before it.
    const before = previous && core.key === previous.Core ? previous : null;
    const root = before ? await readRoot(core.source, before.Block, before.Digest) : null;
    const spool = await Spool.open(join(place.folder, `spool-${archiveId}`));
    try {
      return await new Backup(options, { core, spool, root, block: before?.Block ?? -1 }).run();
    } finally {
      await spool.close();
    }
  } finally {
    await core.close();
  }
}

interface Parts {
  readonly core: ArchiveCore;
  readonly spool: Spool;
  /** Of the snapshot before. */
  readonly root: SnapshotRoot | null;
  readonly block: number;
}

class Backup {
  readonly #options: BackupOptions;
  readonly #parts: Parts;
  readonly #progress: VolumeProgress;
  #chunks!: ChunkWriter;
  #known!: KnownChunks;
  #previous!: PreviousTree;
  #changed = 0;
  #sparseBytes = 0;
  #attributes: Attributes = new Map();

  constructor(options: BackupOptions, parts: Parts) {
    this.#options = options;
    this.#parts = parts;
    this.#progress = options.progress;
  }

  async run(): Promise<WrittenSnapshot> {
    const { core, root: before, block, spool } = this.#parts;
    const { cipher, nowNs, path } = this.#options;
    this.#progress.Phase = 'reading what is there';
    this.#known = await KnownChunks.load(core, before && { root: before, block });
    this.#chunks = new ChunkWriter(core, cipher, this.#known);
    this.#previous = new PreviousTree(core, before);
    const attributes = await readAttributes(path, this.#options.signal);
    if (attributes) {
      this.#attributes = attributes.found;
      if (attributes.problem !== '') this.#note(`some extended attributes are left out: ${short(attributes.problem)}`);
    } else this.#note('extended attributes and ACLs are left out: this machine has no getfattr (package attr)');
    this.#progress.Phase = 'backing up';
    for await (const found of walk(path, (name, why) => this.#skip(name, why))) {
      this.#checkWanted();
      await this.#take(found);
    }
    const manifest: ChunkRef[] = [];
    const read = (into: Uint8Array, position: number): Promise<number> => spool.read(into, position);
    for await (const refs of this.#chunks.content(read, () => this.#checkWanted())) manifest.push(...refs);
    await this.#chunks.flush();
    const { Files, Bytes } = this.#progress;
    const root = { startedNs: nowNs, files: Files, bytes: Bytes, sparseBytes: this.#sparseBytes, manifest };
    const { body, digest } = encodeRoot(root);
    const Block = await core.append(body);
    await core.sync();
    return {
      Core: core.key,
      Block,
      Length: core.length,
      Digest: digest,
      Files,
      Bytes,
      NewBytes: this.#progress.NewBytes,
      StoredBytes: core.written,
      Skipped: this.#progress.Skipped,
      Changed: this.#changed,
      Notes: this.#progress.Notes,
    };
  }

  async #take(found: Found): Promise<void> {
    const { entry } = found;
    const before = await this.#previous.find(entry.path);
    if (entry.isSparse) this.#sparseBytes += entry.size;
    if (entry.kind !== 'file') {
      await this.#entry(entry);
      if (entry.kind !== 'dir') this.#progress.Files++;
      return;
    }
    if (before && this.#isSame(before, entry)) {
      const lists = await this.#previous.refs();
      if (lists) {
        await this.#reuse(entry, lists);
        return;
      }
    }
    await this.#read(found);
  }

  #isSame(before: Entry, now: Entry): boolean {
    const { root } = this.#parts;
    if (!root || before.kind !== 'file' || now.ctimeNs > root.startedNs - RACY_NS) return false;
    return (
      before.size === now.size &&
      before.mtimeNs === now.mtimeNs &&
      before.ctimeNs === now.ctimeNs &&
      before.ino === now.ino
    );
  }

  async #reuse(entry: Entry, lists: readonly ChunkRef[][]): Promise<void> {
    const { spool } = this.#parts;
    await this.#entry(entry);
    for (const refs of lists) {
      for (const [i, ref] of refs.entries()) if (this.#known.isPoor(ref.block)) refs[i] = await this.#chunks.again(ref);
      await spool.write(encodeRefs(refs));
    }
    this.#progress.Files++;
    this.#progress.Bytes += entry.size;
  }

  async #read(found: Found): Promise<void> {
    const { spool } = this.#parts;
    const { path, size } = found.entry;
    const start = spool.length;
    const bytesBefore = this.#progress.Bytes;
    for (let reads = 1; ; reads++) {
      const opened = await found.open().catch((error: NodeJS.ErrnoException) => {
        if (error.code !== 'EACCES' && error.code !== 'EPERM' && error.code !== 'EIO') throw error;
        this.#skip(path, `it cannot be read: ${error.code}`);
        return null;
      });
      if (!opened) return;
      const outcome = await this.#readOnce(found.entry, opened).finally(() => opened.file.close());
      const isLastTry = reads === READS_MAX || size > READ_AGAIN_BYTES_MAX;
      if (outcome === 'changed' && !isLastTry) {
        await spool.cut(start);
        this.#progress.Bytes = bytesBefore;
        continue;
      }
      if (outcome === 'changed') {
        this.#changed++;
        this.#note(`${shown(path)}: it changed while it was read`);
        await spool.write(encodeNote());
      }
      this.#progress.Files++;
      return;
    }
  }

  async #readOnce(entry: Entry, { file, info: opened }: OpenFile): Promise<'same' | 'changed'> {
    const { spool } = this.#parts;
    const size = Number(opened.size);
    await this.#entry({ ...entry, size, mtimeNs: opened.mtimeNs, ctimeNs: opened.ctimeNs, ino: opened.ino });
    const read = async (into: Uint8Array, position: number): Promise<number> => {
      let at = 0;
      // What is appended meanwhile is for the next time.
      const wanted = Math.min(into.length, size - position);
      while (at < wanted) {
        const { bytesRead } = await file.read(into, at, wanted - at, position + at);
        if (bytesRead === 0) break;
        at += bytesRead;
      }
      return at;
    };
    const seen = (bytes: number): void => {
      this.#progress.Bytes += bytes;
      this.#progress.NewBytes = this.#chunks.newBytes;
      this.#checkWanted();
    };
    for await (const refs of this.#chunks.content(read, seen)) {
      for (let at = 0; at < refs.length; at += REFS_MAX) await spool.write(encodeRefs(refs.slice(at, at + REFS_MAX)));
    }
    this.#progress.NewBytes = this.#chunks.newBytes;
    const after = await file.stat({ bigint: true });
    return after.ctimeNs === opened.ctimeNs && after.size === opened.size ? 'same' : 'changed';
  }

  /** A name, with what is attached to it; that of a file with several names comes with the first. */
  async #entry(entry: Entry): Promise<void> {
    const { spool } = this.#parts;
    await spool.write(encodeEntry(entry));
    if (entry.kind === 'hardlink') return;
    for (const attribute of this.#attributes.get(entry.path) ?? []) await spool.write(encodeAttribute(attribute));
  }

  #checkWanted(): void {
    if (this.#options.signal.aborted) throw new MeshError('E_TIMEOUT', 'the backup was given up: the agent ends');
  }

  #skip(path: string, why: string): void {
    this.#progress.Skipped++;
    this.#note(`${shown(path)}: ${why}`);
  }

  #note(note: string): void {
    if (this.#progress.Notes.length < NOTES_MAX) this.#progress.Notes.push(note);
  }
}

/** A name as a person reads it. */
const shown = (path: string): string => short(Buffer.from(path, 'latin1').toString('utf8'));
/** Names may be longer than anybody reads, and have what would drive a terminal. */
const short = (text: string): string => {
  const plain = text.replace(/\p{Cc}/gu, (char) => `\\x${char.charCodeAt(0).toString(16).padStart(2, '0')}`);
  return plain.length <= NOTE_CHARS_MAX
    ? plain
    : `${plain.slice(0, NOTE_CHARS_MAX / 2)}…${plain.slice(-NOTE_CHARS_MAX / 2)}`;
};
