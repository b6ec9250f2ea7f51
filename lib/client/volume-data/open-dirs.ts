import { constants } from 'node:fs';
import { type FileHandle, mkdir, open } from 'node:fs/promises';
import type { Entry } from '../../archive/index.js';
import { MeshError } from '../../structs/errors.js';
import { onDisk } from './walk.js';

const DIRECTORY = constants.O_RDONLY | constants.O_DIRECTORY | constants.O_NOFOLLOW;

/** A directory that is held open, and what it is to be like in the end. */
interface OpenDir {
  readonly name: string;
  readonly handle: FileHandle;
  readonly entry: Entry | null;
}

/** The path of a name in a directory that is held open; names have a character for each byte. */
export const nameIn = (dir: FileHandle, name: string): Buffer => onDisk(`/proc/self/fd/${dir.fd}/${name}`);

/** A path as the directory that it lies in, and its name there. */
export function splitPath(path: string): { parts: string[]; name: string } {
  const parts = path.split('/');
  return { name: parts.pop() as string, parts };
}

/**
 * The directories on the way to where a tree is being written, each opened from the one before: no link that was written is ever
 * followed. A directory gets its owner, mode and times when the last name in it has been written.
 */
export class OpenDirs {
  readonly #root: OpenDir;
  #open: OpenDir[] = [];
  readonly #style: (handle: FileHandle, entry: Entry) => Promise<void>;

  /** `root` is an empty directory. */
  static async open(root: string, style: (handle: FileHandle, entry: Entry) => Promise<void>): Promise<OpenDirs> {
    return new OpenDirs({ name: '', handle: await open(root, DIRECTORY), entry: null }, style);
  }

  private constructor(root: OpenDir, style: (handle: FileHandle, entry: Entry) => Promise<void>) {
    this.#root = root;
    this.#style = style;
  }

  /** The directory with this path; those that the walk has left are closed. Throws E_STORAGE when none was written there. */
  async enter(parts: readonly string[]): Promise<FileHandle> {
    let same = 0;
    while (same < this.#open.length && same < parts.length && this.#open[same]?.name === parts[same]) same++;
    await this.#leave(same);
    if (same < parts.length) throw astray(parts.join('/'));
    return this.#last.handle;
  }

  /** Makes a directory where the walk is. */
  async make(entry: Entry): Promise<void> {
    const { parts, name } = splitPath(entry.path);
    const parent = await this.enter(parts);
    await mkdir(nameIn(parent, name), { mode: 0o700 });
    this.#open.push({ name, entry, handle: await open(nameIn(parent, name), DIRECTORY) });
  }

  /** Opens a directory that was written before, apart from where the walk is; the caller closes it. */
  async reopen(parts: readonly string[]): Promise<FileHandle> {
    let handle = await open(`/proc/self/fd/${this.#root.handle.fd}`, constants.O_RDONLY | constants.O_DIRECTORY);
    for (const part of parts) {
      const next = await open(nameIn(handle, part), DIRECTORY).catch(() => null);
      await handle.close();
      if (!next) throw astray(parts.join('/'));
      handle = next;
    }
    return handle;
  }

  /** Everything is written; `root` is what the volume itself is to be like. */
  async finish(root: Entry | null): Promise<void> {
    await this.#leave(0);
    if (root) await this.#style(this.#root.handle, root);
  }

  async close(): Promise<void> {
    for (const { handle } of this.#open.splice(0)) await handle.close();
    await this.#root.handle.close();
  }

  get #last(): OpenDir {
    return this.#open.at(-1) ?? this.#root;
  }

  async #leave(depth: number): Promise<void> {
    while (this.#open.length > depth) {
      const { handle, entry } = this.#open.pop() as OpenDir;
      try {
        if (entry) await this.#style(handle, entry);
      } finally {
        await handle.close();
      }
    }
  }
}

function astray(path: string): MeshError {
  return new MeshError(
    'E_STORAGE',
    `the snapshot cannot be read: no directory ${JSON.stringify(path)} is in it where it should be`,
  );
}
