import { mkdir, readFile, rename, writeFile } from 'node:fs/promises';
import { dirname } from 'node:path';
import type { DriverOptions } from '../../lib/plugin/sdk/driver.js';

// Images that this driver has brought are removed some time after the last task that used them; those that were there
// before, or that a person made, are theirs. Nothing is forced: what any container uses stays.

/** After a start of the agent its tasks are taken up again first. */
const GRACE_MS = 30_000;

export interface ImageGcOptions {
  /** How long an image may lie unused. */
  delayMs: number;
  /** What is remembered over restarts of the agent. */
  path: string;
  /** Removes an image by its name; rejects when that cannot be. */
  remove: (image: string) => Promise<void>;
  log: DriverOptions['log'];
}

/** The images that may be removed: since when each is unused, in ms since the epoch; null while a task uses it. */
type Brought = Record<string, { unusedSinceMs: number | null }>;

/** Counts which task uses which image, and removes what nobody has used for a while. */
export class ImageGc {
  readonly #options: ImageGcOptions;
  readonly #startedMs = Date.now();
  /** Image by task. */
  readonly #uses = new Map<string, string>();
  #brought: Brought | undefined;
  #timer: NodeJS.Timeout | undefined;
  #saving: Promise<void> = Promise.resolve();
  #isClosed = false;

  constructor(options: ImageGcOptions) {
    this.#options = options;
  }

  /** Takes up what an earlier agent remembered. */
  async open(): Promise<void> {
    await this.#load();
    this.#plan();
  }

  /** A task uses an image from now on, which was brought for it or was there. */
  async use(taskId: string, image: string, wasBrought: boolean): Promise<void> {
    const brought = await this.#load();
    this.#uses.set(taskId, image);
    if (!wasBrought && !brought[image]) return;
    if (brought[image]?.unusedSinceMs === null) return;
    brought[image] = { unusedSinceMs: null };
    await this.#save();
  }

  /** A task is gone. */
  async release(taskId: string): Promise<void> {
    const image = this.#uses.get(taskId);
    this.#uses.delete(taskId);
    if (image === undefined || this.#isUsed(image)) return;
    const known = (await this.#load())[image];
    if (!known) return;
    known.unusedSinceMs = Date.now();
    await this.#save();
    this.#plan();
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    clearTimeout(this.#timer);
    await this.#saving;
  }

  #isUsed(image: string): boolean {
    return [...this.#uses.values()].includes(image);
  }

  #plan(): void {
    clearTimeout(this.#timer);
    if (this.#isClosed) return;
    const due = Object.entries(this.#brought ?? {}).flatMap(([image, { unusedSinceMs }]) => {
      if (this.#isUsed(image)) return [];
      // In use when an earlier agent ended, and by nobody any more.
      return [Math.max((unusedSinceMs ?? this.#startedMs) + this.#options.delayMs, this.#startedMs + GRACE_MS)];
    });
    if (due.length === 0) return;
    const delayMs = Math.max(0, Math.min(...due) - Date.now());
    this.#timer = setTimeout(() => void this.#collect(), Math.min(delayMs, 2 ** 31 - 1));
    this.#timer.unref();
  }

  async #collect(): Promise<void> {
    const brought = await this.#load();
    const now = Date.now();
    for (const [image, { unusedSinceMs }] of Object.entries(brought)) {
      if (this.#isUsed(image) || (unusedSinceMs ?? this.#startedMs) + this.#options.delayMs > now) continue;
      // One that cannot be removed is used by somebody else, who is its owner from now on.
      delete brought[image];
      await this.#options.remove(image).then(
        () => this.#options.log('info', 'an image that no task uses was removed', { image }),
        (error) => this.#options.log('debug', 'an image was not removed', { image, error: String(error) }),
      );
    }
    await this.#save();
    this.#plan();
  }

  async #load(): Promise<Brought> {
    if (!this.#brought) {
      const text = await readFile(this.#options.path, 'utf8').catch(() => '{}');
      this.#brought ??= parse(text);
    }
    return this.#brought;
  }

  #save(): Promise<void> {
    this.#saving = this.#saving.then(() => this.#write());
    return this.#saving;
  }

  async #write(): Promise<void> {
    const { path, log } = this.#options;
    try {
      await mkdir(dirname(path), { recursive: true });
      await writeFile(`${path}.new`, JSON.stringify(this.#brought));
      await rename(`${path}.new`, path);
    } catch (error) {
      // The images then stay until a person removes them.
      log('warn', 'which images may be removed cannot be written down', { error: String(error) });
    }
  }
}

function parse(text: string): Brought {
  try {
    const found = JSON.parse(text) as Brought;
    return typeof found === 'object' && found !== null ? found : {};
  } catch {
    return {};
  }
}
