import { readdirSync, readFileSync, readlinkSync, rmSync } from 'node:fs';
import { setTimeout as wait } from 'node:timers/promises';
import { listMounts, type MountEntry, parseMountInfo, runCommand } from '../plugin/sdk/mounts.js';
import { readNote } from './lease-guard.js';

// Run on its own, when a lease has ended and no agent has stopped what writes (lease-guard.ts). Whoever wrote the tasks' drivers
// is not asked: what counts is who has the volume in hand.

/** Between being asked to end and being killed. */
const TERM_MS = 8_000;
const LOOK_MS = 250;
const ROUNDS_MAX = 20;

/** Ends every process that uses the volumes named in the file, and unmounts these; what is not mounted is passed over. */
export async function fence(file: string): Promise<void> {
  const note = readNote(file);
  if (!note) return;
  const mounts = (await listMounts()).filter(({ target }) => note.targets.includes(target));
  const untilMs = Date.now() + TERM_MS;
  for (const pid of usersOf(mounts)) send(pid, 'SIGTERM');
  while (usersOf(mounts).length > 0 && Date.now() < untilMs) await wait(LOOK_MS);
  // Whoever is killed may have begun another before.
  for (let round = 0; round < ROUNDS_MAX; round++) {
    const users = usersOf(mounts);
    if (users.length === 0) break;
    for (const pid of users) send(pid, 'SIGKILL');
    await wait(LOOK_MS);
  }
  for (const target of note.targets) {
    for (const mount of mounts) if (mount.target === target) await unmount(target);
  }
  rmSync(file, { force: true });
}

/** What lies in no memory any more is written by nobody: so first the orderly way, which waits for that. */
async function unmount(target: string): Promise<void> {
  try {
    await runCommand('umount', [target], { timeoutMs: 15_000 });
  } catch {
    await runCommand('umount', ['-l', target], { timeoutMs: 15_000 }).catch(() => {});
  }
}

/** Processes that have one of the mounts in hand: an open file or directory in it, or a view of the file systems of their own with it. */
export function usersOf(mounts: readonly MountEntry[]): number[] {
  const targets = mounts.map(({ target }) => target);
  const kinds = new Set(mounts.map(({ device, root }) => `${device} ${root}`));
  const home = linkOf('/proc/self/ns/mnt');
  const pids = readdirSync('/proc').filter((name) => /^\d+$/.test(name) && Number(name) !== process.pid);
  return pids.filter((pid) => uses(pid, { targets, kinds, home })).map(Number);
}

/** Processes that have a file or a directory at or below one of the paths open, or are in one. */
export function usersIn(targets: readonly string[]): number[] {
  const pids = readdirSync('/proc').filter((name) => /^\d+$/.test(name) && Number(name) !== process.pid);
  return pids.filter((pid) => isIn(pid, targets)).map(Number);
}

function uses(
  pid: string,
  { targets, kinds, home }: { targets: readonly string[]; kinds: ReadonlySet<string>; home: string },
): boolean {
  const namespace = linkOf(`/proc/${pid}/ns/mnt`);
  if (namespace === '') return false;
  if (namespace !== home && mountsOf(pid).some(({ device, root }) => kinds.has(`${device} ${root}`))) return true;
  return isIn(pid, targets);
}

function isIn(pid: string, targets: readonly string[]): boolean {
  const isInside = (path: string): boolean =>
    targets.some((target) => path === target || path.startsWith(`${target}/`) || path === `${target} (deleted)`);
  if (isInside(linkOf(`/proc/${pid}/cwd`)) || isInside(linkOf(`/proc/${pid}/root`))) return true;
  return handlesOf(pid).some((fd) => isInside(linkOf(`/proc/${pid}/fd/${fd}`)));
}

function mountsOf(pid: string): MountEntry[] {
  try {
    return parseMountInfo(readFileSync(`/proc/${pid}/mountinfo`, 'utf8'));
  } catch {
    return [];
  }
}

function handlesOf(pid: string): string[] {
  try {
    return readdirSync(`/proc/${pid}/fd`);
  } catch {
    return [];
  }
}

/** '' when it is not there any more. */
function linkOf(path: string): string {
  try {
    return readlinkSync(path);
  } catch {
    return '';
  }
}

function send(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(pid, signal);
  } catch {
    // It has ended by itself.
  }
}
