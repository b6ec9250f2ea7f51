import { realpath, stat } from 'node:fs/promises';
import { listMounts, type MountEntry, mountHolding } from '../../lib/plugin/sdk/mounts.js';

/** Where a directory is mounted besides its own place: the targets of its bind mounts. */
export async function bindRoots(directory: string): Promise<string[]> {
  const path = await realpath(directory).catch(() => null);
  if (path === null) return [];
  const device = deviceOf((await stat(path)).dev);
  return rootsIn(await listMounts(), path, device);
}

/** Pure: `path` lies on the newest mount that holds it, and the binds of it have the same root in the same file system. */
export function rootsIn(mounts: readonly MountEntry[], path: string, device: string): string[] {
  const holder = mountHolding(mounts, path);
  if (!holder) return [];
  const below = path.slice(holder.target === '/' ? 0 : holder.target.length);
  const root = `${holder.root === '/' ? '' : holder.root}${below}` || '/';
  return mounts.filter((entry) => entry.device === device && entry.root === root).map(({ target }) => target);
}

/** As mountinfo writes it (major and minor of glibc's makedev). */
function deviceOf(dev: number): string {
  const big = BigInt(dev);
  const major = ((big >> 8n) & 0xfffn) | ((big >> 32n) & ~0xfffn);
  const minor = (big & 0xffn) | ((big >> 12n) & ~0xffn & 0xffffffffn);
  return `${major}:${minor}`;
}
