import { lstat, open, readlink, realpath, symlink } from 'node:fs/promises';
import { join } from 'node:path';
import { type ChrootEntry, chrootEntries } from '../plugin/sdk/chroot.js';
import { bindMount, listMounts, type MountEntry, runCommand } from '../plugin/sdk/mounts.js';
import type { AllocPaths, TaskPaths } from './alloc-dir.js';
import { holdDir, insidePath } from './sandbox.js';

// Drivers that shut a task up in its directory (`chroot`) find the machine's programs in there: Nomad's client copies or links
// some 100,000 files for that. Here they are bound, read-only: nothing is written, and nothing of the machine can be changed
// through them, by a task or by whoever removes the directory.

/**
 * Makes a task's directory the root of all that it sees: `chroot` (path on the machine → path in the task) and the group's
 * `alloc` directory. What is there already is left as it is. Needs root; throws CommandError, SandboxError.
 */
export async function buildChroot(
  { taskDir, sharedDir }: Pick<AllocPaths & TaskPaths, 'taskDir' | 'sharedDir'>,
  chroot: Readonly<Record<string, string>>,
): Promise<void> {
  const known = await listMounts();
  // The kernel tells where things really are.
  const root = await realpath(taskDir);
  for (const entry of await chrootEntries(chroot)) {
    if (entry.kind === 'link') await ensureLink(root, entry);
    else await ensureBound(root, { ...entry, readOnly: true }, known);
  }
  await ensureBound(root, { to: '/alloc', source: sharedDir, isDirectory: true, readOnly: false }, known);
}

interface Bound {
  to: string;
  source: string;
  isDirectory: boolean;
  readOnly: boolean;
}

async function ensureBound(taskDir: string, bound: Bound, known: readonly MountEntry[]): Promise<void> {
  const target = join(taskDir, bound.to);
  const there = known.findLast((mount) => mount.target === target);
  // An agent that was killed may have left one between its two steps: bound, and not yet read-only.
  if (there && (!bound.readOnly || there.options.includes('ro'))) return;
  if (there) await runCommand('umount', ['--', target]);
  await ensurePlace(taskDir, bound);
  await bindMount(bound.source, target, { readOnly: bound.readOnly });
  // What is mounted on the machine later on is not for the task, and the other way round.
  await runCommand('mount', ['--make-private', '--', target]);
  const made = (await listMounts()).findLast((mount) => mount.target === target);
  if (!made || (bound.readOnly && !made.options.includes('ro'))) {
    throw new Error(`${bound.source} could not be shown in the task's root: ${target} leads elsewhere`);
  }
}

/** A mount needs something of its kind below it. */
async function ensurePlace(taskDir: string, { to, isDirectory }: Pick<Bound, 'to' | 'isDirectory'>): Promise<void> {
  const { root, parts } = insidePath(taskDir, to);
  const name = isDirectory ? null : (parts.pop() as string);
  // Step by step and over no link: a task of root may have left some since its last start.
  const held = await holdDir({ root, parts }, { mode: 0o755 });
  try {
    if (name === null || (await lstat(held.at(name)).catch(() => null))?.isFile()) return;
    await (await open(held.at(name), 'wx', 0o644)).close();
  } finally {
    await held.handle.close();
  }
}

async function ensureLink(taskDir: string, { to, text }: Extract<ChrootEntry, { kind: 'link' }>): Promise<void> {
  const path = join(taskDir, to);
  try {
    await symlink(text, path);
  } catch (cause) {
    if ((await readlink(path).catch(() => undefined)) === text) return;
    throw new Error(`the task's root cannot be built: ${path} is in the way`, { cause });
  }
}
