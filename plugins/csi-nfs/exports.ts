import { createHash } from 'node:crypto';
import { mkdir, rmdir } from 'node:fs/promises';
import { join } from 'node:path';
import { CsiError } from '../../lib/plugin/sdk/csi.js';
import type { Turns } from '../../lib/plugin/sdk/csi-checks.js';
import { CommandError, mountAt, runCommand } from '../../lib/plugin/sdk/mounts.js';
import { type Place, sourceOf } from './place.js';

/** Whoever waits for a server that is gone waits no longer than this. */
const UNMOUNT_TIMEOUT_MS = 20_000;

/** Mounts a directory of a server. Throws CsiError: NOT_FOUND when the server has no such directory, else UNAVAILABLE. */
export async function mountNfs(place: Place, target: string, options: readonly string[]): Promise<void> {
  // One try: the orchestrator repeats the call, and says meanwhile what is wrong.
  const flags = ['retry=0', ...options];
  try {
    await runCommand('mount', ['-t', 'nfs', '-o', flags.join(','), '--', sourceOf(place), target]);
  } catch (error) {
    if (!(error instanceof CommandError)) throw error;
    const isMissing = /No such file or directory/.test(error.said);
    const what = `cannot mount ${sourceOf(place)}: ${error.said || error.message}`;
    throw new CsiError(isMissing ? 'NOT_FOUND' : 'UNAVAILABLE', what);
  }
}

/** Unmounts, also when the server does not answer any more. Idempotent. */
export async function unmountNfs(target: string): Promise<void> {
  while (await mountAt(target)) {
    try {
      await runCommand('umount', ['--', target], { timeoutMs: UNMOUNT_TIMEOUT_MS });
    } catch (error) {
      const isBusy = error instanceof CommandError && /busy/.test(error.said);
      if (isBusy) throw error;
      await runCommand('umount', ['-f', '-l', '--', target], { timeoutMs: UNMOUNT_TIMEOUT_MS });
    }
  }
}

/** Where the controller looks into exports: each is mounted only while something is done in it. */
export class Exports {
  readonly #workDir: string;
  readonly #options: readonly string[];
  readonly #turns: Turns;

  constructor(workDir: string, options: readonly string[], turns: Turns) {
    this.#workDir = workDir;
    this.#options = options;
    this.#turns = turns;
  }

  /** Runs `work` with the path at which the whole export is mounted. */
  async with<T>(place: Pick<Place, 'server' | 'share'>, work: (root: string) => Promise<T>): Promise<T> {
    const key = createHash('sha256').update(`${place.server}#${place.share}`).digest('hex').slice(0, 16);
    const root = join(this.#workDir, key);
    return this.#turns.take(root, async () => {
      await mkdir(root, { recursive: true, mode: 0o700 });
      // What a plugin that died has left mounted may be of a server that is gone.
      await unmountNfs(root);
      await mountNfs({ ...place, directory: '' }, root, this.#options);
      try {
        return await work(root);
      } finally {
        await unmountNfs(root);
        await rmdir(root);
      }
    });
  }

  /** Makes the directory of these mounts. */
  async open(): Promise<void> {
    await mkdir(this.#workDir, { recursive: true, mode: 0o700 });
  }
}
