import { readFile } from 'node:fs/promises';
import { detachBelow } from '../../plugin/sdk/mounts.js';
import { ensureAllocDir, ensureTaskDir } from '../alloc-dir.js';
import { buildChroot } from '../chroot.js';
import { holdsSecrets, mayMount } from '../secrets-dir.js';
import { type HookContext, HookError, taskHook } from './hook.js';

/** The task's directories, with the machine's programs in them for a driver that makes them the root of its tasks. */
export const dirHook = taskHook('dir', {
  async prestart(context) {
    const { config, alloc, task, driver, draft, reattach, paths } = context;
    try {
      const { fsIsolation, defaultUser, foreignEngine } = driver.capabilities;
      // An image has users of its own: of those only the numbers are known here.
      const passwd = fsIsolation === 'image' ? '' : await readFile('/etc/passwd', 'utf8').catch(() => '');
      const owner = findOwner(draft.user || (defaultUser ?? ''), passwd);
      await ensureAllocDir(config.allocDir, alloc.ID);
      await ensureTaskDir(config.allocDir, alloc.ID, task.Name, {
        owner,
        use: USES[foreignEngine ? 'none' : fsIsolation],
        secretsMb: task.Resources.SecretsMB ?? 0,
      });
      if (needsRoot(context) && !reattach) await buildChroot(paths, config.chrootEnv);
    } catch (cause) {
      const why = cause instanceof Error ? cause.message : String(cause);
      throw new HookError(`failed to build task directory: ${why}`, { recoverable: true, cause });
    }
  },
  async stop(context) {
    if (needsRoot(context)) await detachBelow(context.paths.taskDir, holdsSecrets);
  },
});

const USES = { none: 'work', chroot: 'root', image: 'source' } as const;

/** Whether the task finds the machine's programs in its directory. An agent that may not mount leaves it to the driver to complain. */
function needsRoot({ driver }: Pick<HookContext, 'driver'>): boolean {
  const { fsIsolation, buildsRoot } = driver.capabilities;
  return fsIsolation === 'chroot' && !buildsRoot && mayMount();
}

/** The numbers of a user given by name (looked up in the text of passwd(5)), as `uid`, `uid:gid` or `nomad-uid`; null when unknown. */
export function findOwner(user: string, passwd: string): { uid: number; gid: number } | null {
  const numbers = /^(?:nomad-)?(\d+)(?::(\d+))?$/.exec(user);
  if (numbers) return { uid: Number(numbers[1]), gid: Number(numbers[2] ?? numbers[1]) };
  if (user === '') return null;
  const fields = passwd
    .split('\n')
    .map((line) => line.split(':'))
    .find(([name]) => name === user);
  return fields ? { uid: Number(fields[2]), gid: Number(fields[3]) } : null;
}
