import { join } from 'node:path';
import type { AllocPaths, TaskPaths } from './alloc-dir.js';
import { type InsidePath, insidePath, SandboxError } from './sandbox.js';

/** What it takes to find the place of a path that a job file says. */
export interface PlaceContext {
  paths: AllocPaths & TaskPaths;
  /** The task has a root of its own, and knows its directories as /alloc, /local and /secrets. */
  ownRoot: boolean;
}

/**
 * Where a path of a `template` or `artifact` lies on the host: relative ones below the task's directory, and the
 * directories of the task by the names that it knows them by. Throws SandboxError for a path elsewhere.
 */
export function taskPlace(path: string, { paths, ownRoot }: PlaceContext): InsidePath {
  const { allocDir, taskDir, sharedDir, localDir, secretsDir } = paths;
  const host = (part: string): string => join(allocDir, insidePath('/', part.slice(allocDir.length)).parts.join('/'));
  if (path === allocDir || path.startsWith(`${allocDir}/`))
    return below(allocDir, host(path), taskDir, sharedDir, path);
  const known: [string, string][] = ownRoot
    ? [
        ['/alloc', sharedDir],
        ['/local', localDir],
        ['/secrets', secretsDir],
      ]
    : [];
  const own = known.find(([name]) => path === name || path.startsWith(`${name}/`));
  const full = own ? join(own[1], path.slice(own[0].length)) : join(taskDir, path);
  return below(allocDir, full, taskDir, sharedDir, path);
}

/** The directories that every task knows at its root, or by the same names below its directory. */
const KNOWN = ['/alloc', '/local', '/secrets'];

/**
 * Where a file lies that a template reads. An absolute path is meant as it stands, so only the task's own directories are
 * taken: `/etc/passwd` would otherwise be waited for below the task's directory, for ever. Throws SandboxError for others.
 */
export function readablePlace(path: string, context: PlaceContext): InsidePath {
  const known = [context.paths.allocDir, ...KNOWN].some((dir) => path === dir || path.startsWith(`${dir}/`));
  if (path.startsWith('/') && !known) {
    throw new SandboxError(
      `the path ${JSON.stringify(path)} leads out of the task's directory: read what lies in it, such as "local/NAME"`,
    );
  }
  return taskPlace(path, context);
}

/** Names below the task's directory. Held from the allocation's on, which no task can write in: each step may be a link. */
export function belowTask({ allocDir, taskDir }: AllocPaths & TaskPaths, parts: readonly string[]): InsidePath {
  return { root: allocDir, parts: [taskDir.slice(allocDir.length + 1), ...parts] };
}

function below(allocDir: string, full: string, taskDir: string, sharedDir: string, asked: string): InsidePath {
  const inside = [taskDir, sharedDir].some((dir) => full === dir || full.startsWith(`${dir}/`));
  if (!inside) throw new SandboxError(`the path ${JSON.stringify(asked)} leads out of the task's directory`);
  return insidePath(allocDir, full.slice(allocDir.length));
}
