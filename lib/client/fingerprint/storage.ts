import { mkdir, statfs } from 'node:fs/promises';
import type { Facts, Fingerprint } from './fact.js';
import { readText } from './read.js';

/** The file system that holds the allocation directories. What is free now is what can be given out. */
export const storageFingerprint: Fingerprint = {
  name: 'storage',
  periodMs: null,
  async run({ config }): Promise<Facts> {
    await mkdir(config.allocDir, { recursive: true, mode: 0o711 });
    const { bsize, blocks, bavail } = await statfs(config.allocDir);
    const mounts = parseMounts((await readText('/proc/self/mounts')) ?? '');
    return {
      diskMb: config.diskTotalMb ?? Math.floor((bavail * bsize) / 1024 / 1024),
      attributes: {
        'unique.storage.volume': mountOf(mounts, config.allocDir)?.device ?? '',
        'unique.storage.bytestotal': String(blocks * bsize),
        'unique.storage.bytesfree': String(bavail * bsize),
      },
    };
  },
};

export interface MountPoint {
  device: string;
  path: string;
  type: string;
}

/** The lines of /proc/self/mounts; spaces in paths are written as \040. */
export function parseMounts(text: string): MountPoint[] {
  const plain = (word: string): string =>
    word.replace(/\\([0-7]{3})/g, (_, octal: string) => String.fromCharCode(Number.parseInt(octal, 8)));
  return text.split('\n').flatMap((line) => {
    const [device, path, type] = line.split(' ');
    return device && path && type ? [{ device: plain(device), path: plain(path), type }] : [];
  });
}

/** The mount that holds `path`: the longest that leads to it, the last mounted of equals. */
export function mountOf(mounts: readonly MountPoint[], path: string): MountPoint | null {
  let best: MountPoint | null = null;
  for (const mount of mounts) {
    const prefix = mount.path === '/' ? '/' : `${mount.path}/`;
    if (path !== mount.path && !path.startsWith(prefix)) continue;
    if (!best || mount.path.length >= best.path.length) best = mount;
  }
  return best;
}
