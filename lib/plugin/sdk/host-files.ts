import { readdir, readFile, readlink, realpath, stat } from 'node:fs/promises';
import { join } from 'node:path';
import type { TaskDevice } from './driver.js';

/** The largest file that is read here: a CDI specification of a machine with many devices has a tenth of it. */
const SIZE_MAX = 1024 * 1024;

/**
 * Reads /sys, /proc, /dev and the like of this machine, perhaps seen below another root (a container that has the host
 * mounted, a recorded tree). Paths are the host's own. Nothing throws: what is not there is null or empty.
 */
export class HostFiles {
  readonly #root: string;

  constructor(root = '/') {
    this.#root = root;
  }

  /** The text without space around it; null when it cannot be read or is empty. */
  async text(path: string): Promise<string | null> {
    const found = await readFile(this.at(path)).catch(() => null);
    if (!found || found.length > SIZE_MAX) return null;
    return found.toString('utf8').trim() || null;
  }

  /** A whole number, decimal or `0x…`; null when there is none. */
  async number(path: string): Promise<number | null> {
    const text = await this.text(path);
    const value = text === null ? Number.NaN : Number(text);
    return Number.isFinite(value) ? value : null;
  }

  /** Names in a folder, sorted so that numbers count as such. */
  async names(path: string): Promise<string[]> {
    const found = await readdir(this.at(path)).catch((): string[] => []);
    return found.sort((a, b) => a.localeCompare(b, 'en', { numeric: true }));
  }

  async exists(path: string): Promise<boolean> {
    return (await stat(this.at(path)).catch(() => null)) !== null;
  }

  /** The device node for a task; null when there is none. Drivers give the group that owns it to a task that is not root. */
  async deviceNode(path: string, taskPath = path): Promise<TaskDevice | null> {
    return (await this.exists(path)) ? { hostPath: path, taskPath, permissions: 'rwm' } : null;
  }

  /** The last part of what a symbolic link names ("amdgpu" of `…/device/driver`); null when it is none. */
  async linkName(path: string): Promise<string | null> {
    const target = await readlink(this.at(path)).catch(() => null);
    return target?.split('/').at(-1) ?? null;
  }

  /** The path without links, as the host sees it; null when it leads nowhere or out of the root. */
  async real(path: string): Promise<string | null> {
    const found = await realpath(this.at(path)).catch(() => null);
    if (found === null || this.#root === '/') return found;
    const root = await realpath(this.#root).catch(() => this.#root);
    return found.startsWith(`${root}/`) ? found.slice(root.length) : null;
  }

  /** Where the host's path is to be read. */
  at(path: string): string {
    return this.#root === '/' ? path : join(this.#root, path);
  }
}
