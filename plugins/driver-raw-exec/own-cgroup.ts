import { existsSync, mkdirSync, readFileSync, rmdirSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { TaskConfig } from '../../lib/plugin/sdk/driver.js';
import { type Cgroups, cpuShares, memoryLimits } from './cgroup.js';

// A control group for a task that no container runtime makes one for: limits of its memory and processor, as Nomad's raw_exec
// has them since 1.7. The files are the kernel's own, in memory: nothing here waits for a disk.

/** What cannot be set where an agent may not: in a container, or as a user of few rights. */
const NOT_ALLOWED = new Set(['EACCES', 'EPERM', 'EROFS', 'ENOENT']);
const EMPTY_WITHIN_MS = 5_000;
const POLL_MS = 20;

/**
 * Makes the group `path` with the limits of a task; the `cgroup.procs` files that its first process has to be written to.
 * Null: this agent may make none.
 */
export function makeCgroup(cgroups: Cgroups, path: string, resources: TaskConfig['resources']): string[] | null {
  try {
    return (
      cgroups.version === 2 ? makeUnified(cgroups.root, path, resources) : makeSplit(cgroups.roots, path, resources)
    ).map((dir) => join(dir, 'cgroup.procs'));
  } catch (error) {
    if (NOT_ALLOWED.has((error as NodeJS.ErrnoException).code ?? '')) return null;
    throw error;
  }
}

/** Kills what is still in the group, and removes it. Idempotent. Throws when something of it cannot be killed. */
export async function removeCgroup(cgroups: Cgroups, path: string): Promise<void> {
  for (const dir of dirsOf(cgroups, path)) {
    for (let waitedMs = 0; existsSync(dir); waitedMs += POLL_MS) {
      killAll(dir);
      try {
        rmdirSync(dir);
      } catch (error) {
        // What was killed is in it until it is collected.
        if ((error as NodeJS.ErrnoException).code !== 'EBUSY' || waitedMs >= EMPTY_WITHIN_MS) throw error;
        await sleep(POLL_MS);
      }
    }
  }
}

function makeSplit(
  roots: Readonly<Record<string, string>>,
  path: string,
  { cpuMhz, cores, ...memory }: TaskConfig['resources'],
): string[] {
  const made: string[] = [];
  const make = (controller: string, root: string | undefined, fill: (dir: string) => void): void => {
    if (root === undefined) return;
    const dir = makeDirs(root, path);
    if (controller === 'cpuset') inheritCpuset(dirname(dir));
    fill(dir);
    if (!made.includes(dir)) made.push(dir);
  };
  const { hardBytes, softBytes } = memoryLimits(memory);
  make('memory', roots['memory'], (dir) => {
    if (hardBytes !== null) {
      write(dir, 'memory.limit_in_bytes', hardBytes);
      // Without swap; a kernel that does not count it lacks the file.
      writeIfThere(dir, 'memory.memsw.limit_in_bytes', hardBytes);
    }
    if (softBytes !== null) write(dir, 'memory.soft_limit_in_bytes', softBytes);
  });
  make('cpu', roots['cpu'], (dir) => write(dir, 'cpu.shares', cpuShares(cpuMhz)));
  if (cores.length > 0) {
    make('cpuset', roots['cpuset'], (dir) => {
      write(dir, 'cpuset.cpus', cores.join(','));
      write(dir, 'cpuset.mems', read(dirname(dir), 'cpuset.mems'));
    });
  }
  return made;
}

/** A group of version 1 has neither cores nor memory nodes before it is told some, nor may those below it have any then. */
function inheritCpuset(dir: string): void {
  if (read(dir, 'cpuset.cpus') !== '') return;
  if (!existsSync(join(dirname(dir), 'cpuset.cpus'))) return;
  inheritCpuset(dirname(dir));
  for (const file of ['cpuset.cpus', 'cpuset.mems']) write(dir, file, read(dirname(dir), file));
}

function makeUnified(root: string, path: string, { cpuMhz, cores, ...memory }: TaskConfig['resources']): string[] {
  const dir = join(root, path);
  makeDirs(root, dirname(path));
  const wanted = ['memory', 'cpu', ...(cores.length > 0 ? ['cpuset'] : [])];
  for (let above = root; ; above = join(above, partBelow(above, dir))) {
    const present = read(above, 'cgroup.controllers').split(' ');
    const handed = read(above, 'cgroup.subtree_control').split(' ');
    for (const name of wanted)
      if (present.includes(name) && !handed.includes(name)) write(above, 'cgroup.subtree_control', `+${name}`);
    if (above === dirname(dir)) break;
  }
  makeDirs(root, path);
  const { hardBytes, softBytes } = memoryLimits(memory);
  if (hardBytes !== null) {
    writeIfThere(dir, 'memory.max', hardBytes);
    writeIfThere(dir, 'memory.swap.max', 0);
  }
  if (softBytes !== null) writeIfThere(dir, 'memory.low', softBytes);
  writeIfThere(dir, 'cpu.weight', weightOf(cpuShares(cpuMhz)));
  if (cores.length > 0) writeIfThere(dir, 'cpuset.cpus', cores.join(','));
  return [dir];
}

/** The next folder on the way from `above` down to `dir`. */
function partBelow(above: string, dir: string): string {
  return dir.slice(above.length + 1).split('/')[0] ?? '';
}

/** Shares (2 to 262144) as a weight of version 2 (1 to 10000): the runtimes' formula. */
export function weightOf(shares: number): number {
  return Math.min(10_000, 1 + Math.floor(((shares - 2) * 9999) / 262_142));
}

/** Not `recursive`, which tries for ever where the kernel lets nobody make a directory. */
function makeDirs(root: string, path: string): string {
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

function dirsOf(cgroups: Cgroups, path: string): string[] {
  if (cgroups.version === 2) return [join(cgroups.root, path)];
  const roots = ['memory', 'cpu', 'cpuset'].flatMap((name) => cgroups.roots[name] ?? []);
  return [...new Set(roots)].map((root) => join(root, path));
}

function killAll(dir: string): void {
  for (const word of read(dir, 'cgroup.procs').split('\n')) {
    if (word === '') continue;
    try {
      process.kill(Number(word), 'SIGKILL');
    } catch {
      // It ended by itself meanwhile.
    }
  }
}

function read(dir: string, file: string): string {
  try {
    return readFileSync(join(dir, file), 'utf8').trim();
  } catch {
    return '';
  }
}

function write(dir: string, file: string, value: number | string): void {
  writeFileSync(join(dir, file), String(value));
}

function writeIfThere(dir: string, file: string, value: number | string): void {
  if (existsSync(join(dir, file))) write(dir, file, value);
}
