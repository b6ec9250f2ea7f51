import { mkdir, readFile, realpath, rename, stat, writeFile } from 'node:fs/promises';
import { dirname } from 'node:path';
import { listMounts, type MountEntry, mountHolding } from '../../plugin/sdk/mounts.js';
import type { Millis } from '../../util/clock.js';
import { sleep, type Timers } from '../timers.js';

/** A server of files that is gone keeps whoever asks: it is said after this, and nobody asks again before the first has heard. */
const ANSWER_MS: Millis = 5_000;

/** Where a directory lay when it was last seen whole. */
interface Place {
  /** Its path without links. */
  real: string;
  inode: number;
  /** Where the file system that it is on is mounted, and of what. */
  mount: string;
  source: string;
}

export interface VolumePlacesOptions {
  /** Where it is written down; null: only for as long as this process lives. */
  file: string | null;
  timers: Timers;
  mounts?: () => Promise<readonly MountEntry[]>;
}

/**
 * Remembers on which file systems the directories of host volumes are. A directory that something is to be mounted on is there
 * before it is, and empty: whoever took it for the volume would write beside it.
 */
export class VolumePlaces {
  readonly #options: VolumePlacesOptions;
  readonly #asked = new Map<string, Promise<string | null>>();
  #places = new Map<string, Place>();
  #saving: Promise<void> = Promise.resolve();

  constructor(options: VolumePlacesOptions) {
    this.#options = options;
  }

  /** A record that cannot be read is passed over: then what is there is taken for whole, as at the first start. */
  async open(): Promise<void> {
    const { file } = this.#options;
    const text = file === null ? null : await readFile(file, 'utf8').catch(() => null);
    try {
      this.#places = new Map(Object.entries(JSON.parse(text ?? '{}') as Record<string, Place>));
    } catch {
      this.#places = new Map();
    }
  }

  /** Why the directory at `path` is not what it was; null when it is, or is seen for the first time. */
  async problem(path: string): Promise<string | null> {
    const asked = this.#asked.get(path) ?? this.#look(path).finally(() => this.#asked.delete(path));
    this.#asked.set(path, asked);
    const answered = new AbortController();
    const late = sleep(this.#options.timers, ANSWER_MS, answered.signal).then(
      () => `${path} does not answer: is the server of its file system there?`,
    );
    return Promise.race([asked, late]).finally(() => answered.abort());
  }

  /** What is known of other paths is forgotten. Rejects when the disk does not take it. */
  async keepOnly(paths: ReadonlySet<string>): Promise<void> {
    const before = this.#places.size;
    this.#places = new Map([...this.#places].filter(([path]) => paths.has(path)));
    if (this.#places.size !== before) await this.#save();
  }

  /** A person says that the volume is what is there now. */
  forget(path: string): void {
    this.#places.delete(path);
  }

  async #look(path: string): Promise<string | null> {
    // An automounter mounts now.
    const info = await stat(path).catch(() => null);
    if (!info || !(info.isDirectory() || info.isFile())) return `${path} does not exist`;
    const real = await realpath(path);
    const mounts = await (this.#options.mounts ?? listMounts)().catch(() => []);
    const holding = mountHolding(mounts, real);
    if (!holding) return null;
    const now: Place = { real, inode: info.ino, mount: holding.target, source: holding.source };
    const known = this.#places.get(path);
    if (known && isElsewhere(known, now, mounts)) {
      const { file } = this.#options;
      const advice =
        file === null ? '' : `; if its data is in the bare directory now, remove ${file} and restart the agent`;
      return `${known.source} is not mounted at ${known.mount}, where it was${advice}`;
    }
    if (known && isSame(known, now)) return null;
    this.#places.set(path, now);
    await this.#save().catch(() => {});
    return null;
  }

  async #save(): Promise<void> {
    const { file } = this.#options;
    if (file === null) return;
    const text = JSON.stringify(Object.fromEntries(this.#places));
    const write = async (): Promise<void> => {
      await mkdir(dirname(file), { recursive: true });
      await writeFile(`${file}.tmp`, text, { mode: 0o600, flush: true });
      await rename(`${file}.tmp`, file);
    };
    this.#saving = this.#saving.then(write, write);
    await this.#saving;
  }
}

/**
 * Whether the directory is not on the file system that it was on, since that is not mounted. A mount that only shows another part of the same file
 * system (a sandbox of systemd makes such) may go: then the directory is the same one.
 */
function isElsewhere(known: Place, now: Place, mounts: readonly MountEntry[]): boolean {
  if (known.real !== now.real || mounts.some(({ target }) => target === known.mount)) return false;
  return known.inode !== now.inode || known.source !== now.source;
}

const isSame = (known: Place, now: Place): boolean =>
  known.real === now.real && known.inode === now.inode && known.mount === now.mount && known.source === now.source;
