import { existsSync } from 'node:fs';
import { dirname, join } from 'node:path';
import {
  type Cgroups,
  handDown,
  ifAllowed,
  inheritCpuset,
  makeDirs,
  readGroup,
  removeGroup,
  writeGroup,
} from '../../lib/plugin/sdk/cgroup-tree.js';
import type { TaskConfig } from '../../lib/plugin/sdk/driver.js';
import { cpuShares, memoryLimits } from './cgroup.js';

// A control group for a task that no container runtime makes one for: limits of its memory and processor, as Nomad's raw_exec
// has them since 1.7.

/**
 * Makes the group `path` with the limits of a task; the `cgroup.procs` files that its first process has to be written to.
 * Null: this agent may make none.
 */
export function makeCgroup(cgroups: Cgroups, path: string, resources: TaskConfig['resources']): string[] | null {
  return ifAllowed(() =>
    (cgroups.version === 2
      ? makeUnified(cgroups.root, path, resources)
      : makeSplit(cgroups.roots, path, resources)
    ).map((dir) => join(dir, 'cgroup.procs')),
  );
}

/** Kills what is still in the group, and removes it. Idempotent. Throws when something of it cannot be killed. */
export async function removeCgroup(cgroups: Cgroups, path: string): Promise<void> {
  for (const dir of dirsOf(cgroups, path)) await removeGroup(dir);
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
      writeGroup(dir, 'memory.limit_in_bytes', hardBytes);
      // Without swap; a kernel that does not count it lacks the file.
      writeIfThere(dir, 'memory.memsw.limit_in_bytes', hardBytes);
    }
    if (softBytes !== null) writeGroup(dir, 'memory.soft_limit_in_bytes', softBytes);
  });
  make('cpu', roots['cpu'], (dir) => writeGroup(dir, 'cpu.shares', cpuShares(cpuMhz)));
  if (cores.length > 0) {
    make('cpuset', roots['cpuset'], (dir) => {
      writeGroup(dir, 'cpuset.cpus', cores.join(','));
      writeGroup(dir, 'cpuset.mems', readGroup(dirname(dir), 'cpuset.mems'));
    });
  }
  return made;
}

function makeUnified(root: string, path: string, { cpuMhz, cores, ...memory }: TaskConfig['resources']): string[] {
  const dir = join(root, path);
  makeDirs(root, dirname(path));
  const wanted = ['memory', 'cpu', ...(cores.length > 0 ? ['cpuset'] : [])];
  for (let above = root; ; above = join(above, partBelow(above, dir))) {
    handDown(above, wanted);
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

function dirsOf(cgroups: Cgroups, path: string): string[] {
  if (cgroups.version === 2) return [join(cgroups.root, path)];
  const roots = ['memory', 'cpu', 'cpuset'].flatMap((name) => cgroups.roots[name] ?? []);
  return [...new Set(roots)].map((root) => join(root, path));
}

function writeIfThere(dir: string, file: string, value: number | string): void {
  if (existsSync(join(dir, file))) writeGroup(dir, file, value);
}
