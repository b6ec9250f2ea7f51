import { rm } from 'node:fs/promises';
import { detachBelow, runCommand } from './mounts.js';

/**
 * Removes a directory with all that a stranger has put there; nothing there is fine. What is mounted there, or below, is detached
 * first: it is somebody's volume, home or drive in a cloud, which ends in the tree and does not belong to it. Throws when something
 * stays mounted; nothing is removed then.
 */
export async function removeTree(path: string): Promise<void> {
  await detachBelow(path);
  try {
    await rm(path, { recursive: true, force: true, maxRetries: 3, retryDelay: 100 });
  } catch (error) {
    // Node goes by whole paths, and a tree that is nested deeper than a path may be long cannot be removed by them: `rm` goes step
    // by step.
    const isDeep = error instanceof RangeError || (error as NodeJS.ErrnoException).code === 'ENAMETOOLONG';
    if (!isDeep) throw error;
    await runCommand('rm', ['-rf', '--', path]);
  }
}
