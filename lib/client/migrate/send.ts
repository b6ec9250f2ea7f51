import { constants, type Stats } from 'node:fs';
import { lstat, open, readdir, readlink } from 'node:fs/promises';
import { join } from 'node:path';
import { type Duplex, Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { MeshError } from '../../structs/errors.js';
import type { SnapshotEntry, SnapshotFrame } from '../../structs/rpc-migrate.js';

const PIECE_BYTES = 64 * 1024;

/** What the other side has: whole entries, and bytes of the one after them. */
export interface SnapshotMark {
  entries: number;
  bytes: number;
}

/**
 * The data of an ended allocation, in an order that is the same each time: so it can be gone on with. Sockets, pipes and
 * devices are left out.
 */
export async function* snapshotFrames(
  allocDir: string,
  paths: readonly string[],
  skip: SnapshotMark,
): AsyncGenerator<SnapshotFrame> {
  const entries: SnapshotEntry[] = [];
  for (const path of paths) await collect(allocDir, path, entries);
  yield { Entries: entries.length, Bytes: entries.reduce((sum, { Size }) => sum + Size, 0) };
  for (const [i, entry] of entries.slice(skip.entries).entries()) {
    const isPart = i === 0 && skip.bytes > 0 && skip.bytes < entry.Size;
    const from = isPart ? skip.bytes : 0;
    yield { Entry: entry, ...(isPart ? { From: from } : {}) };
    if (entry.Kind === 'file') yield* content(join(allocDir, entry.Path), entry, from);
  }
  yield { Done: true };
}

async function collect(allocDir: string, path: string, into: SnapshotEntry[]): Promise<void> {
  const full = join(allocDir, path);
  const info = await lstat(full).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return null;
    // What cannot be read is not left out in silence: the rest would be taken for the whole.
    throw error;
  });
  if (!info) return;
  const kind = kindOf(info);
  if (kind === null) return;
  const Target = kind === 'link' ? await readlink(full) : '';
  const { mode: Mode, uid: Uid, gid: Gid, mtimeMs } = info;
  into.push({
    Path: path,
    Kind: kind,
    Mode: Mode & 0o777,
    Uid,
    Gid,
    Mtime: Math.round(mtimeMs),
    Size: kind === 'file' ? info.size : 0,
    Target,
  });
  if (kind !== 'dir') return;
  const names = (await readdir(full)).sort();
  for (const name of names) await collect(allocDir, join(path, name), into);
}

function kindOf(info: Stats): SnapshotEntry['Kind'] | null {
  if (info.isDirectory()) return 'dir';
  if (info.isFile()) return 'file';
  return info.isSymbolicLink() ? 'link' : null;
}

async function* content(path: string, { Size, Path }: SnapshotEntry, from: number): AsyncGenerator<SnapshotFrame> {
  const file = await open(path, constants.O_RDONLY | constants.O_NOFOLLOW);
  try {
    for (let at = from; at < Size; ) {
      const want = Math.min(PIECE_BYTES, Size - at);
      const { bytesRead, buffer } = await file.read(Buffer.allocUnsafe(want), 0, want, at);
      if (bytesRead === 0) throw new MeshError('E_INTERNAL', `${Path} became shorter while it was read`);
      at += bytesRead;
      yield { Data: buffer.subarray(0, bytesRead) };
    }
  } finally {
    await file.close();
  }
}

/** Sends frames over a stream to their end; what `frames` or the disk refuses is told to the other side. */
export async function sendSnapshot(stream: Duplex, frames: () => AsyncIterable<SnapshotFrame>): Promise<void> {
  // Nothing is expected from the other side, but its end must be noticed.
  stream.resume();
  try {
    await pipeline(Readable.from(frames(), { highWaterMark: 4 }), stream);
  } catch (error) {
    const told = error instanceof MeshError ? error : new MeshError('E_INTERNAL', String(error), { cause: error });
    stream.destroy(told);
  }
}
