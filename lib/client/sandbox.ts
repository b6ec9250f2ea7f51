import { randomBytes } from 'node:crypto';
import { constants } from 'node:fs';
import { chown, type FileHandle, lstat, mkdir, open, rename, rm } from 'node:fs/promises';
import { posix, sep } from 'node:path';

// Files written and read on a task's behalf, in directories where tasks may have put links. Each step of a path is
// opened from the one before (through /proc/self/fd, which is openat(2) to Node), and no link is followed: what is
// checked is what is used, whatever a task does meanwhile.

/** A path that leads out of where it must lie, or over a link. */
export class SandboxError extends Error {}

/** A directory that is held open. */
export interface HeldDir {
  handle: FileHandle;
  /** The path of a name in it, valid while it is held. */
  at(name: string): string;
}

/** Where a path of a job file lies: a directory of the allocation, and the names below it. */
export interface InsidePath {
  root: string;
  parts: string[];
}

/** Takes `path` apart below `root`; throws SandboxError when it leads out of it. */
export function insidePath(root: string, path: string): InsidePath {
  const clean = posix.normalize(path);
  if (clean.split('/').includes('..')) throw new SandboxError(`${JSON.stringify(path)} leads out of the directory`);
  return { root, parts: clean.split('/').filter((part) => part !== '' && part !== '.') };
}

const DIRECTORY = constants.O_RDONLY | constants.O_DIRECTORY;

/** Opens a directory, making those that are missing when `create` says with which mode and for whom. */
export async function holdDir(
  { root, parts }: InsidePath,
  create: { mode: number; owner?: { uid: number; gid: number } } | null,
): Promise<HeldDir> {
  let held = hold(await open(root, DIRECTORY));
  for (const [i, part] of parts.entries()) {
    const path = held.at(part);
    try {
      const next = hold(await openDir(path, create));
      await held.handle.close();
      held = next;
    } catch (error) {
      await held.handle.close();
      throw explain(error, [root, ...parts.slice(0, i + 1)].join(sep));
    }
  }
  return held;
}

async function openDir(path: string, create: Parameters<typeof holdDir>[1]): Promise<FileHandle> {
  const flags = DIRECTORY | constants.O_NOFOLLOW;
  if (!create) return await open(path, flags);
  return await open(path, flags).catch(async (error: NodeJS.ErrnoException) => {
    if (error.code !== 'ENOENT') throw error;
    const isOurs = await mkdir(path, { mode: create.mode }).then(
      () => true,
      // Another task of the allocation was faster.
      (failure: NodeJS.ErrnoException) => {
        if (failure.code === 'EEXIST') return false;
        throw failure;
      },
    );
    const made = await open(path, flags);
    if (!isOurs) return made;
    // The process's umask takes bits away from mkdir's mode.
    await made.chmod(create.mode);
    if (create.owner && process.getuid?.() === 0) await made.chown(create.owner.uid, create.owner.gid);
    return made;
  });
}

function hold(handle: FileHandle): HeldDir {
  return { handle, at: (name) => `/proc/self/fd/${handle.fd}/${name}` };
}

function explain(error: unknown, path: string): unknown {
  const { code } = error as NodeJS.ErrnoException;
  // A link opened with O_NOFOLLOW and O_DIRECTORY is told as no directory.
  if (code === 'ELOOP' || code === 'ENOTDIR') return new SandboxError(`${path} is a link or no directory`);
  if (code === 'ENOSPC') return Object.assign(new Error(`no space is left on the disk of ${path}`), { code });
  if (code === 'ENOENT') return Object.assign(new Error(`${path} does not exist`), { code });
  return error;
}

/** How a file is to be left. Null: as it comes. */
export interface FileStyle {
  mode: number;
  uid: number | null;
  gid: number | null;
}

/** Writes a file as a whole: others see the old one or the new one, never a part. */
export async function writeInside(path: InsidePath, content: string | Uint8Array, style: FileStyle): Promise<void> {
  const name = path.parts.at(-1);
  if (name === undefined) throw new SandboxError(`${path.root} is a directory`);
  const dir = await holdDir({ root: path.root, parts: path.parts.slice(0, -1) }, { mode: 0o755 });
  const temporary = dir.at(`.${name}.${randomBytes(6).toString('hex')}`);
  try {
    const file = await open(temporary, 'wx', 0o600);
    try {
      await file.writeFile(content);
      await file.chmod(style.mode);
    } finally {
      await file.close();
    }
    if (style.uid !== null || style.gid !== null) await chown(temporary, style.uid ?? -1, style.gid ?? -1);
    await rename(temporary, dir.at(name));
  } catch (error) {
    await rm(temporary, { force: true });
    throw error;
  } finally {
    await dir.handle.close();
  }
}

/** Whether anything is there, also a link. Throws SandboxError when a directory on the way is a link. */
export async function isInside({ root, parts }: InsidePath): Promise<boolean> {
  try {
    const dir = await holdDir({ root, parts: parts.slice(0, -1) }, null);
    try {
      await lstat(dir.at(parts.at(-1) ?? '.'));
      return true;
    } finally {
      await dir.handle.close();
    }
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return false;
    throw error;
  }
}

/** Reads a file of at most `maxBytes`; null when there is none. Throws SandboxError for a link or anything but a file. */
export async function readInside({ root, parts }: InsidePath, maxBytes: number): Promise<Buffer | null> {
  const name = parts.at(-1);
  if (name === undefined) throw new SandboxError(`${root} is a directory`);
  try {
    const dir = await holdDir({ root, parts: parts.slice(0, -1) }, null);
    try {
      return await readFileAt(dir.at(name), [root, ...parts].join(sep), maxBytes);
    } finally {
      await dir.handle.close();
    }
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return null;
    throw error;
  }
}

async function readFileAt(path: string, shown: string, maxBytes: number): Promise<Buffer> {
  // Without O_NONBLOCK a pipe would wait for its writer.
  const file = await open(path, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK).catch((error) => {
    throw explain(error, shown);
  });
  try {
    const info = await file.stat();
    if (!info.isFile()) throw new SandboxError(`${shown} is not a regular file`);
    if (info.size > maxBytes) throw new SandboxError(`${shown} has ${info.size} bytes; at most ${maxBytes} are read`);
    return await file.readFile();
  } finally {
    await file.close();
  }
}
