import { Duplex } from 'node:stream';
import type { SecretStream } from 'hyperdht';

const BUFFER_BYTES = 64 * 1024;

/**
 * A connection of hyperdht as a stream of Node: its own streams lack write callbacks, and end the process when an error meets
 * no listener. Closes together with the connection below.
 */
export class ConnectionStream extends Duplex {
  readonly #raw: SecretStream;
  #written: (() => void) | undefined;
  #heard = false;

  /** `first`: bytes that were read of it already. */
  constructor(raw: SecretStream, first?: Buffer) {
    super({ readableHighWaterMark: BUFFER_BYTES, writableHighWaterMark: BUFFER_BYTES, emitClose: true });
    this.#raw = raw;
    // Whoever uses the stream learns of its end by 'close'; without this listener an unlucky moment would end the process.
    this.on('error', () => {});
    if (first) {
      this.#heard = true;
      this.push(first);
    }
    raw.on('data', (chunk: Buffer) => {
      this.#heard = true;
      if (!this.push(chunk)) raw.pause();
    });
    raw.on('end', () => this.push(null));
    raw.on('drain', () => this.#flushed());
    raw.on('error', (error: Error) => this.destroy(error));
    raw.on('close', () => this.destroy());
    raw.pause();
    if (raw.destroyed) queueMicrotask(() => this.destroy());
  }

  /** Whether the other side ever said a word: until then the connection may be half open. */
  get heard(): boolean {
    return this.#heard;
  }

  override _read(): void {
    this.#raw.resume();
  }

  override _write(chunk: Buffer, _encoding: BufferEncoding, done: (error?: Error) => void): void {
    if (this.#raw.destroyed) done(new Error('the connection is closed'));
    else if (this.#raw.write(chunk)) done();
    else this.#written = done;
  }

  override _final(done: () => void): void {
    // Finished is what has arrived: a stream that both sides have ended destroys itself, and would reset the other side else.
    this.#raw.once('finish', () => done());
    this.#raw.end();
  }

  override _destroy(error: Error | null, done: (error: Error | null) => void): void {
    this.#raw.destroy();
    done(error);
    this.#flushed();
  }

  #flushed(): void {
    const written = this.#written;
    this.#written = undefined;
    written?.();
  }
}
