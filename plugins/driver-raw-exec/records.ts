import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { DriverError, type ExitResult, type TaskConfig, type TaskHandle } from '../../lib/plugin/sdk/driver.js';
import { SupervisorLink } from './link.js';

// What lies in the directory of a task, and what its handle says.

/** What finds a task again, in `TaskHandle.state`. */
export interface SupervisedState {
  dir: string;
  supervisorPid: number;
  taskPid: number;
  /** When the task's first process started, in ticks since boot: tells it from a later process of the same number. */
  startTicks: number;
  bootId: string;
}

/** The state in a handle, undefined when it is not one of this driver and version. */
export function parseState(handle: TaskHandle, own: { driver: string; version: number }): SupervisedState | undefined {
  const { dir, supervisorPid, taskPid, startTicks, bootId } = handle.state;
  if (handle.driver !== own.driver || handle.version !== own.version) return undefined;
  if (typeof dir !== 'string' || typeof bootId !== 'string') return undefined;
  if (typeof supervisorPid !== 'number' || typeof taskPid !== 'number' || typeof startTicks !== 'number')
    return undefined;
  return { dir, supervisorPid, taskPid, startTicks, bootId };
}

/** The record the supervisor leaves (supervisor/main.c), undefined while there is none. */
export async function readExit(dir: string): Promise<ExitResult | undefined> {
  const text = await readFile(join(dir, 'exit'), 'utf8').catch(() => '');
  const match = /^(\d+) (\d+) \d+\n$/.exec(text);
  if (!match) return undefined;
  return { exitCode: Number(match[1]), signal: Number(match[2]), oomKilled: false };
}

/** Null when no supervisor listens there. Throws a recoverable DriverError when that cannot be said, which is no reason to kill. */
export async function connectIfThere(dir: string): Promise<SupervisorLink | null> {
  try {
    return await SupervisorLink.connect(dir);
  } catch (error) {
    const code = (error as { code?: unknown }).code;
    // EPIPE: it was just about to end; its record tells.
    if (code === 'ENOENT' || code === 'ECONNREFUSED' || (code === 'EPIPE' && (await readExit(dir)))) return null;
    throw new DriverError(`the supervisor in ${dir} cannot be reached: ${code}`, { recoverable: true, cause: error });
  }
}

/** Starts of one task have directories of one prefix; names of tasks may hold what a file's name may not. */
export function dirPrefix(task: TaskConfig): string {
  return `${task.allocId.replace(/[^\w-]/g, '_')}.${digest(task.name)}.`;
}

export function dirName(task: TaskConfig): string {
  return `${dirPrefix(task)}${digest(task.id)}`;
}

/** Twelve hexadecimal digits that stand for a text in file names. */
export function digest(text: string): string {
  return createHash('sha256').update(text).digest('hex').slice(0, 12);
}
