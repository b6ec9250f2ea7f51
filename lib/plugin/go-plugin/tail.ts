import { closeSync, type FSWatcher, fstatSync, ftruncateSync, openSync, readSync, watch } from 'node:fs';
import { StringDecoder } from 'node:string_decoder';

// A plugin's output goes to a file and not into a pipe: the reader of a pipe dies with the agent, and a Go program that writes
// to a pipe without a reader is killed for it.

const TURN_BYTES = 262_144;
/** Between two turns, so that a plugin which prints without end costs little. */
const TURN_MS = 50;
/** What has been read is removed from the file once it is this much; so is what nobody can read as fast as it comes. */
const FILE_BYTES_MAX = 1_048_576;

/** Follows a file that another process appends to. */
export class FileTail {
  readonly #fd: number;
  readonly #decoder = new StringDecoder('utf8');
  readonly #onText: (text: string) => void;
  #watcher: FSWatcher | undefined;
  #timer: NodeJS.Timeout | undefined;
  #offset: number;
  #isClosed = false;

  /** `from`: where to begin. Throws what the file system throws. */
  constructor(path: string, options: { from: 'start' | 'end'; onText: (text: string) => void }) {
    this.#fd = openSync(path, 'r+');
    this.#onText = options.onText;
    this.#offset = options.from === 'end' ? fstatSync(this.#fd).size : 0;
    try {
      this.#watcher = watch(path, { persistent: false }, () => this.#soon());
      this.#watcher.on('error', () => {});
    } catch {
      // No more watches to be had (fs.inotify.max_user_watches): it is read when somebody asks, and at the end.
    }
    this.#soon();
  }

  /** Reads what is new, up to a limit. */
  read(): void {
    if (this.#isClosed) return;
    const buffer = Buffer.allocUnsafe(TURN_BYTES);
    const count = readSync(this.#fd, buffer, 0, TURN_BYTES, this.#offset);
    this.#offset += count;
    if (count > 0) this.#onText(this.#decoder.write(buffer.subarray(0, count)));
    const { size } = fstatSync(this.#fd);
    if (size <= FILE_BYTES_MAX) {
      if (size > this.#offset) this.#soon();
      return;
    }
    const lostBytes = size - this.#offset;
    // The writer appends, so that it goes on at the new end.
    ftruncateSync(this.#fd, 0);
    this.#offset = 0;
    if (lostBytes > 0) this.#onText(`\n(${lostBytes} bytes were printed too fast, and are lost)\n`);
  }

  close(): void {
    if (this.#isClosed) return;
    this.read();
    this.#isClosed = true;
    clearTimeout(this.#timer);
    this.#watcher?.close();
    closeSync(this.#fd);
  }

  #soon(): void {
    if (this.#timer || this.#isClosed) return;
    this.#timer = setTimeout(() => {
      this.#timer = undefined;
      this.read();
    }, TURN_MS).unref();
  }
}
