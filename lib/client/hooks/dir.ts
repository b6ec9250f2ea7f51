import { readFile } from 'node:fs/promises';
import { ensureAllocDir, ensureTaskDir } from '../alloc-dir.js';
import { HookError, taskHook } from './hook.js';

/** The task's directories. */
export const dirHook = taskHook('dir', {
  async prestart({ config, alloc, task, driver }) {
    try {
      const { fsIsolation, defaultUser } = driver.capabilities;
      // An image has users of its own: of those only the numbers are known here.
      const passwd = fsIsolation === 'image' ? '' : await readFile('/etc/passwd', 'utf8').catch(() => '');
      const owner = findOwner(task.User || (defaultUser ?? ''), passwd);
      await ensureAllocDir(config.allocDir, alloc.ID);
      await ensureTaskDir(config.allocDir, alloc.ID, task.Name, {
        owner,
        isRoot: fsIsolation === 'chroot',
        secretsMb: task.Resources.SecretsMB ?? 0,
      });
    } catch (cause) {
      const why = cause instanceof Error ? cause.message : String(cause);
      throw new HookError(`failed to build task directory: ${why}`, { recoverable: true, cause });
    }
  },
});

/** The numbers of a user given by name (looked up in the text of passwd(5)) or as `uid` or `uid:gid`; null when unknown. */
export function findOwner(user: string, passwd: string): { uid: number; gid: number } | null {
  const numbers = /^(\d+)(?::(\d+))?$/.exec(user);
  if (numbers) return { uid: Number(numbers[1]), gid: Number(numbers[2] ?? numbers[1]) };
  if (user === '') return null;
  const fields = passwd
    .split('\n')
    .map((line) => line.split(':'))
    .find(([name]) => name === user);
  return fields ? { uid: Number(fields[2]), gid: Number(fields[3]) } : null;
}
