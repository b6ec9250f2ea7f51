import { type MountEntry, mountAt, runCommand } from '../plugin/sdk/mounts.js';

// A task that says how much room its secrets take (`resources { secrets = 5 }`) has them in memory: nothing of them
// reaches a disk, and they are gone when the machine goes down.

/** How the mounts of this agent are told from others. */
const SOURCE = 'meshnomad-secrets';

/** Puts a file system in memory at a secrets directory, unless it is there. Needs root; throws CommandError. */
export async function mountSecrets(secretsDir: string, sizeMb: number): Promise<void> {
  const options = `size=${sizeMb}m,mode=0700,nosuid,nodev,noexec`;
  const there = await mountAt(secretsDir);
  if (there?.source === SOURCE) await runCommand('mount', ['-o', `remount,${options}`, '--', secretsDir]);
  else await runCommand('mount', ['-t', 'tmpfs', '-o', options, '--', SOURCE, secretsDir]);
}

/** Whether a mount is such a directory. */
export function holdsSecrets({ source }: MountEntry): boolean {
  return source === SOURCE;
}

/** Whether this agent may mount at all. */
export function mayMount(): boolean {
  return process.getuid?.() === 0;
}
