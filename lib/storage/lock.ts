import { linkSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { MeshError } from '../structs/errors.js';
import { storageError } from './disk.js';

const NAME = 'agent.lock';

/** Who holds a data directory. A process id alone may have been given to another process since. */
interface Holder {
  readonly pid: number;
  /** The kernel's start time of the process, in ticks since boot; '' where there is no /proc. */
  readonly started: string;
  readonly boot: string;
}

/** Releases a data directory; harmless when called twice. */
export interface Lock {
  release(): void;
}

/**
 * Takes a data directory for this process, so that two agents never write to the same one. What a dead process left is
 * taken over. Throws MeshError E_CONFLICT with the holder's process id and what to do.
 */
export function acquireLock(folder: string): Lock {
  const path = join(folder, NAME);
  const mine = `${path}.${process.pid}`;
  const content = JSON.stringify({ ...holder(process.pid), boot: bootId() });
  try {
    mkdirSync(folder, { recursive: true, mode: 0o700 });
    writeFileSync(mine, content, { mode: 0o600 });
    try {
      // A link is made whole or not at all, and never over another.
      while (!tryLink(mine, path)) removeStale(path, folder);
    } finally {
      rmSync(mine, { force: true });
    }
  } catch (error) {
    throw storageError('lock', folder, error);
  }
  return {
    release() {
      if (read(path) === content) rmSync(path, { force: true });
    },
  };
}

function tryLink(from: string, to: string): boolean {
  try {
    linkSync(from, to);
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EEXIST') return false;
    throw error;
  }
}

/** Removes the lock of a dead process; throws when its holder lives. */
function removeStale(path: string, folder: string): void {
  const found = read(path);
  assertDead(found, path, folder);
  // Two starting agents may both have judged it stale: what is moved away must be what was judged.
  const aside = `${path}.stale.${process.pid}`;
  try {
    renameSync(path, aside);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return;
    throw error;
  }
  const moved = read(aside);
  if (moved !== found) tryLink(aside, path);
  rmSync(aside, { force: true });
  if (moved !== found) assertDead(moved, path, folder);
}

function assertDead(content: string, path: string, folder: string): void {
  let told: Partial<Holder> = {};
  try {
    told = JSON.parse(content);
  } catch {
    // Links carry whole files: something else wrote this one.
  }
  const { pid, started, boot } = told;
  if (typeof pid !== 'number') return;
  const isAlive = boot === bootId() && (started === '' ? isRunning(pid) : holder(pid).started === started);
  if (!isAlive) return;
  throw new MeshError(
    'E_CONFLICT',
    `${folder} is in use by process ${pid}: stop that agent, or give this one another -data-dir ` +
      `(should process ${pid} be no meshnomad agent, remove ${path})`,
  );
}

function holder(pid: number): { pid: number; started: string } {
  // Field 22 of stat; the command in parentheses may itself hold blanks and parentheses (proc(5)).
  const stat = read(`/proc/${pid}/stat`);
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  const isGone = fields[0] === 'Z' || fields[0] === 'X';
  return { pid, started: isGone ? '' : (fields[19] ?? '') };
}

function isRunning(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
}

export function bootId(): string {
  return read('/proc/sys/kernel/random/boot_id').trim();
}

function read(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return '';
  }
}
