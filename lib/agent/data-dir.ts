import { mkdirSync, statSync } from 'node:fs';
import { acquireLock, Ballast, type Lock } from '../storage/index.js';
import type { Log } from '../util/log.js';

/** How often room for the next start is laid aside, should there be none yet. */
const BALLAST_MS = 60_000;

/** Makes a data directory and takes it for this process. Throws MeshError when another has it, or the disk refuses. */
export function takeDataDir(dataDir: string, log: Log, options: { runsTasks: boolean }): Lock {
  // Tasks that run as another user must be able to enter what is below, not to list it; each part closes itself.
  mkdirSync(dataDir, { recursive: true, mode: 0o711 });
  const ballast = new Ballast(dataDir);
  if (ballast.giveUp()) {
    log.warn('the disk is full: some of the room that was kept for a start is used now; free some space', {
      data_dir: dataDir,
    });
  }
  const lock = acquireLock(dataDir);
  if (options.runsTasks && (statSync(dataDir).mode & 0o001) === 0) {
    log.warn('tasks with a user of their own cannot enter the data directory: chmod o+x helps', { data_dir: dataDir });
  }
  const fill = (): void => {
    try {
      ballast.fill();
    } catch (error) {
      log.debug('no room could be laid aside for the next start', { error: String(error) });
    }
  };
  fill();
  const timer = setInterval(fill, BALLAST_MS).unref();
  return {
    release() {
      clearInterval(timer);
      lock.release();
    },
  };
}
