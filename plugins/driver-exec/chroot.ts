import { readlink, symlink } from 'node:fs/promises';
import { join } from 'node:path';
import { chrootEntries } from '../../lib/plugin/sdk/chroot.js';
import { DriverError } from '../../lib/plugin/sdk/driver.js';
import type { OciMount } from './bundle.js';

/**
 * What a task sees of the machine's files: each path of the map is bound read-only, links are made in the task's root. Throws a
 * DriverError when something else stands in a link's place.
 */
export async function chrootMounts(taskDir: string, chroot: Readonly<Record<string, string>>): Promise<OciMount[]> {
  const mounts: OciMount[] = [];
  for (const entry of await chrootEntries(chroot)) {
    if (entry.kind === 'link') await ensureLink(entry.text, join(taskDir, entry.to));
    else {
      // Not with what is mounted below: the runtime makes only the mount itself read-only.
      const options = ['bind', 'ro', 'nosuid', 'rprivate'];
      mounts.push({ destination: entry.to, type: 'bind', source: entry.source, options });
    }
  }
  return mounts;
}

async function ensureLink(target: string, path: string): Promise<void> {
  try {
    await symlink(target, path);
  } catch (cause) {
    if ((await readlink(path).catch(() => undefined)) === target) return;
    throw new DriverError(`the task's root cannot be built: ${path} is in the way`, { recoverable: false, cause });
  }
}
