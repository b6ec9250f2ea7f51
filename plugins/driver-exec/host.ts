import { readFile, stat } from 'node:fs/promises';
import { DriverError, type TaskConfig, type TaskDevice } from '../../lib/plugin/sdk/driver.js';
import { listMounts, mountHolding } from '../../lib/plugin/sdk/mounts.js';
import type { DeviceNode } from './bundle.js';

/** What the machine knows of the device nodes a task is given. Throws a DriverError when one is none. */
export function findDevices(wanted: readonly TaskDevice[]): Promise<DeviceNode[]> {
  return Promise.all(
    wanted.map(async ({ hostPath, taskPath, permissions }) => {
      const found = await stat(hostPath, { bigint: true }).catch(() => undefined);
      const type = found?.isCharacterDevice() ? 'c' : found?.isBlockDevice() ? 'b' : undefined;
      if (!found || !type) {
        throw new DriverError(`${hostPath} is no device node on this machine`, { recoverable: false });
      }
      return {
        path: taskPath,
        type,
        // The kernel's packing of both numbers (makedev(3)).
        major: Number(((found.rdev >> 8n) & 0xfffn) | ((found.rdev >> 32n) & ~0xfffn)),
        minor: Number((found.rdev & 0xffn) | ((found.rdev >> 12n) & ~0xffn)),
        fileMode: Number(found.mode & 0o777n),
        uid: Number(found.uid),
        gid: Number(found.gid),
        access: permissions || 'rwm',
      };
    }),
  );
}

/**
 * Refuses what would be shared with nobody. The runtime makes the mount private on which the task's root lies, and so whatever else
 * of that mount the task is given; a mount that is not shared has nobody to share with. Throws a DriverError.
 */
export async function refuseUnshared({ mounts, taskDir }: Pick<TaskConfig, 'mounts' | 'taskDir'>): Promise<void> {
  const shared = mounts.filter(({ propagation }) => propagation === 'bidirectional');
  if (shared.length === 0) return;
  const known = await listMounts();
  const ofRoot = mountHolding(known, taskDir);
  for (const { hostPath, taskPath } of shared) {
    const holder = mountHolding(known, hostPath);
    if (holder?.isShared && holder.target !== ofRoot?.target) continue;
    const why = holder?.isShared
      ? `it lies on ${holder.target}, as the task's own root does`
      : 'its mount is not shared';
    throw new DriverError(
      `what is mounted in ${taskPath} would not be seen at ${hostPath}: ${why}; make it a mount of its own: mount --bind ${hostPath} ${hostPath} && mount --make-shared ${hostPath}`,
      { recoverable: false },
    );
  }
}

/** A resolv.conf with what the job says; what it does not say is the machine's. */
export async function resolvText(dns: NonNullable<TaskConfig['dns']>): Promise<string> {
  const own = await readFile('/etc/resolv.conf', 'utf8').catch(() => '');
  const ownLines = (word: string): string[] => own.split('\n').filter((line) => line.startsWith(`${word} `));
  const servers = dns.servers.map((server) => `nameserver ${server}`);
  const searches = dns.searches.length > 0 ? [`search ${dns.searches.join(' ')}`] : ownLines('search');
  const options = dns.options.length > 0 ? [`options ${dns.options.join(' ')}`] : ownLines('options');
  const lines = [...(servers.length > 0 ? servers : ownLines('nameserver')), ...searches, ...options];
  return `${lines.join('\n')}\n`;
}
