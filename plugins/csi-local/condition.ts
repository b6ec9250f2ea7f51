import { stat, statfs } from 'node:fs/promises';
import type { StoredVolume } from './store.js';

export interface Condition {
  abnormal: boolean;
  message: string;
}

/**
 * How the data at `path` of a volume does: it may be gone, and an image that has not all of its space, such as a thin one, cannot
 * take what is written once its disk is full.
 */
export async function conditionOf(path: string, { thin }: Pick<StoredVolume, 'thin'>): Promise<Condition> {
  const found = await stat(path).catch(() => null);
  if (!found) return { abnormal: true, message: `${path} is gone` };
  const lacksSpace = found.isFile() && found.blocks * 512 < found.size;
  if (!lacksSpace || (await statfs(path)).bavail > 0) return { abnormal: false, message: '' };
  return {
    abnormal: true,
    message: `the disk of ${path} is full, and the image ${thin ? 'is thin' : 'has holes'}: what is written to it is lost`,
  };
}
