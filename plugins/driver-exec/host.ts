import { readFile, stat } from 'node:fs/promises';
import { DriverError, type TaskConfig, type TaskDevice } from '../../lib/plugin/sdk/driver.js';
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
