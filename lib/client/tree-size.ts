import type { Stats } from 'node:fs';
import { lstat, opendir, realpath } from 'node:fs/promises';
import { join } from 'node:path';
import { listMounts } from '../plugin/sdk/mounts.js';

/** Larger trees are counted this far: who fills a disk has done so long before. */
const ENTRIES_MAX = 200_000;

/**
 * The bytes that a directory takes up on its file system: no link is followed, nothing that is mounted below is counted, a file with
 * several names counts once. What vanishes meanwhile is passed over; a directory that is not there takes up nothing.
 */
export async function treeSize(root: string): Promise<number> {
  const top = await lstat(root).catch(() => null);
  if (!top) return 0;
  // By their places: what is bound from the same file system has the number of its device.
  const mounted = new Set((await listMounts()).map(({ target }) => target));
  const real = await realpath(root);
  const pending = [real];
  const seen = new Set<number>();
  let bytes = spaceOf(top);
  let left = ENTRIES_MAX;
  for (let dir = pending.pop(); dir !== undefined; dir = pending.pop()) {
    const entries = await opendir(dir).catch(() => null);
    if (!entries) continue;
    for await (const { name } of entries) {
      if (--left < 0) return bytes;
      const path = join(dir, name);
      if (mounted.has(path)) continue;
      const info = await lstat(path).catch(() => null);
      if (!info) continue;
      if (info.isDirectory()) pending.push(path);
      else if (info.nlink > 1) {
        if (seen.has(info.ino)) continue;
        seen.add(info.ino);
      }
      bytes += spaceOf(info);
    }
  }
  return bytes;
}

/** A sparse file takes less than its size. */
function spaceOf({ blocks }: Stats): number {
  return blocks * 512;
}
