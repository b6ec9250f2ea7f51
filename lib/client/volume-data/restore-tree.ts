import { constants } from 'node:fs';
import { type FileHandle, lchown, link, lstat, lutimes, open, symlink } from 'node:fs/promises';
import type { Attribute, ChunkRef, Entry } from '../../archive/index.js';
import { MeshError } from '../../structs/errors.js';
import type { SnapshotPlace, VolumeProgress } from '../../structs/volume-data.js';
import { requireRoom, SYNC_EVERY_BYTES } from './archive-core.js';
import { AttributeWriter } from './attributes.js';
import type { BlockSource } from './block-source.js';
import { nameIn, OpenDirs, splitPath } from './open-dirs.js';
import { manifestOf, readRoot } from './snapshot-root.js';

const NEW_FILE = constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL | constants.O_NOFOLLOW;
/** Zeros of a file with holes are looked for in pieces of this size: a page, which is what file systems leave out. */
const HOLE_BYTES = 4096;
const ZEROS = Buffer.alloc(HOLE_BYTES);

export interface RestoreOptions {
  readonly source: BlockSource;
  readonly snapshot: SnapshotPlace;
  /** An empty directory that nobody else can enter. */
  readonly into: string;
  /** Left free on its disk. */
  readonly spareBytes: number;
  readonly progress: VolumeProgress;
  readonly signal: AbortSignal;
  /** Hears of what could not be restored, and is no reason to fail. */
  readonly warn: (what: string) => void;
}

/**
 * Writes the tree of a snapshot. Whatever its manifest says, nothing is written outside of the directory: paths are checked where
 * they are read, and every step is taken from a directory that is held open, over no link. Throws E_STORAGE for a snapshot that is
 * damaged, E_TOO_LARGE when the disk has not room.
 */
export async function restoreTree(options: RestoreOptions): Promise<void> {
  const { source, snapshot, into, spareBytes, progress, signal } = options;
  progress.Phase = 'looking for the snapshot';
  const root = await readRoot(source, snapshot.Block, snapshot.Digest);
  progress.BytesTotal = root.bytes;
  await requireRoom(into, root.bytes - root.sparseBytes, 'make room, or take another node', spareBytes);
  progress.Phase = 'restoring';
  const dirs = await OpenDirs.open(into, (handle, entry) => style(handle, entry));
  const writer = new TreeWriter(options, dirs);
  try {
    for await (const record of manifestOf(source, root)) {
      if (signal.aborted) throw new MeshError('E_TIMEOUT', 'the restore was given up: the agent ends');
      if (record.type === 'entry') await writer.entry(record.entry);
      else if (record.type === 'attribute') writer.attribute(record.attribute);
      else if (record.type === 'refs') await writer.refs(record.refs);
      else writer.changed();
    }
    await writer.finish();
  } catch (error) {
    throw explained(error, into);
  } finally {
    await writer.close();
    await dirs.close();
  }
}

interface OpenFile {
  readonly entry: Entry;
  readonly handle: FileHandle;
  at: number;
  /** It was changing while it was read: then it has what was read. */
  changed: boolean;
}

class TreeWriter {
  readonly #options: RestoreOptions;
  readonly #dirs: OpenDirs;
  #file: OpenFile | null = null;
  #root: Entry | null = null;
  #unchecked = 0;
  #last: Entry | null = null;
  readonly #attributes: AttributeWriter;

  constructor(options: RestoreOptions, dirs: OpenDirs) {
    this.#options = options;
    this.#dirs = dirs;
    this.#attributes = new AttributeWriter(options.into);
  }

