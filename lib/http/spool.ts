import { randomUUID } from 'node:crypto';
import { type FileHandle, open, unlink } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** So much is kept in memory; beyond it all that comes goes to a file. */
const MEMORY_BYTES_MAX = 4 * 1024 * 1024;
const READ_BYTES = 64 * 1024;

/** Bytes that must be known whole before the first of them is passed on: in memory, and what is too much for it in a file. */
export class Spool {
  #chunks: Uint8Array[] = [];
  #file: FileHandle | null = null;
  bytes = 0;

  /** Rejects when the file cannot be written. */
  async add(chunk: Uint8Array): Promise<void> {
    this.bytes += chunk.length;
    if (this.#file === null) {
      this.#chunks.push(chunk);
      if (this.bytes <= MEMORY_BYTES_MAX) return;
      this.#file = await openNameless();
      const chunks = this.#chunks;
      this.#chunks = [];
      for (const before of chunks) await writeAll(this.#file, before);
      return;
    }
    await writeAll(this.#file, chunk);
  }

  /** All of it, from the beginning. */
  async *read(): AsyncGenerator<Uint8Array, void, undefined> {
    if (this.#file === null) {
      yield* this.#chunks;
      return;
    }
    for (let at = 0; at < this.bytes; ) {
      const buffer = Buffer.allocUnsafe(READ_BYTES);
      const { bytesRead } = await this.#file.read(buffer, 0, READ_BYTES, at);
      if (bytesRead === 0) throw new Error('a temporary file has become shorter');
      yield buffer.subarray(0, bytesRead);
      at += bytesRead;
    }
  }

  /** Forgets everything. */
  async close(): Promise<void> {
    this.#chunks = [];
    await this.#file?.close();
    this.#file = null;
  }
}

/** A file that is gone once it is closed, however this process ends. */
async function openNameless(): Promise<FileHandle> {
  const path = join(tmpdir(), `meshnomad-${randomUUID()}`);
  const file = await open(path, 'wx+', 0o600);
  await unlink(path);
  return file;
}

async function writeAll(file: FileHandle, chunk: Uint8Array): Promise<void> {
  for (let at = 0; at < chunk.length; ) {
    const { bytesWritten } = await file.write(chunk, at);
    at += bytesWritten;
  }
}
