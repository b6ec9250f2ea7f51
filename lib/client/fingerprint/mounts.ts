import { statfs } from 'node:fs/promises';
import type { Facts, Fingerprint } from './fact.js';
import { readText } from './read.js';
import { type MountPoint, parseMounts } from './storage.js';

/** A machine with more disks than this is described by the first ones. */
const MOUNTS_MAX = 16;
/** Their server may be gone, and asking how large they are then hangs for ever. */
const REMOTE = /^(nfs4?|cifs|smb3|ceph|glusterfs|9p|fuse\..*|afs|lustre)$/;
/** What holds people's data and is no device of its own. */
const POOLED = /^(zfs|bcachefs|virtiofs)$/;

/** The disks of the machine by where they are mounted: for constraints such as "/srv/data is zfs". */
export const mountsFingerprint: Fingerprint = {
  name: 'mounts',
  periodMs: 60_000,
  onReload: true,
  async run({ config }): Promise<Facts> {
    const mounts = diskMounts((await readText('/proc/self/mounts')) ?? '', config.allocDir);
    const facts = await Promise.all(mounts.map(mountAttributes));
    return { attributes: Object.assign({}, ...facts) };
  },
};

/** Disks in /proc/self/mounts: each device once, where it lies nearest to the root; none of tasks. Pure. */
export function diskMounts(text: string, allocDir: string): MountPoint[] {
  const byDevice = new Map<string, MountPoint>();
  for (const mount of parseMounts(text)) {
    const isDisk = mount.device.startsWith('/dev/') && !mount.device.startsWith('/dev/loop');
    if (!isDisk && !REMOTE.test(mount.type) && !POOLED.test(mount.type)) continue;
    if (
      mount.path.startsWith(`${allocDir}/`) ||
      /^\/(var\/lib\/(docker|containers)|run\/containerd)\//.test(mount.path)
    ) {
      continue;
    }
    const known = byDevice.get(mount.device);
    if (!known || mount.path.length < known.path.length) byDevice.set(mount.device, mount);
  }
  return [...byDevice.values()].sort((a, b) => (a.path < b.path ? -1 : 1)).slice(0, MOUNTS_MAX);
}

/** Whether it answers by itself, without another machine. */
export function isLocal({ type }: MountPoint): boolean {
  return !REMOTE.test(type);
}

async function mountAttributes(mount: MountPoint): Promise<Record<string, string>> {
  const { device, path, type } = mount;
  const slug = path === '/' ? 'root' : path.slice(1).replace(/[^A-Za-z0-9_-]+/g, '-');
  const prefix = `unique.storage.mount.${slug}`;
  const size = isLocal(mount) ? await statfs(path).catch(() => null) : null;
  return {
    [`${prefix}.path`]: path,
    [`${prefix}.type`]: type,
    [`${prefix}.volume`]: device,
    ...(size ? { [`${prefix}.bytestotal`]: String(size.blocks * size.bsize) } : {}),
  };
}
