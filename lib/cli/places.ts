import { homedir } from 'node:os';
import { join } from 'node:path';

type Env = Record<string, string | undefined>;

/** Where an agent keeps its state unless told: the system's place for root, the user's own otherwise. */
export function defaultDataDir(env: Env): string {
  if (process.getuid?.() === 0) return '/var/lib/meshnomad';
  return join(env['XDG_DATA_HOME'] || join(homedir(), '.local', 'share'), 'meshnomad');
}

/** Where a person's own key for a mesh lies. */
export function profileDir(env: Env): string {
  return join(env['XDG_CONFIG_HOME'] || join(homedir(), '.config'), 'meshnomad');
}
