import { lstat, readlink, realpath, symlink } from 'node:fs/promises';
import { join } from 'node:path';
import { DriverError } from '../../lib/plugin/sdk/driver.js';
import type { OciMount } from './bundle.js';

/**
 * What a task sees of the machine's files: each path of the map is bound read-only, a link at the top ("/bin" → "usr/bin")
 * becomes the same link in the task's root. What the machine does not have is left out. Throws a DriverError when
 * something else stands in a link's place.
 */
export async function chrootMounts(taskDir: string, chroot: Readonly<Record<string, string>>): Promise<OciMount[]> {
  const mounts: OciMount[] = [];
  for (const [from, to] of Object.entries(chroot)) {
    const found = await lstat(from).catch(() => undefined);
    if (!found) continue;
    if (found.isSymbolicLink() && isTop(to)) {
      await ensureLink(await readlink(from), join(taskDir, to));
      continue;
    }
    const source = await realpath(from).catch(() => undefined);
    // Not with what is mounted below: the runtime makes only the mount itself read-only.
    if (source) mounts.push({ destination: to, type: 'bind', source, options: ['bind', 'ro', 'nosuid', 'rprivate'] });
  }
  return mounts;
}

function isTop(path: string): boolean {
  return path.split('/').filter((part) => part !== '').length === 1;
}

async function ensureLink(target: string, path: string): Promise<void> {
  try {
    await symlink(target, path);
  } catch (cause) {
    if ((await readlink(path).catch(() => undefined)) === target) return;
    throw new DriverError(`the task's root cannot be built: ${path} is in the way`, { recoverable: false, cause });
  }
}
