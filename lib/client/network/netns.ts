import { readdir, readlink, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { mustRun } from './program.js';

// Named network namespaces, made and removed with ip(8): the way in which `ip netns` and CNI plugins know them, and
// without native code. A namespace lives as long as its name (a mount) or a process in it.

const NETNS_DIR = '/run/netns';

export function netnsPath(name: string): string {
  return join(NETNS_DIR, name);
}

/** The inode of the namespace under this name; null when there is none (or only the file on which it was mounted). */
export async function netnsInode(name: string): Promise<number | null> {
  const [named, own] = await Promise.all([stat(netnsPath(name)).catch(() => null), stat('/proc/self/ns/net')]);
  return named && named.dev === own.dev ? named.ino : null;
}

/**
 * Makes the namespace, if it is not there. One whose mount was lost while processes live in it (the agent's unit was
 * restarted with mounts of its own, or somebody removed the name) gets its name back: `formerInode` tells it.
 */
export async function ensureNetns(name: string, formerInode: number | null): Promise<number> {
  const present = await netnsInode(name);
  if (present !== null) return present;
  // `ip netns add` refuses a name whose file is there.
  await rm(netnsPath(name), { force: true });
  const pid = formerInode === null ? null : await findProcessIn(formerInode);
  if (pid === null) await mustRun('ip', ['netns', 'add', name]);
  else await mustRun('ip', ['netns', 'attach', name, String(pid)]);
  const inode = await netnsInode(name);
  if (inode === null) throw new Error(`network namespace ${name} was made and is not there`);
  return inode;
}

/** Takes the name away; the namespace goes with the last process in it. Idempotent. */
export async function removeNetns(name: string): Promise<void> {
  if ((await netnsInode(name)) !== null) await mustRun('ip', ['netns', 'delete', name]);
  await rm(netnsPath(name), { force: true });
}

/** Tasks of a group without a network reach each other over loopback. */
export async function raiseLoopback(name: string): Promise<void> {
  await mustRun('ip', ['-n', name, 'link', 'set', 'lo', 'up']);
}

async function findProcessIn(inode: number): Promise<number | null> {
  const wanted = `net:[${inode}]`;
  for (const entry of await readdir('/proc')) {
    if (!/^\d+$/.test(entry)) continue;
    if ((await readlink(`/proc/${entry}/ns/net`).catch(() => '')) === wanted) return Number(entry);
  }
  return null;
}
