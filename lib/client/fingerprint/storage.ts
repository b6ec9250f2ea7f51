import { mkdir, statfs } from 'node:fs/promises';
import type { Facts, Fingerprint } from './fact.js';
import { readText } from './read.js';

const MIB = 1 << 20;
/** Less is not worth telling the servers of. */
const GROWTH_MIN = 0.05;

/**
 * The file system that holds the allocation directories. What is free when the agent starts can be given out, and more when more is free
 * later: an agent that started on a full disk is of use as soon as there is room. Less free later is what was given out.
 */
export const storageFingerprint: Fingerprint = {
  name: 'storage',
  periodMs: 10_000,
  async run({ config, before }): Promise<Facts> {
    await mkdir(config.allocDir, { recursive: true, mode: 0o711 });
    const { bsize, blocks, bavail } = await statfs(config.allocDir);
    const grown = bavail * bsize - (before?.diskMb ?? 0) * MIB;
    if (before && (config.diskTotalMb !== null || grown < blocks * bsize * GROWTH_MIN)) return before;
    const mounts = parseMounts((await readText('/proc/self/mounts')) ?? '');
    return {
      diskMb: config.diskTotalMb ?? Math.floor((bavail * bsize) / MIB),
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
