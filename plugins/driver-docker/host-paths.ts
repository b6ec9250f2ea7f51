import { realpath } from 'node:fs/promises';
import { dirname, isAbsolute, join, relative, resolve } from 'node:path';
import type { DriverError, TaskConfig } from '../../lib/plugin/sdk/driver.js';
import type { DockerConfig, DockerOptions } from './config.js';
import { refused } from './refused.js';
import { parseVolume } from './task-problems.js';

// Paths of the node that a task's config binds into its container.

/** A path of the node for a bind: relative ones lie in the task's directory; others need the agent's consent. */
export function hostPath(task: TaskConfig, options: DockerOptions, from: { key: string; source: string }): string {
  const path = isAbsolute(from.source) ? from.source : resolve(task.taskDir, from.source);
  if (!options.volumes?.enabled && !isWithin(task.allocDir, path)) throw volumesDisabled(`${from.key}: ${from.source}`);
  return isAbsolute(from.source) ? resolve(from.source) : join(task.taskDir, from.source);
}

/** What says that a node does not allow it. */
export function volumesDisabled(what: string): DriverError {
  return refused(
    `${what}: paths outside of the allocation's directory and volumes of the engine are not allowed on this node; write volumes { enabled = true } in the config of its plugin, or use a volume block`,
  );
}

/** A path of the node that a task's config binds into its container. */
export interface Source {
  /** The key it stands under, and what it says. */
  key: 'volumes' | 'mount';
  source: string;
  /** Absolute, with no `.` and `..` in it. */
  path: string;
  propagation: string;
  /** Made as a directory when nothing is there. */
  isMade: boolean;
}

/** All of them; throws a DriverError on what the agent does not allow. */
export function bindSources(task: TaskConfig<DockerConfig>, options: DockerOptions): Source[] {
  const { volumes, volume_driver, mount, mounts } = task.config;
  const path = (key: Source['key'], source: string): string => hostPath(task, options, { key, source });
  return [
    ...volumes.flatMap((volume) => {
      const source = parseVolume(volume)?.source ?? '';
      if (isVolumeName(source, volume_driver)) return [];
      return [{ key: 'volumes', source, path: path('volumes', source), propagation: '', isMade: true } as const];
    }),
    ...[...mount, ...mounts].flatMap(({ type, source, bind_options }) => {
      const propagation = bind_options?.propagation ?? '';
      if (type !== 'bind') return [];
      return [{ key: 'mount', source, path: path('mount', source), propagation, isMade: false } as const];
    }),
  ];
}

/** Whether a volume's source is a name, which its driver knows. */
export function isVolumeName(source: string, driver: string): boolean {
  return driver !== '' && /^[a-zA-Z0-9][\w.-]*$/.test(source);
}

/** What says that a path within the allocation's directory leads out of it. */
export function leadsOut({ key, source }: Pick<Source, 'key' | 'source'>, path: string): DriverError {
  return volumesDisabled(`${key}: ${source} leads to ${path}`);
}

/**
 * Throws a DriverError when a path within the allocation's directory leads out of it by a link, which any of its tasks may
 * have put there: the engine follows links.
 */
export async function refuseLinksOut(task: TaskConfig<DockerConfig>, options: DockerOptions): Promise<void> {
  if (options.volumes?.enabled) return;
  for (const source of bindSources(task, options)) {
    const [path, root] = await Promise.all([realPath(source.path), realPath(task.allocDir)]);
    if (!isWithin(root, path)) throw leadsOut(source, path);
  }
}

/** Where a path leads; what is not there yet lies where its directory leads. */
async function realPath(path: string): Promise<string> {
  try {
    return await realpath(path);
  } catch (error) {
    const parent = dirname(path);
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT' || parent === path) throw error;
    return join(await realPath(parent), relative(parent, path));
  }
}

/** Whether a path is a directory or lies below it. */
export function isWithin(root: string, path: string): boolean {
  const way = relative(root, path);
  return way !== '..' && !way.startsWith('../') && !isAbsolute(way);
}
