import { type FileHandle, open, rm } from 'node:fs/promises';

const BUFFER_BYTES = 256 * 1024;

/** A list that may be longer than memory is large, on its way: a file that is written, cut back, and read once. */
export class Spool {
  readonly #path: string;
  readonly #file: FileHandle;
  #pending: Uint8Array[] = [];
  #pendingBytes = 0;
  #flushed = 0;

  static async open(path: string): Promise<Spool> {
    await rm(path, { force: true });
    return new Spool(path, await open(path, 'wx+', 0o600));
  }

  private constructor(path: string, file: FileHandle) {
    this.#path = path;
    this.#file = file;
  }

  get length(): number {
    return this.#flushed + this.#pendingBytes;
  }

  async write(piece: Uint8Array): Promise<void> {
    this.#pending.push(piece);
    this.#pendingBytes += piece.length;
    if (this.#pendingBytes >= BUFFER_BYTES) await this.#flush();
  }

  /** Forgets what was written after that length. */
  async cut(length: number): Promise<void> {
    await this.#flush();
    this.#flushed = length;
  }

  /** Fills the buffer from a place on; answers how much there was. */
  async read(into: Uint8Array, position: number): Promise<number> {
    await this.#flush();
    const wanted = Math.min(into.length, this.#flushed - position);
    let at = 0;
    while (at < wanted) {
      const { bytesRead } = await this.#file.read(into, at, wanted - at, position + at);
      if (bytesRead === 0) break;
      at += bytesRead;
    }
    return at;
  }

  async close(): Promise<void> {
    await this.#file.close();
    await rm(this.#path, { force: true });
  }

  async #flush(): Promise<void> {
    if (this.#pendingBytes === 0) return;
    const bytes = Buffer.concat(this.#pending);
    this.#pending = [];
    this.#pendingBytes = 0;
    for (let at = 0; at < bytes.length; ) {
      at += (await this.#file.write(bytes, at, bytes.length - at, this.#flushed + at)).bytesWritten;
    }
    this.#flushed += bytes.length;
  }
}
