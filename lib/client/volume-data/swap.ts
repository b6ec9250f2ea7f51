import { execFile } from 'node:child_process';
import { lstat, mkdir, readdir, rename, stat } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { promisify } from 'node:util';
import { removeTree } from '../../plugin/sdk/remove-tree.js';
import { MeshError } from '../../structs/errors.js';

// A restored tree is written beside the directory of its volume and takes its place by renames:
//
//     .X.restoring-<id>   being written
//     X → .X.replaced-<id>, .X.restoring-<id> → X        the swap
//     .X.replaced-<id> removed
//
// Whoever was killed on the way finds by the names how far it came.

const run = promisify(execFile);

export interface Swap {
  readonly path: string;
  readonly staging: string;
  readonly replaced: string;
}

/** Is told what could not be removed, and why. */
export type Left = (path: string, why: Error) => void;

export function swapOf(path: string, id: string): Swap {
  const name = (what: string): string => join(dirname(path), `.${basename(path)}.${what}-${id}`);
  return { path, staging: name('restoring'), replaced: name('replaced') };
}

/** Makes the empty directory to write into. 'done': an earlier attempt had come to its end, but for the old data. */
export async function prepareSwap(swap: Swap): Promise<'empty' | 'done'> {
  const { path, staging, replaced } = swap;
  if (await isDir(replaced)) {
    if ((await isDir(path)) && !(await isDir(staging))) return 'done';
    // It was taken away, and what was to come into its place is not whole for certain.
    if (!(await isDir(path))) await rename(replaced, path);
  }
  await removeTree(staging);
  await mkdir(dirname(path), { recursive: true, mode: 0o711 });
  await requireOwnDisk(path);
  await mkdir(staging, { mode: 0o700 });
  return 'empty';
}

/** What was written takes its place, and is on the disk before what was there is gone. */
export async function commitSwap({ path, staging, replaced }: Swap): Promise<void> {
  await syncDisk(staging);
  if (await isDir(path)) await rename(path, replaced);
  await rename(staging, path);
  await syncDisk(path);
}

/** Removes what was there before. The volume is exchanged already: what cannot be removed, an immutable file say, is told and stays. */
export async function endSwap({ replaced }: Swap, left: Left): Promise<void> {
  await removeTree(replaced).catch((error: Error) => left(replaced, error));
}

/** Nothing comes of it: the volume is as it was. */
export async function undoSwap({ path, staging, replaced }: Swap): Promise<void> {
  if (!(await isDir(path)) && (await isDir(replaced))) await rename(replaced, path);
  await removeTree(staging);
}

const LEFT = /^\..+\.(restoring|replaced)-[0-9a-f-]{36}$/;

/**
 * Removes what restores that nobody asks for any more have left in a directory, but what was taken away and has nothing in its
 * place: that goes back. What cannot be removed is told: the agent begins all the same.
 */
export async function sweepSwaps(folder: string, isWanted: (id: string) => boolean, left: Left): Promise<void> {
  for (const name of await readdir(folder).catch(() => [])) {
    const found = LEFT.exec(name);
    const id = name.slice(-36);
    if (!found || isWanted(id)) continue;
    const path = join(folder, name.slice(1, -`.${found[1]}-${id}`.length));
    const here = join(folder, name);
    const isAlone = found[1] === 'replaced' && !(await isDir(path));
    await (isAlone ? rename(here, path) : removeTree(here)).catch((error: Error) => left(here, error));
  }
}

/** A volume that is a mount of its own cannot be renamed. */
async function requireOwnDisk(path: string): Promise<void> {
  const [own, parent] = await Promise.all([stat(path).catch(() => null), stat(dirname(path))]);
  if (own === null || own.dev === parent.dev) return;
  throw new MeshError(
    'E_NOT_SUPPORTED',
    `${path} is a disk of its own, whose content cannot be exchanged at once: restore beside it, under another name (-as)`,
  );
}

async function isDir(path: string): Promise<boolean> {
  return (await lstat(path).catch(() => null))?.isDirectory() === true;
}

/** One file system as a whole: file by file it would take a write for each. */
export async function syncDisk(path: string): Promise<void> {
  await run('sync', ['-f', path]).catch(() => run('sync'));
}
