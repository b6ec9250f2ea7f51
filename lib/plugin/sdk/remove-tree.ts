import type { Dirent } from 'node:fs';
import { opendir, rmdir, unlink } from 'node:fs/promises';
import { setTimeout } from 'node:timers/promises';
import { detachBelow, runCommand } from './mounts.js';

/**
 * Names that are removed at once. Node's own `rm` begins with all names of a tree together: for a million files that took 2 GB of memory,
 * and for minutes nobody else had a turn.
 */
const NAMES_AT_ONCE = 100;
/** Of a directory in which somebody still writes. */
const TRIES = 4;
const RETRY_MS = 100;
/** A tree that is deeper than a path may be long may have many files too. */
const RM_MAX_MS = 60 * 60_000;

/**
 * Removes a directory with all that a stranger has put there; nothing there is fine. What is mounted there, or below, is detached
 * first: it is somebody's volume, home or drive in a cloud, which ends in the tree and does not belong to it. Throws when something
 * stays mounted; nothing is removed then.
 */
export async function removeTree(path: string): Promise<void> {
  await detachBelow(path);
  try {
    await removeName(Buffer.from(path), false);
  } catch (error) {
    // What goes by whole paths cannot remove a tree that is nested deeper than a path may be long: `rm` goes step by step.
    if (codeOf(error) !== 'ENAMETOOLONG') throw error;
    await runCommand('rm', ['-rf', '--', path], { timeoutMs: RM_MAX_MS });
  }
}

/** Removes all that is in a directory. */
export async function emptyDirectory(path: Buffer): Promise<void> {
  for (;;) {
    const entries = await firstNames(path);
    const isDir = (entry: Dirent<Buffer>): boolean => entry.isDirectory();
    const pathOf = ({ name }: Dirent<Buffer>): Buffer => Buffer.concat([path, Buffer.from('/'), name]);
    await Promise.all(entries.filter((entry) => !isDir(entry)).map((entry) => removeName(pathOf(entry), false)));
    for (const entry of entries.filter(isDir)) await removeName(pathOf(entry), true);
    if (entries.length < NAMES_AT_ONCE) return;
  }
}

async function firstNames(path: Buffer): Promise<Dirent<Buffer>[]> {
  const dir = await opendir(path, { encoding: 'buffer' as BufferEncoding, bufferSize: NAMES_AT_ONCE });
  try {
    const entries: Dirent<Buffer>[] = [];
    while (entries.length < NAMES_AT_ONCE) {
      const entry = await dir.read();
      if (!entry) break;
      entries.push(entry as unknown as Dirent<Buffer>);
    }
    return entries;
  } finally {
    await dir.close();
  }
}

/** A name that is gone already is fine. */
async function removeName(path: Buffer, isDir: boolean): Promise<void> {
  for (let tries = 1; ; tries++) {
    try {
      if (!isDir) {
        await unlink(path);
        return;
      }
      await emptyDirectory(path);
      await rmdir(path);
      return;
    } catch (error) {
      const code = codeOf(error);
      if (code === 'ENOENT') return;
      if (!isDir && code === 'EISDIR') isDir = true;
      else if ((code === 'ENOTEMPTY' || code === 'EBUSY') && tries < TRIES) await setTimeout(RETRY_MS);
      else throw error;
    }
  }
}

const codeOf = (error: unknown): string | undefined => (error as NodeJS.ErrnoException).code;
