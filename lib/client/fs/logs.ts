import { constants } from 'node:fs';
import { type FileHandle, lstat, open, readdir } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { MeshError } from '../../structs/errors.js';
import type { Timers } from '../timers.js';
import { ChangeWatch } from './change.js';
import type { FrameOutput } from './output.js';
import { sendFrom } from './stream.js';

export interface StreamLogsOptions {
  /** `<alloc>/alloc/logs`. */
  logDir: string;
  task: string;
  type: 'stdout' | 'stderr';
  offset: number;
  origin: 'start' | 'end';
  follow: boolean;
  /** True when the task can write no more: following then ends with the last byte. */
  isOver: () => boolean;
  timers: Timers;
}

interface LogFile {
  index: number;
  size: number;
}

/**
 * Sends a task's output as one stream over its rotated files `<task>.<type>.0`, `.1`, …: the offset counts over all
 * files that still exist, from the oldest or back from the newest end.
 */
export async function streamLogs(options: StreamLogsOptions, output: FrameOutput): Promise<void> {
  await refuseLinkedDir(options.logDir);
  const changes = options.follow ? new ChangeWatch(options.logDir, options.timers) : null;
  try {
    let cursor = startOf(await listLogs(options), options.offset, options.origin);
    while (!output.signal.aborted) {
      // Asked before reading: what was written before the end is then surely read.
      const over = options.isOver();
      const next = await sendLog(options, cursor, output);
      if (next.index !== cursor.index) {
        cursor = next;
        continue;
      }
      cursor = next;
      if (!changes || over) return;
      await changes.next(output.signal);
    }
  } finally {
    changes?.close();
  }
}

/** Tasks can put a link in the place of the directory too. */
async function refuseLinkedDir(logDir: string): Promise<void> {
  const info = await lstat(logDir).catch(() => null);
  if (!info)
    throw new MeshError('E_NOT_FOUND', 'the allocation has no logs here any more: its directory was collected');
  if (!info.isDirectory()) throw noLog(logDir);
}

/** Where an offset lies in a sequence of files. */
export function startOf(
  files: readonly LogFile[],
  offset: number,
  origin: 'start' | 'end',
): { index: number; position: number } {
  const first = files[0];
  if (!first) return { index: 0, position: 0 };
  const total = files.reduce((sum, { size }) => sum + size, 0);
  let left = origin === 'start' ? offset : Math.max(0, total - offset);
  for (const { index, size } of files.slice(0, -1)) {
    if (left < size) return { index, position: left };
    left -= size;
  }
  const last = files.at(-1) ?? first;
  return { index: last.index, position: Math.min(left, last.size) };
}

/** Sends one file to its end; returns the same index when it is the newest, else where to go on. */
async function sendLog(
  options: StreamLogsOptions,
  cursor: { index: number; position: number },
  output: FrameOutput,
): Promise<{ index: number; position: number }> {
  const name = `${options.task}.${options.type}.${cursor.index}`;
  const file = await openIfThere(join(options.logDir, name));
  try {
    const at = { position: cursor.position, left: Infinity };
    const send = async (): Promise<void> => {
      if (file) at.position = await sendFrom(file, at, name, output);
    };
    await send();
    const newer = (await listLogs(options)).find(({ index }) => index > cursor.index);
    if (!newer) return { index: cursor.index, position: at.position };
    // The writer has moved on, so this file is complete now; it was not surely so at the read before.
    await send();
    return { index: newer.index, position: 0 };
  } finally {
    await file?.close();
  }
}

async function openIfThere(path: string): Promise<FileHandle | null> {
  // The task can write there: a link would show any file of the host, a pipe would wait for its writer.
  const flags = constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK;
  const file = await open(path, flags).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return null;
    if (error.code === 'ELOOP' || error.code === 'ENXIO') throw noLog(path);
    throw error;
  });
  if (!file || (await file.stat()).isFile()) return file;
  await file.close();
  throw noLog(path);
}

function noLog(path: string): MeshError {
  return new MeshError('E_BAD_REQUEST', `${basename(path)} is not a regular file: the task has replaced its log`);
}

/** The files of a log, oldest first. */
async function listLogs({ logDir, task, type }: StreamLogsOptions): Promise<LogFile[]> {
  const prefix = `${task}.${type}.`;
  const names = await readdir(logDir).catch(() => []);
  const files = names.flatMap((name) => {
    const index = name.startsWith(prefix) ? name.slice(prefix.length) : '';
    return /^\d+$/.test(index) ? [{ name, index: Number(index) }] : [];
  });
  const sized = files.map(async ({ name, index }) => {
    const info = await lstat(join(logDir, name)).catch(() => null);
    return info ? [{ index, size: info.size }] : [];
  });
  return (await Promise.all(sized)).flat().sort((a, b) => a.index - b.index);
}
