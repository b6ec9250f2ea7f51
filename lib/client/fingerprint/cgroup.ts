import type { Facts, Fingerprint } from './fact.js';
import { readText } from './read.js';
import { parseMounts } from './storage.js';

/** Which control groups the kernel has, and where. */
export const cgroupFingerprint: Fingerprint = {
  name: 'cgroup',
  periodMs: null,
  async run(): Promise<Facts> {
    const mounts = parseMounts((await readText('/proc/self/mounts')) ?? '');
    const v2 = mounts.find((mount) => mount.type === 'cgroup2');
    const v1 = mounts.find((mount) => mount.type === 'cgroup');
    // Both are mounted on a hybrid machine, where the controllers belong to version 1.
    const mount = v1 ?? v2;
    if (!mount) return { attributes: {} };
    const version = v1 ? 'v1' : 'v2';
    return {
      attributes: {
        'os.cgroups.version': version.slice(1),
        'unique.cgroup.mountpoint': v1 ? '/sys/fs/cgroup' : mount.path,
        'unique.cgroup.version': version,
      },
    };
  },
};
