import { CommandError, listMounts, type MountEntry, mountAt, runCommand } from '../../plugin/sdk/mounts.js';
import type { Millis } from '../../util/clock.js';

// A mount can be there and lead nowhere: the process that serves a FUSE file system was killed, or a server has forgotten the
// directory. Whoever touches it hears ENOTCONN or ESTALE, for ever: it does not come back, it has to be mounted anew.

/** File systems whose files are at the other end of something; those of the kernel itself do not die. */
const IS_FAR = /^(fuse|nfs|ceph|cifs|smb|9p|glusterfs|lustre)/;
const SAYS_DEAD = /Transport endpoint is not connected|Stale file handle/;
/** Who is slow is not dead. */
const PATIENCE_MS: Millis = 3_000;

/** What is being asked now: of a far end that does not answer, nothing is asked twice at once. */
const asking = new Map<string, Promise<boolean>>();

/** Those of `targets` (paths at which something is mounted) that lead nowhere any more. */
export async function deadAmong(targets: readonly string[], mounts?: readonly MountEntry[]): Promise<string[]> {
  const known = mounts ?? (await listMounts());
  const far = targets.filter((path) => IS_FAR.test(known.findLast(({ target }) => target === path)?.fsType ?? ''));
  const found = await Promise.all(far.map(async (path) => ({ path, isDead: await isDead(path) })));
  return found.filter((one) => one.isDead).map(({ path }) => path);
}

/** Takes away what is mounted at `path` for as long as it leads nowhere; whoever has a file of it open keeps an end that is dead. */
export async function clearDead(path: string): Promise<void> {
  // Bounded: one whose unmounting fails again and again would otherwise hold this up for ever.
  for (let attempt = 0; attempt < 10 && (await mountAt(path)); attempt++) {
    if ((await deadAmong([path])).length === 0) return;
    await runCommand('umount', ['-l', '--', path]);
  }
}

/** Asked by another program: a call that the far end never answers would block a thread of this one. */
function isDead(path: string): Promise<boolean> {
  const known = asking.get(path);
  if (known) return Promise.race([known, afterPatience()]);
  const asked = runCommand('stat', ['--file-system', '--', path], { timeoutMs: PATIENCE_MS })
    .then(
      () => false,
      (error: unknown) => error instanceof CommandError && SAYS_DEAD.test(error.said),
    )
    .finally(() => asking.delete(path));
  asking.set(path, asked);
  return Promise.race([asked, afterPatience()]);
}

/** A process in the kernel's hands may not end although it was killed. */
function afterPatience(): Promise<false> {
  return new Promise((resolve) => setTimeout(() => resolve(false), 2 * PATIENCE_MS).unref());
}
