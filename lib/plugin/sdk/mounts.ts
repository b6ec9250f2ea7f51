import { execFile } from 'node:child_process';
import { readFile, realpath } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';

// What CSI plugins and the client do with mounts, through the system's own programs: `mount` knows helpers such as
// mount.nfs, and its options are what people write into job files.

/** A line of /proc/self/mountinfo. */
export interface MountEntry {
  /** `major:minor` of the file system's device. */
  device: string;
  /** The directory within the file system that is mounted (a bind mount's source). */
  root: string;
  target: string;
  /** Options of this mount alone: `ro` or `rw` is always among them. */
  options: string[];
  /** Of peers: mounts made here appear elsewhere (`shared:N` is among the optional fields). */
  isShared: boolean;
  fsType: string;
  source: string;
}

/** A program that failed: its message has the program and the end of what it said. */
export class CommandError extends Error {
  /** The end of what it wrote, to standard output and then to standard error, trimmed. */
  readonly said: string;
  /** Null when it was ended by a signal or could not be started. */
  readonly exitCode: number | null;

  constructor(message: string, said: string, exitCode: number | null) {
    super(message);
    this.name = 'CommandError';
    this.said = said;
    this.exitCode = exitCode;
  }
}

const COMMAND_TIMEOUT_MS = 110_000;
const SAID_LENGTH_MAX = 500;

/** Runs a program of the system and gives what it wrote to standard output. Throws CommandError. */
export function runCommand(
  program: string,
  args: readonly string[],
  { timeoutMs = COMMAND_TIMEOUT_MS }: { timeoutMs?: number } = {},
): Promise<string> {
  const env = { ...process.env, LC_ALL: 'C' };
  return new Promise((done, fail) => {
    execFile(
      program,
      args,
      { timeout: timeoutMs, killSignal: 'SIGKILL', env, maxBuffer: 1 << 24 },
      (error, out, err) => {
        if (!error) {
          done(out);
          return;
        }
        if ((error as NodeJS.ErrnoException).code === 'ENOENT') {
          fail(new CommandError(`the program "${program}" is not installed on this machine`, '', null));
          return;
        }
        // What is wrong, and what comes of it, may go to different ones (e2fsck).
        const said = [out, err]
          .map((text) => text.trim())
          .filter(Boolean)
          .join('\n')
          .slice(-SAID_LENGTH_MAX);
        const why = error.killed === true ? `did not end within ${timeoutMs / 1000} s` : said || error.message;
        fail(new CommandError(`${program}: ${why}`, said, typeof error.code === 'number' ? error.code : null));
      },
    );
  });
}

/** All mounts of this process's mount namespace, oldest first. */
export async function listMounts(): Promise<MountEntry[]> {
  return parseMountInfo(await readFile('/proc/self/mountinfo', 'utf8'));
}

/** Reads mountinfo's lines (proc(5)). */
export function parseMountInfo(text: string): MountEntry[] {
  return text.split('\n').flatMap((line) => {
    const [before = '', after = ''] = line.split(' - ');
    const [, , device, root, target, options, ...optional] = before.split(' ');
    const [fsType, source] = after.split(' ');
    if (target === undefined || source === undefined) return [];
    return {
      device: device ?? '',
      root: unescapePath(root ?? ''),
      target: unescapePath(target),
      options: (options ?? '').split(','),
      isShared: optional.some((field) => field.startsWith('shared:')),
      fsType: fsType ?? '',
      source: unescapePath(source),
    };
  });
}

/** The kernel writes space, tab, newline and backslash as three octal digits. */
function unescapePath(path: string): string {
  return path.replace(/\\([0-7]{3})/g, (_, digits: string) => String.fromCharCode(Number.parseInt(digits, 8)));
}

/** The mount that `path` lies on: the longest that leads to it, the newest of equals. */
export function mountHolding(mounts: readonly MountEntry[], path: string): MountEntry | undefined {
  const holds = ({ target }: MountEntry): boolean => target === '/' || path === target || path.startsWith(`${target}/`);
  return mounts
    .filter(holds)
    .reduce<MountEntry | undefined>(
      (best, entry) => (best && best.target.length > entry.target.length ? best : entry),
      undefined,
    );
}

/** The newest mount at exactly this path, undefined when nothing is mounted there. */
export async function mountAt(target: string): Promise<MountEntry | undefined> {
  return (await listMounts()).findLast((entry) => entry.target === target);
}

/** Makes `source` appear at `target`, which must exist. */
export async function bindMount(source: string, target: string, { readOnly = false } = {}): Promise<void> {
  await runCommand('mount', ['--bind', '--', source, target]);
  // A bind takes its options over from the source: it is made read-only by a second step.
  if (readOnly) await remountReadOnly(target);
}

/**
 * Makes a directory a mount of its own: what is mounted below it is seen by all who have it, and not at a second place as well.
 * Containers need that: a runtime takes the mount on which a container's root lies out of what is shared. Idempotent; what has mounts
 * below it is left as it is, for these would be hidden.
 */
export async function ensureOwnSharedMount(dir: string): Promise<void> {
  const mounts = await listMounts();
  const known = mounts.findLast(({ target }) => target === dir);
  if (known?.isShared || (!known && mounts.some(({ target }) => target.startsWith(`${dir}/`)))) return;
  if (!known) {
    await bindMount(dir, dir);
    await runCommand('mount', ['--make-private', '--', dir]);
  }
  await runCommand('mount', ['--make-shared', '--', dir]);
}

export async function remountReadOnly(target: string): Promise<void> {
  await runCommand('mount', ['-o', 'remount,bind,ro', '--', target]);
}

/**
 * Takes away whatever is mounted at a directory and below it, whoever mounted it; what is in use is out of sight at once, and ends
 * with its last user; but not what `keep` names. A missing directory is fine. Throws CommandError when something stays mounted.
 */
export async function detachBelow(dir: string, keep: (mount: MountEntry) => boolean = () => false): Promise<void> {
  // The kernel tells where things really are. The directory itself is not asked: what is mounted there may not answer any more.
  const parent = await realpath(dirname(dir)).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return null;
    throw error;
  });
  if (parent === null) return;
  const real = join(parent, basename(dir));
  const isMeant = (mount: MountEntry): boolean =>
    (mount.target === real || mount.target.startsWith(`${real}/`)) && !keep(mount);
  for (;;) {
    const [outermost] = (await listMounts()).filter(isMeant).sort((a, b) => a.target.length - b.target.length);
    if (!outermost) return;
    // A copy of a shared tree, `mount --rbind /`, hands on what is done to it: the machine itself would lose its mounts.
    await runCommand('mount', ['--make-rprivate', '--', outermost.target]);
    await runCommand('umount', ['-R', '--', outermost.target]).catch(() =>
      runCommand('umount', ['-R', '-l', '--', outermost.target]),
    );
  }
}

/** Undoes every mount at `target`, newest first. Idempotent; throws CommandError when one is in use. */
export async function unmountAll(target: string): Promise<void> {
  while (await mountAt(target)) await runCommand('umount', ['--', target]);
}
