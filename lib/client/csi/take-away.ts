import { mountAt, runCommand } from '../../plugin/sdk/mounts.js';
import { usersIn } from '../lease-fence.js';

const UMOUNT_MS = 10_000;

/**
 * Takes what is mounted at these paths off this machine without its plugin, the first first; whatever process still has something of
 * it open is killed before. What the plugin keeps for itself (a loop device, a session) is its own to give up when it is back.
 */
export async function takeAway(targets: readonly string[]): Promise<void> {
  for (const pid of usersIn(targets)) {
    try {
      process.kill(pid, 'SIGKILL');
    } catch {
      // It has ended by itself.
    }
  }
  for (const target of targets) {
    // Bounded: one whose unmounting fails again and again would otherwise hold this up for ever.
    for (let attempt = 0; attempt < 10 && (await mountAt(target)); attempt++) await unmount(target);
  }
}

/** What lies in no memory any more is written by nobody: so first the orderly way, which waits for that. */
async function unmount(target: string): Promise<void> {
  try {
    await runCommand('umount', ['--', target], { timeoutMs: UMOUNT_MS });
  } catch {
    await runCommand('umount', ['-l', '--', target], { timeoutMs: UMOUNT_MS });
  }
}
