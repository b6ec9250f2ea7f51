import { constants } from 'node:fs';
import { type FileHandle, open, readlink, realpath } from 'node:fs/promises';
import { join, normalize, sep } from 'node:path';
import { MeshError } from '../../structs/errors.js';

// A caller names files by paths inside an allocation's directory; tasks may have put links there that lead anywhere.

/** The real host path of `path` within `allocDir`. Throws MeshError when it leads out of it or does not exist. */
export async function resolveInside(allocDir: string, path: string): Promise<string> {
  // Normalised as an absolute path first: '..' cannot climb above the root.
  const asked = normalize(`/${path}`);
  if (path.split('/').includes('..') && escapes(path)) throw escapeError();
  const root = await realpath(allocDir).catch(() => {
    throw new MeshError('E_NOT_FOUND', `the allocation has no directory here: ${allocDir}`);
  });
  const target = await realpath(join(root, asked)).catch((cause: NodeJS.ErrnoException) => {
    if (cause.code === 'ENOENT' || cause.code === 'ENOTDIR') {
      throw new MeshError('E_NOT_FOUND', `stat ${asked}: no such file or directory`);
    }
    throw cause;
  });
  if (target !== root && !target.startsWith(root + sep)) throw escapeError();
  return target;
}

/** How each kind of thing is opened. A place is only looked at: O_PATH, which Node has no name for, opens not even a pipe. */
const FLAGS = { file: constants.O_NONBLOCK, directory: constants.O_DIRECTORY, place: 0o10000000 };

/**
 * Opens what `resolveInside` has found, for reading: a task may exchange a directory for a link in between, and a file for a
 * pipe, which nobody waits at. Throws MeshError when it did.
 */
export async function openFound(target: string, path: string, kind: keyof typeof FLAGS): Promise<FileHandle> {
  const flags = FLAGS[kind];
  const found = await open(target, constants.O_RDONLY | constants.O_NOFOLLOW | flags);
  const same = await readlink(`/proc/self/fd/${found.fd}`).catch(() => target);
  const info = await found.stat();
  const isSo = { file: info.isFile(), directory: info.isDirectory(), place: true }[kind];
  if (same === target && isSo) return found;
  await found.close();
  throw new MeshError('E_CONFLICT', `"${path}" was exchanged while it was opened: try again`);
}

/** Refuses what lies in a task's `secrets` or `private` directory: its content never leaves the node. */
export async function refuseSecrets(allocDir: string, target: string, path: string): Promise<void> {
  const root = await realpath(allocDir);
  const [task, part] = target.slice(root.length + 1).split(sep);
  if (task !== undefined && task !== 'alloc' && (part === 'secrets' || part === 'private')) {
    throw new MeshError('E_PERMISSION_DENIED', `Reading secret file prohibited: ${path}`);
  }
}

/** True when the '..' in a relative path outnumber what stands before them. */
function escapes(path: string): boolean {
  let depth = 0;
  for (const part of path.split('/')) {
    if (part === '' || part === '.') continue;
    depth += part === '..' ? -1 : 1;
    if (depth < 0) return true;
  }
  return false;
}

function escapeError(): MeshError {
  return new MeshError('E_BAD_REQUEST', 'Path escapes the alloc directory');
}
