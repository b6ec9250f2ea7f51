import { execFile } from 'node:child_process';
import { constants } from 'node:fs';
import { access, readFile, rm, stat } from 'node:fs/promises';
import { basename, delimiter, join } from 'node:path';
import { promisify } from 'node:util';
import type { Cgroups } from '../../lib/plugin/sdk/cgroup-tree.js';
import { DriverError } from '../../lib/plugin/sdk/driver.js';

/** What is looked for unless the config names another: it is where docker is, and knows every layout of cgroups. */
const NAMES = ['runc'];
const COMMAND_TIMEOUT_MS = 60_000;
const run = promisify(execFile);

export interface Runtime {
  path: string;
  /** "runc" or "crun". */
  name: string;
  version: string;
  /** Whether it was built with what filters system calls. */
  filtersCalls: boolean;
}

/** Finds a container runtime that can be used here; what is missing, in words, when there is none. */
export async function findRuntime(wanted: string, cgroups: Cgroups): Promise<Runtime | { missing: string }> {
  const refusals: string[] = [];
  for (const name of wanted === '' ? NAMES : [wanted]) {
    const path = await findInPath(name);
    if (!path) {
      refusals.push(`${name} is not installed`);
      continue;
    }
    // crun says so itself, at each start.
    if (basename(path) === 'crun' && cgroups.version === 1 && cgroups.unified !== null) {
      refusals.push('crun does not know the hybrid layout of cgroups that this machine has');
      continue;
    }
    const version = await run(path, ['--version'], { timeout: COMMAND_TIMEOUT_MS }).catch(() => undefined);
    if (version) {
      // runc names the library ("libseccomp: 2.5.4"), crun its parts ("+SECCOMP").
      const filtersCalls = /libseccomp|\+SECCOMP/.test(version.stdout);
      return { path, name: basename(path), version: /\d+\.\d+\S*/.exec(version.stdout)?.[0] ?? '', filtersCalls };
    }
    refusals.push(`${path} cannot be run`);
  }
  return { missing: `exec needs a container runtime (install runc): ${refusals.join('; ')}` };
}

async function findInPath(name: string): Promise<string | undefined> {
  if (name.startsWith('/')) return (await isProgram(name)) ? name : undefined;
  const dirs = [...(process.env['PATH'] ?? '').split(delimiter), '/usr/local/sbin', '/usr/sbin', '/sbin'];
  for (const dir of dirs) if (dir !== '' && (await isProgram(join(dir, name)))) return join(dir, name);
  return undefined;
}

async function isProgram(path: string): Promise<boolean> {
  const found = await stat(path).catch(() => undefined);
  return (
    found?.isFile() === true &&
    (await access(path, constants.X_OK).then(
      () => true,
      () => false,
    ))
  );
}

/** Where one container's files lie (in memory, since they hold its environment), and the commands about it. */
export class Container {
  readonly id: string;
  /** The bundle. */
  readonly dir: string;
  readonly pidFile: string;
  readonly #root: string;
  readonly #log: string;

  /** `runDir`: of all containers of one agent. */
  constructor(runDir: string, id: string) {
    this.id = id;
    this.dir = join(runDir, 'bundles', id);
    this.pidFile = join(this.dir, 'pid');
    this.#root = join(runDir, 'state');
    this.#log = join(this.dir, 'log');
  }

  createArgv(runtime: Runtime, options: { noPivot: boolean }): string[] {
    const flags = ['--bundle', this.dir, '--pid-file', this.pidFile, ...(options.noPivot ? ['--no-pivot'] : [])];
    return [
      runtime.path,
      '--root',
      this.#root,
      '--log',
      this.#log,
      '--log-format',
      'json',
      'create',
      ...flags,
      this.id,
    ];
  }

  startArgv(runtime: Runtime): string[] {
    return [runtime.path, '--root', this.#root, '--log', this.#log, '--log-format', 'json', 'start', this.id];
  }

  /** Without the program's own name. */
  execArgs(files: { process: string; pid: string; log: string }): string[] {
    const log = ['--log', files.log, '--log-format', 'json'];
    return ['--root', this.#root, ...log, 'exec', '--process', files.process, '--pid-file', files.pid, this.id];
  }

  /** Kills what still runs of it and removes it with its cgroup. Idempotent. Throws a DriverError when it cannot be done. */
  async remove(runtime: Runtime): Promise<void> {
    const isThere = await stat(join(this.#root, this.id)).catch(() => undefined);
    if (isThere) {
      try {
        await run(runtime.path, ['--root', this.#root, 'delete', '--force', this.id], { timeout: COMMAND_TIMEOUT_MS });
      } catch (cause) {
        const reason = (cause as { stderr?: string }).stderr?.trim() || String(cause);
        throw new DriverError(`container ${this.id} cannot be removed: ${reason}`, { recoverable: true, cause });
      }
    }
    await rm(this.dir, { recursive: true, force: true });
  }

  /** The last error of the runtime's own log. */
  async complaint(): Promise<string> {
    return lastError(await readFile(this.#log, 'utf8').catch(() => ''));
  }
}

/** The last error in a log of the runtime; '' = none. */
export function lastError(log: string): string {
  const told = log.split('\n').flatMap((line) => {
    try {
      const { level, msg } = JSON.parse(line) as { level?: string; msg?: string };
      return level === 'error' && msg ? [msg] : [];
    } catch {
      return [];
    }
  });
  return told.at(-1) ?? '';
}
