import { type BigIntStats, constants } from 'node:fs';
import { type FileHandle, lstat, open, readdir, readlink } from 'node:fs/promises';
import { setImmediate } from 'node:timers/promises';
import { type Entry, PATH_BYTES_MAX } from '../../archive/index.js';
import { MeshError } from '../../structs/errors.js';

// Names are kept with a character for each byte ("latin1"): they need not be UTF-8. Every step is opened from the directory
// before it and no link is followed, whatever a task does to the tree meanwhile.

/** A name on disk that was found by the walk. */
export interface Found {
  readonly entry: Entry;
  /** Opens the file for reading, where it was found; null when it is gone, or is no file any more. */
  open(): Promise<OpenFile | null>;
}

/** A file that is being read, and what it was like when it was opened. */
export interface OpenFile {
  readonly file: FileHandle;
  readonly info: BigIntStats;
}

/** What a walk leaves out, and why. */
export type Skip = (path: string, why: string) => void;

const DIRECTORY = constants.O_RDONLY | constants.O_DIRECTORY | constants.O_NOFOLLOW;
/** Without O_NONBLOCK a pipe that was put in the place of a file would wait for its writer. */
const FILE = constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK;
const BLOCK_BYTES = 512n;

/** A path with a character for each byte, as Node wants it. */
export const onDisk = (path: string): Buffer => Buffer.from(path, 'latin1');

/**
 * The names of a tree: a directory, then what is below it, in the order of bytes. Sockets, pipes, devices and what is mounted below
 * are left out and told. What vanishes meanwhile was not there. Throws E_NOT_FOUND when the directory itself is not there.
 */
export async function* walk(root: string, skip: Skip): AsyncGenerator<Found> {
  let handle: FileHandle;
  try {
    handle = await open(root, constants.O_RDONLY | constants.O_DIRECTORY);
  } catch (cause) {
    throw new MeshError('E_NOT_FOUND', `the directory of the volume cannot be read: ${(cause as Error).message}`, {
      cause,
    });
  }
  const info = await handle.stat({ bigint: true });
  const tree = { device: info.dev, skip, linked: new Map<string, string>() };
  try {
    yield { entry: entryOf('', 'dir', info), open: async () => null };
    yield* below({ handle, path: '' }, tree);
  } finally {
    await handle.close();
  }
}

interface Tree {
  readonly device: bigint;
  readonly skip: Skip;
  /** The first path of each file that has several, by inode. */
  readonly linked: Map<string, string>;
}

async function* below(dir: { handle: FileHandle; path: string }, tree: Tree): AsyncGenerator<Found> {
  const at = (name: string): Buffer => onDisk(`/proc/self/fd/${dir.handle.fd}/${name}`);
  const names = (await readdir(onDisk(`/proc/self/fd/${dir.handle.fd}`), { encoding: 'buffer' })).map((name) =>
    Buffer.from(name).toString('latin1'),
  );
  names.sort();
  // Promises alone would let nobody else run.
  await setImmediate();
  for (const name of names) {
    const path = dir.path === '' ? name : `${dir.path}/${name}`;
    if (path.length > PATH_BYTES_MAX) {
      tree.skip(path, `its path is longer than ${PATH_BYTES_MAX} bytes, with all that lies below it`);
      continue;
    }
    const info = await lstat(at(name), { bigint: true }).catch(gone);
    if (info === null) continue;
    if (info.isSymbolicLink()) {
      const target = await readlink(at(name), { encoding: 'buffer' }).catch(gone);
      if (target === null) continue;
      yield {
        entry: { ...entryOf(path, 'symlink', info), target: Buffer.from(target).toString('latin1') },
        open: async () => null,
      };
    } else if (info.isDirectory()) {
      yield* directory({ at: at(name), path, info }, tree);
    } else if (info.isFile()) {
      const first = info.nlink > 1n ? firstPath(tree, path, info) : path;
      const entry = entryOf(path, first === path ? 'file' : 'hardlink', info);
      yield { entry: { ...entry, target: first === path ? '' : first }, open: () => openFile(at(name)) };
    } else {
      tree.skip(path, 'it is no file, directory or link');
    }
  }
}

async function* directory(
  { at, path, info }: { at: Buffer; path: string; info: BigIntStats },
  tree: Tree,
): AsyncGenerator<Found> {
  const handle = await open(at, DIRECTORY).catch(gone);
  if (handle === null) return;
  try {
    yield { entry: entryOf(path, 'dir', info), open: async () => null };
    if (info.dev === tree.device) yield* below({ handle, path }, tree);
    else tree.skip(path, 'something else is mounted there');
  } finally {
    await handle.close();
  }
}

function firstPath({ linked }: Tree, path: string, info: BigIntStats): string {
  const key = String(info.ino);
  const first = linked.get(key);
  if (first === undefined) linked.set(key, path);
  return first ?? path;
}

async function openFile(at: Buffer): Promise<OpenFile | null> {
  const file = await open(at, FILE).catch(gone);
  if (file === null) return null;
  const info = await file.stat({ bigint: true });
  if (info.isFile()) return { file, info };
  await file.close();
  return null;
}

/** What went away, or became something else, between two looks was not there. */
function gone(error: NodeJS.ErrnoException): null {
  if (['ENOENT', 'ELOOP', 'ENOTDIR', 'ENXIO'].includes(error.code ?? '')) return null;
  throw error;
}

function entryOf(path: string, kind: Entry['kind'], info: BigIntStats): Entry {
  return {
    path,
    kind,
    mode: Number(info.mode & 0o7777n),
    uid: Number(info.uid),
    gid: Number(info.gid),
    mtimeNs: info.mtimeNs,
    ctimeNs: info.ctimeNs,
    ino: info.ino,
    size: kind === 'file' ? Number(info.size) : 0,
    isSparse: kind === 'file' && info.blocks * BLOCK_BYTES < info.size,
    target: '',
  };
}
