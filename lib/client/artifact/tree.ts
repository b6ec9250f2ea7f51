import { constants } from 'node:fs';
import {
  copyFile,
  type FileHandle,
  lchown,
  link,
  lstat,
  mkdir,
  open,
  readdir,
  readlink,
  rename,
  rm,
  symlink,
} from 'node:fs/promises';
import { join, posix } from 'node:path';
import type { Readable } from 'node:stream';
import { formatBytes } from '../../util/byte-size.js';
import { type HeldDir, holdDir, SandboxError } from '../sandbox.js';
import { reasonOf, refuse, retry } from './failure.js';

// A new tree of files, made from what a stranger sends: every name is checked, no link is followed, and what a link
// points to stays within the tree.

/** What a tree may come to. */
export interface TreeLimits {
  filesMax: number;
  bytesMax: number;
  /** Aborted when nobody wants it any more. */
  signal?: AbortSignal;
  /** Hears how many bytes there are. */
  progress?: (bytes: number) => void;
}

/** A link's text is a path. */
const LINK_BYTES_MAX = 4_095;
/** A longer one could not be reached by its whole path, wherever the tree comes to lie. */
const NAME_BYTES_MAX = 2_048;
const MODE = 0o777;

/** Builds a tree below a directory that nobody else can reach. */
export class TreeBuilder {
  private readonly root: string;
  private readonly limits: TreeLimits;
  private files = 0;
  private bytes = 0;

  constructor(root: string, limits: TreeLimits) {
    this.root = root;
    this.limits = limits;
  }

  async directory(name: string, mode: number): Promise<void> {
    const parts = this.parts(name);
    this.count(name);
    const dir = await this.hold(parts, name);
    try {
      // Whoever unpacks must be able to go on in it.
      await dir.handle.chmod((mode & MODE) | 0o700);
    } finally {
      await dir.handle.close();
    }
  }

  /** A regular file; `mtime` is not kept: a fetched file is new. */
  async file(name: string, mode: number, content: Readable): Promise<void> {
    await this.within(name, async (dir, base) => {
      const file = await this.create(dir, base);
      try {
        for await (const piece of content as AsyncIterable<Uint8Array>) {
          this.take(piece.length);
          await writeWhole(file, piece);
        }
        await file.chmod(mode & MODE);
      } finally {
        await file.close();
      }
    });
  }

  /** A link to somewhere within the tree. */
  async symlink(name: string, target: string): Promise<void> {
    const parts = this.parts(name);
    const where = posix.join(...parts.slice(0, -1), target);
    if (target === '' || target.startsWith('/') || target.length > LINK_BYTES_MAX || escapes(where)) {
      throw refuse(`${shown(name)} is a link to ${shown(target)}, outside of the archive`);
    }
    await this.within(name, async (dir, base) => {
      await rm(dir.at(base), { force: true });
      await symlink(target, dir.at(base));
    });
  }

  /** Another name of a file that is there already. */
  async hardLink(name: string, target: string): Promise<void> {
    const from = this.parts(target);
    if (from.length === 0)
      throw refuse(`${shown(name)} is a link to ${shown(target)}, which is no file of the archive`);
    const fromDir = await this.hold(from.slice(0, -1), target, false);
    try {
      const source = fromDir.at(from.at(-1) as string);
      const info = await lstat(source).catch(() => null);
      if (!info?.isFile())
        throw refuse(`${shown(name)} is a link to ${shown(target)}, which is no file of the archive`);
      await this.within(name, async (dir, base) => {
        await rm(dir.at(base), { force: true });
        await link(source, dir.at(base));
      });
    } finally {
      await fromDir.handle.close();
    }
  }

  private async within(name: string, act: (dir: HeldDir, base: string) => Promise<void>): Promise<void> {
    const parts = this.parts(name);
    if (parts.length === 0) throw refuse(`${shown(name)} is no name of a file`);
    this.count(name);
    const dir = await this.hold(parts.slice(0, -1), name);
    try {
      await act(dir, parts.at(-1) as string);
    } finally {
      await dir.handle.close();
    }
  }

  private async create(dir: HeldDir, base: string): Promise<FileHandle> {
    const path = dir.at(base);
    const info = await lstat(path).catch(() => null);
    if (info?.isDirectory()) throw refuse(`${shown(base)} is a file and a directory`);
    // A link that came before is replaced, never followed.
    if (info) await rm(path, { force: true });
    return await open(path, constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL | constants.O_NOFOLLOW, 0o600);
  }

  private async hold(parts: string[], name: string, create = true): Promise<HeldDir> {
    try {
      return await holdDir({ root: this.root, parts }, create ? { mode: 0o755 } : null);
    } catch (error) {
      throw error instanceof SandboxError
        ? refuse(`${shown(name)} leads over a link or a file`)
        : refuse(`${shown(name)}: ${reasonOf(error)}`);
    }
  }

