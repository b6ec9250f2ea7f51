import { type FileHandle, stat } from 'node:fs/promises';
import { dirname, relative } from 'node:path';
import { MeshError } from '../../structs/errors.js';
import type { Timers } from '../timers.js';
import { ChangeWatch } from './change.js';
import type { FrameOutput } from './output.js';
import { openFound, refuseSecrets, resolveInside } from './paths.js';

/** Largest piece of a file in one frame. */
export const FRAME_BYTES = 64 * 1024;

export interface StreamFileOptions {
  allocDir: string;
  path: string;
  offset: number;
  origin: 'start' | 'end';
  /** Bytes at most; absent or 0 = all. */
  limit?: number;
  follow: boolean;
  timers: Timers;
}

/** Sends one file from an offset on; with `follow` goes on as it grows, starts again when it is truncated, and ends when it is deleted. */
export async function streamFile(options: StreamFileOptions, output: FrameOutput): Promise<void> {
  const { allocDir, path, offset, origin, follow, timers } = options;
  const target = await resolveInside(allocDir, path);
  await refuseSecrets(allocDir, target, path);
  const kind = await stat(target);
  // Opening a pipe would wait for its writer.
  if (!kind.isFile()) {
    throw new MeshError(
      'E_BAD_REQUEST',
      `file "${path}" is ${kind.isDirectory() ? 'a directory' : 'not a regular file'}`,
    );
  }
  const file = await openFound(target, path, 'file');
  // Watched before the first read: what comes between is then not missed.
  const changes = follow ? new ChangeWatch(dirname(target), timers) : null;
  const name = relative(allocDir, target);
  try {
    const { size } = await file.stat();
    const position = origin === 'end' ? Math.max(0, size - offset) : offset;
    const cursor = { position, left: options.limit ? options.limit : Infinity };
    for (;;) {
      cursor.position = await sendFrom(file, cursor, name, output);
      if (!changes || output.signal.aborted || cursor.left <= 0) return;
      await changes.next(output.signal);
      const info = await file.stat();
      if (info.nlink === 0) {
        await sendFrom(file, cursor, name, output);
        await output.write({ File: name, Offset: cursor.position, FileEvent: 'file deleted' });
        return;
      }
      if (info.size < cursor.position) {
        cursor.position = 0;
        await output.write({ File: name, Offset: 0, FileEvent: 'file truncated' });
      }
    }
  } finally {
    changes?.close();
    await file.close();
  }
}

/** Sends what a file has from `cursor.position` on, as far as `cursor.left` allows; returns where it stopped. */
export async function sendFrom(
  file: FileHandle,
  cursor: { position: number; left: number },
  name: string,
  output: FrameOutput,
): Promise<number> {
  let { position } = cursor;
  while (!output.signal.aborted && cursor.left > 0) {
    const want = Math.min(FRAME_BYTES, cursor.left);
    const { bytesRead, buffer } = await file.read(Buffer.allocUnsafe(want), 0, want, position);
    if (bytesRead === 0) break;
    position += bytesRead;
    cursor.left -= bytesRead;
    // Offset is where the reader stands after this piece, as Nomad counts.
    await output.write({ File: name, Offset: position, Data: buffer.subarray(0, bytesRead) });
  }
  return position;
}
