import { lstat, readlink, realpath, stat } from 'node:fs/promises';
import { posix } from 'node:path';

// What a task in a root of its own sees of the machine's files (`client { chroot_env { } }`): path on the machine → path in the task.

/**
 * What is shown when the agent's config says nothing: Nomad's own list, and where NixOS has its programs.
 */
export const DEFAULT_CHROOT: Readonly<Record<string, string>> = Object.fromEntries(
  '/bin /etc /lib /lib32 /lib64 /nix/store /run/current-system /run/resolvconf /run/systemd/resolve /sbin /usr'
    .split(' ')
    .map((path) => [path, path]),
);

/** One path in the task: a link with its text, or something of the machine to be bound there. */
export type ChrootEntry =
  | { kind: 'link'; to: string; text: string }
  | { kind: 'bind'; to: string; source: string; isDirectory: boolean };

/**
 * The entries of a map, what holds others before what it holds. A link at the top whose end the map has too ("/bin" → "usr/bin")
 * becomes the same link; other links are followed. What the machine does not have is left out.
 */
export async function chrootEntries(chroot: Readonly<Record<string, string>>): Promise<ChrootEntry[]> {
  const entries: ChrootEntry[] = [];
  for (const [from, given] of Object.entries(chroot)) {
    const to = posix.normalize(given).replace(/(?<=.)\/$/, '');
    const found = await lstat(from).catch(() => undefined);
    if (!found) continue;
    if (found.isSymbolicLink() && isTop(to)) {
      const text = await readlink(from);
      if (leadsTo(posix.resolve(posix.dirname(to), text), chroot)) {
        entries.push({ kind: 'link', to, text });
        continue;
      }
    }
    const source = await realpath(from).catch(() => undefined);
    if (source === undefined) continue;
    entries.push({ kind: 'bind', to, source, isDirectory: (await stat(source)).isDirectory() });
  }
  return entries.sort((a, b) => a.to.split('/').length - b.to.split('/').length);
}

/** Whether this is the path of something that can be shown in a task: absolute, and not the root itself. */
export function isChrootPath(path: string): boolean {
  return /^\/[^/]/.test(path) && !path.split('/').includes('..');
}

/** Whether the map shows this path where the machine has it. */
function leadsTo(path: string, chroot: Readonly<Record<string, string>>): boolean {
  return Object.entries(chroot).some(([from, to]) => from === to && (path === to || path.startsWith(`${to}/`)));
}

function isTop(path: string): boolean {
  return path.split('/').filter((part) => part !== '').length === 1;
}