  private parts(name: string): string[] {
    if (name.startsWith('/') || name.includes('\0')) throw refuse(`${shown(name)} is no path within the archive`);
    const parts = name.split('/').filter((part) => part !== '' && part !== '.');
    if (parts.includes('..')) throw refuse(`${shown(name)} leads out of the archive`);
    if (Buffer.byteLength(name) > NAME_BYTES_MAX || parts.some((part) => Buffer.byteLength(part) > 255))
      throw refuse(`${shown(name)} is too long a name`);
    return parts;
  }

  private count(name: string): void {
    this.files++;
    if (this.limits.filesMax > 0 && this.files > this.limits.filesMax) {
      throw refuse(`too many files: more than ${this.limits.filesMax} (at ${shown(name)})`);
    }
  }

  private take(bytes: number): void {
    const { bytesMax, signal } = this.limits;
    if (signal?.aborted) throw retry('it was ended');
    this.bytes += bytes;
    this.limits.progress?.(this.bytes);
    if (bytesMax > 0 && this.bytes > bytesMax) throw refuse(`it unpacks to more than ${formatBytes(bytesMax)}`);
  }
}

/** Writes all of a piece, where the file is. */
export async function writeWhole(file: FileHandle, piece: Uint8Array): Promise<void> {
  for (let done = 0; done < piece.length; ) done += (await file.write(piece, done)).bytesWritten;
}

function shown(name: string): string {
  return JSON.stringify(name.length > 120 ? `${name.slice(0, 120)}…` : name);
}

function escapes(path: string): boolean {
  return posix.normalize(path).split('/')[0] === '..';
}

/** What a tree contains that came whole (from git, or a directory): throws ArtifactError for a link out of it, or anything but files, or too much. */
export async function inspectTree(root: string, { filesMax, bytesMax, signal }: TreeLimits): Promise<void> {
  let files = 0;
  let bytes = 0;
  const look = async (path: string): Promise<void> => {
    for (const entry of await readdir(join(root, path), { withFileTypes: true })) {
      const name = path === '' ? entry.name : `${path}/${entry.name}`;
      files++;
      if (signal?.aborted) throw retry('it was ended');
      if (filesMax > 0 && files > filesMax) throw refuse(`too many files: more than ${filesMax}`);
      if (entry.isFile()) bytes += (await lstat(join(root, name))).size;
      if (bytesMax > 0 && bytes > bytesMax) throw refuse(`it has more than ${formatBytes(bytesMax)}`);
      if (entry.isDirectory()) await look(name);
      else if (entry.isSymbolicLink()) {
        const target = await readlink(join(root, name));
        if (target.startsWith('/') || escapes(posix.join(posix.dirname(name), target))) {
          throw refuse(`${shown(name)} is a link to ${shown(target)}, outside of what was fetched`);
        }
      } else if (!entry.isFile()) throw refuse(`${shown(name)} is no file`);
    }
  };
  await look('');
}

/** Moves what lies in `from` below `to`, over what is there; a link at the destination is replaced, not followed. */
export async function moveTree(from: string, to: HeldDir, owner: { uid: number; gid: number } | null): Promise<void> {
  for (const entry of await readdir(from, { withFileTypes: true })) {
    const source = join(from, entry.name);
    if (!entry.isDirectory()) {
      await moveFile(source, to, entry.name, owner);
      continue;
    }
    const { mode } = await lstat(source);
    const next = await holdInner(to, entry.name);
    try {
      await next.handle.chmod(mode & MODE);
      if (owner) await next.handle.chown(owner.uid, owner.gid);
      await moveTree(source, next, owner);
    } finally {
      await next.handle.close();
    }
  }
}

async function holdInner(to: HeldDir, name: string): Promise<HeldDir> {
  const path = to.at(name);
  const info = await lstat(path).catch(() => null);
  if (info && !info.isDirectory()) await rm(path, { force: true });
  return await holdDir({ root: `/proc/self/fd/${to.handle.fd}`, parts: [name] }, { mode: 0o755 });
}

/** Moves one file, or link, to a name in a directory. */
export async function moveFile(
  source: string,
  to: HeldDir,
  name: string,
  owner: { uid: number; gid: number } | null,
): Promise<void> {
  const target = to.at(name);
  const info = await lstat(target).catch(() => null);
  if (info?.isDirectory()) throw refuse(`${shown(name)} is a directory already`);
  if (owner) await lchown(source, owner.uid, owner.gid);
  await rename(source, target);
}

/** Copies a directory's content, links as they are, into a new directory. */
export async function copyTree(from: string, to: string, signal: AbortSignal): Promise<void> {
  await mkdir(to, { recursive: true });
  for (const entry of await readdir(from, { withFileTypes: true })) {
    const [source, target] = [join(from, entry.name), join(to, entry.name)];
    if (signal.aborted) throw retry('it was ended');
    if (entry.isDirectory()) await copyTree(source, target, signal);
    else if (entry.isSymbolicLink()) await symlink(await readlink(source), target);
    else if (entry.isFile()) await copyFile(source, target, constants.COPYFILE_EXCL);
  }
}