  async entry(entry: Entry): Promise<void> {
    await this.#endFile();
    await this.#attributes.written();
    this.#last = entry;
    if (entry.kind !== 'dir') this.#options.progress.Files++;
    if (entry.path === '') {
      if (entry.kind !== 'dir' || this.#root) throw damaged('the volume itself is no directory');
      this.#root = entry;
      return;
    }
    if (entry.kind === 'dir') {
      await this.#dirs.make(entry);
      return;
    }
    const { parts, name } = splitPath(entry.path);
    const dir = await this.#dirs.enter(parts);
    if (entry.kind === 'symlink') await this.#symlink(nameIn(dir, name), entry);
    else if (entry.kind === 'hardlink') await this.#hardlink(nameIn(dir, name), entry);
    else this.#file = { entry, handle: await open(nameIn(dir, name), NEW_FILE, 0o600), at: 0, changed: false };
  }

  async refs(refs: readonly ChunkRef[]): Promise<void> {
    const file = this.#file;
    if (!file) throw damaged('content without a file');
    for (const ref of refs) {
      const content = await this.#options.source.content(ref);
      if (file.at + content.length > file.entry.size)
        throw damaged(`${JSON.stringify(file.entry.path)} is longer than it says`);
      await (file.entry.isSparse
        ? writeAround(file.handle, content, file.at)
        : writeAll(file.handle, content, file.at));
      file.at += content.length;
      this.#options.progress.Bytes += content.length;
      this.#unchecked += content.length;
      if (this.#unchecked < SYNC_EVERY_BYTES) continue;
      this.#unchecked = 0;
      await requireRoom(this.#options.into, 0, 'make room, or take another node', this.#options.spareBytes);
    }
  }

  attribute(attribute: Attribute): void {
    if (!this.#last || this.#last.kind === 'hardlink') throw damaged('an attribute of nothing');
    this.#attributes.add(this.#last, attribute);
  }

  changed(): void {
    if (this.#file) this.#file.changed = true;
  }

  async finish(): Promise<void> {
    await this.#endFile();
    await this.#dirs.finish(this.#root);
    const why = await this.#attributes.finish();
    if (why !== '') this.#options.warn(`extended attributes are not all there: ${why}`);
  }

  async close(): Promise<void> {
    await this.#file?.handle.close();
    this.#file = null;
  }

  async #endFile(): Promise<void> {
    const file = this.#file;
    if (!file) return;
    const { entry, handle, at, changed } = file;
    if (at !== entry.size && !changed) throw damaged(`${JSON.stringify(entry.path)} is shorter than it says`);
    // A hole at the end was never written.
    await handle.truncate(at);
    await style(handle, entry);
    this.#file = null;
    await handle.close();
  }

  async #symlink(path: Buffer, entry: Entry): Promise<void> {
    await symlink(Buffer.from(entry.target, 'latin1'), path);
    if (isRoot()) await lchown(path, entry.uid, entry.gid);
    const time = timeOf(entry);
    await lutimes(path, time, time);
  }

  async #hardlink(path: Buffer, entry: Entry): Promise<void> {
    const { parts, name } = splitPath(entry.target);
    const dir = await this.#dirs.reopen(parts);
    try {
      const first = await lstat(nameIn(dir, name)).catch(() => null);
      if (!first?.isFile()) throw damaged(`${JSON.stringify(entry.target)} is no file`);
      await link(nameIn(dir, name), path);
    } finally {
      await dir.close();
    }
  }
}

async function writeAll(file: FileHandle, bytes: Uint8Array, position: number): Promise<void> {
  for (let at = 0; at < bytes.length; ) {
    at += (await file.write(bytes, at, bytes.length - at, position + at)).bytesWritten;
  }
}

/** Writes what is not zero, in whole pages. */
async function writeAround(file: FileHandle, bytes: Uint8Array, position: number): Promise<void> {
  let from = -1;
  for (let at = 0; at < bytes.length; at += HOLE_BYTES) {
    const piece = bytes.subarray(at, at + HOLE_BYTES);
    const isHole = Buffer.compare(piece, ZEROS.subarray(0, piece.length)) === 0;
    if (!isHole && from < 0) from = at;
    if (!isHole || from < 0) continue;
    await writeAll(file, bytes.subarray(from, at), position + from);
    from = -1;
  }
  if (from >= 0) await writeAll(file, bytes.subarray(from), position + from);
}

/** The owner first: a change of it takes set-id bits away. Only root can give files away. */
async function style(handle: FileHandle, entry: Entry): Promise<void> {
  if (isRoot()) await handle.chown(entry.uid, entry.gid);
  await handle.chmod(entry.mode);
  const time = timeOf(entry);
  await handle.utimes(time, time);
}

const isRoot = (): boolean => process.getuid?.() === 0;
/**
 * Seconds, to the microsecond: Node cuts off what is below one, and a number has not the precision for exactly that one, so it is the
 * middle of it. Node takes negative ones for no time at all, but not dates before 1970.
 */
const timeOf = ({ mtimeNs }: Entry): number | Date =>
  mtimeNs < 0n ? new Date(Number(mtimeNs) / 1e6) : (Number(mtimeNs / 1_000n) + 0.5) / 1e6;

function damaged(why: string): MeshError {
  return new MeshError('E_STORAGE', `the snapshot cannot be restored: ${why}`);
}

function explained(error: unknown, into: string): unknown {
  const { code } = error as NodeJS.ErrnoException;
  if (code === 'ENOSPC' || code === 'EDQUOT') {
    return new MeshError('E_TOO_LARGE', `the disk of ${into} is full: make room, or take another node`, {
      cause: error,
    });
  }
  if (code === 'EEXIST') return damaged('a name is in it twice');
  return error;
}
