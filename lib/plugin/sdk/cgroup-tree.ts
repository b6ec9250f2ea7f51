import { existsSync, mkdirSync, readdirSync, readFileSync, rmdirSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

// Control groups are folders of the kernel's: finding, making and removing them. The files are in memory: nothing here waits for a disk.

const EMPTY_WITHIN_MS = 5_000;
const POLL_MS = 20;
/** What an agent may not do in a container, or as a user of few rights. */
const NOT_ALLOWED = new Set(['EACCES', 'EPERM', 'EROFS', 'ENOENT']);

/** Where the controllers' trees are mounted. */
export type Cgroups =
  | { version: 2; root: string }
  /** `unified`: a tree of version 2 without controllers that is there too, null = none. */
  | { version: 1; roots: Readonly<Record<string, string>>; unified: string | null };

/** Reads /proc/self/mounts; undefined when none are mounted. */
export function findCgroups(mounts = readFileSync('/proc/self/mounts', 'utf8')): Cgroups | undefined {
  const roots: Record<string, string> = {};
  let unified: string | undefined;
  for (const line of mounts.split('\n')) {
    const [, path = '', type, options = ''] = line.split(' ');
    if (type === 'cgroup2') unified ??= path;
    if (type === 'cgroup') for (const word of options.split(',')) roots[word] ??= path;
  }
  if (roots['memory'] !== undefined) return { version: 1, roots, unified: unified ?? null };
  return unified === undefined ? undefined : { version: 2, root: unified };
}

/** The result of `make`; null when this agent may make no groups. */
export function ifAllowed<T>(make: () => T): T | null {
  try {
    return make();
  } catch (error) {
    if (NOT_ALLOWED.has((error as NodeJS.ErrnoException).code ?? '')) return null;
    throw error;
  }
}

/** Makes the folders of `path` below `root`. Not `recursive`, which tries for ever where the kernel lets nobody make a directory. */
export function makeDirs(root: string, path: string): string {
  let dir = root;
  for (const part of path.split('/').filter((word) => word !== '')) {
    dir = join(dir, part);
    try {
      mkdirSync(dir, { mode: 0o755 });
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
    }
  }
  return dir;
}

/** A group of version 1 has neither cores nor memory nodes before it is told some, nor may those below it have any then. */
export function inheritCpuset(dir: string): void {
  if (readGroup(dir, 'cpuset.cpus') !== '') return;
  if (!existsSync(join(dirname(dir), 'cpuset.cpus'))) return;
  inheritCpuset(dirname(dir));
  for (const file of ['cpuset.cpus', 'cpuset.mems']) writeGroup(dir, file, readGroup(dirname(dir), file));
}

/** Version 2: lets the groups below `dir` use those of the controllers that it has itself. */
export function handDown(dir: string, controllers: readonly string[]): void {
  const present = readGroup(dir, 'cgroup.controllers').split(' ');
  const handed = readGroup(dir, 'cgroup.subtree_control').split(' ');
  for (const name of controllers)
    if (present.includes(name) && !handed.includes(name)) writeGroup(dir, 'cgroup.subtree_control', `+${name}`);
}

/** Kills what is still in the group `dir` and those below it, and removes them. Idempotent. Throws when something cannot be killed. */
export async function removeGroup(dir: string): Promise<void> {
  for (const below of foldersIn(dir)) await removeGroup(join(dir, below));
  for (let waitedMs = 0; existsSync(dir); waitedMs += POLL_MS) {
    killAll(dir);
    try {
      rmdirSync(dir);
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException;
      if (code === 'ENOENT') return;
      // What was killed is in it until it is collected.
      if (code !== 'EBUSY' || waitedMs >= EMPTY_WITHIN_MS) throw error;
      await sleep(POLL_MS);
    }
  }
}

/** What a file of a group says; '' when it cannot be read. */
export function readGroup(dir: string, file: string): string {
  try {
    return readFileSync(join(dir, file), 'utf8').trim();
  } catch {
    return '';
  }
}

export function writeGroup(dir: string, file: string, value: number | string): void {
  writeFileSync(join(dir, file), String(value));
}

function foldersIn(dir: string): string[] {
  try {
    return readdirSync(dir, { withFileTypes: true }).flatMap((entry) => (entry.isDirectory() ? [entry.name] : []));
  } catch {
    return [];
  }
}

function killAll(dir: string): void {
  for (const word of readGroup(dir, 'cgroup.procs').split('\n')) {
    if (word === '' || word === '0') continue;
    try {
      process.kill(Number(word), 'SIGKILL');
    } catch {
      // It ended by itself meanwhile.
    }
  }
}
