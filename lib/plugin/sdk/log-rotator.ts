import { constants } from 'node:fs';
import { type FileHandle, lstat, open, readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';

/** Where a stream of output has got to: the number of the file being written and its size. */
export interface LogPosition {
  index: number;
  sizeBytes: number;
}

export interface LogRotatorOptions {
  dir: string;
  /** `<task>.stdout` or `<task>.stderr`: the files are `<name>.N`, the highest N being written. */
  name: string;
  maxFiles: number;
  maxFileSizeBytes: number;
  /** Go on from here: what was written beyond is cut off, since its source will give it again. */
  resumeAt?: LogPosition;
}

/** Writes a task's output to rotated files. A file is ended at a line's end where one fits. */
export class LogRotator {
  readonly #options: LogRotatorOptions;
  #file: FileHandle;
  #index: number;
  #sizeBytes: number;

  private constructor(options: LogRotatorOptions, file: FileHandle, at: LogPosition) {
    this.#options = options;
    this.#file = file;
    this.#index = at.index;
    this.#sizeBytes = at.sizeBytes;
  }

  /** Opens the newest file, or the one to resume at. */
  static async open(options: LogRotatorOptions): Promise<LogRotator> {
    await refuseLink(options.dir);
    const present = await indexesOf(options.dir, options.name);
    const { resumeAt } = options;
    if (resumeAt)
      for (const index of present.filter((index) => index > resumeAt.index)) await rm(pathOf(options, index));
    const index = resumeAt?.index ?? present.at(-1) ?? 0;
    const file = await openLog(pathOf(options, index));
    const { size } = await file.stat();
    const sizeBytes = Math.min(size, resumeAt?.sizeBytes ?? size);
    if (size > sizeBytes) await file.truncate(sizeBytes);
    return new LogRotator(options, file, { index, sizeBytes });
  }

  get position(): LogPosition {
    return { index: this.#index, sizeBytes: this.#sizeBytes };
  }

  /** Appends; calls must not overlap. Throws what the file system throws, with nothing counted beyond what was written. */
  async write(data: Buffer): Promise<void> {
    let rest = data;
    while (rest.length > 0) {
      const fits = fittingBytes(rest, this.#options.maxFileSizeBytes - this.#sizeBytes, this.#sizeBytes > 0);
      if (fits === 0) {
        await this.#rotate();
        continue;
      }
      const { bytesWritten } = await this.#file.write(rest, 0, fits);
      this.#sizeBytes += bytesWritten;
      rest = rest.subarray(bytesWritten);
    }
  }

  async close(): Promise<void> {
    await this.#file.close();
  }

  async #rotate(): Promise<void> {
    await refuseLink(this.#options.dir);
    const next = await openLog(pathOf(this.#options, this.#index + 1));
    await this.#file.close();
    this.#file = next;
    this.#index++;
    this.#sizeBytes = (await next.stat()).size;
    const kept = this.#index - this.#options.maxFiles;
    for (const index of await indexesOf(this.#options.dir, this.#options.name)) {
      if (index <= kept) await rm(pathOf(this.#options, index), { force: true });
    }
  }
}

/** How many of the bytes go into a file with `roomBytes` left: up to the last line's end that fits; 0 asks for a new file. */
export function fittingBytes(data: Buffer, roomBytes: number, hasContent: boolean): number {
  if (data.length <= roomBytes) return data.length;
  if (roomBytes <= 0) return hasContent ? 0 : Math.min(data.length, 1);
  const lineEnd = data.lastIndexOf(0x0a, roomBytes - 1) + 1;
  if (lineEnd > 0) return lineEnd;
  // A line longer than a whole file must be cut somewhere.
  return hasContent ? 0 : roomBytes;
}

const APPEND = constants.O_WRONLY | constants.O_APPEND | constants.O_CREAT;

/**
 * The task can write in the directory of its logs (a container has it as /alloc/logs): what it has put in the place of a
 * file (a link to one of the host, a pipe nobody reads) is removed, never written to.
 */
async function openLog(path: string): Promise<FileHandle> {
  const safe = constants.O_NOFOLLOW | constants.O_NONBLOCK;
  const file = await open(path, APPEND | safe, 0o644).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ELOOP' || error.code === 'ENXIO') return null;
    throw error;
  });
  const info = await file?.stat();
  // Another name of a file of the host is as good as a link.
  if (file && info?.isFile() && info.nlink === 1) return file;
  await file?.close();
  await rm(path, { force: true });
  return await open(path, APPEND | safe | constants.O_EXCL, 0o644);
}

async function refuseLink(dir: string): Promise<void> {
  const info = await lstat(dir);
  if (!info.isDirectory()) throw new Error(`${dir} is a link or no directory: the task has replaced it`);
}

function pathOf(options: LogRotatorOptions, index: number): string {
  return join(options.dir, `${options.name}.${index}`);
}

/** The numbers of the files of one stream, ascending. */
async function indexesOf(dir: string, name: string): Promise<number[]> {
  const prefix = `${name}.`;
  return (await readdir(dir))
    .filter((file) => file.startsWith(prefix) && /^\d+$/.test(file.slice(prefix.length)))
    .map((file) => Number(file.slice(prefix.length)))
    .sort((a, b) => a - b);
}
