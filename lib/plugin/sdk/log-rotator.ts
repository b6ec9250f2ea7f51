import { type FileHandle, open, readdir, rm } from 'node:fs/promises';
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
    const present = await indexesOf(options.dir, options.name);
    const { resumeAt } = options;
    if (resumeAt)
      for (const index of present.filter((index) => index > resumeAt.index)) await rm(pathOf(options, index));
    const index = resumeAt?.index ?? present.at(-1) ?? 0;
    const file = await open(pathOf(options, index), 'a');
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
    const next = await open(pathOf(this.#options, this.#index + 1), 'a');
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
