import { execFile } from 'node:child_process';
import { rm } from 'node:fs/promises';
import { promisify } from 'node:util';

/**
 * Removes a directory with all that a stranger has put there; nothing there is fine. Node goes by whole paths, and a tree
 * that is nested deeper than a path may be long cannot be removed by them: `rm` goes step by step.
 */
export async function removeTree(path: string): Promise<void> {
  try {
    await rm(path, { recursive: true, force: true, maxRetries: 3, retryDelay: 100 });
  } catch (error) {
    const isDeep = error instanceof RangeError || (error as NodeJS.ErrnoException).code === 'ENAMETOOLONG';
    if (!isDeep) throw error;
    await promisify(execFile)('rm', ['-rf', '--', path]);
  }
}
