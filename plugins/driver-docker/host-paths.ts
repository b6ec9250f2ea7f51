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
  return isAbsolute(from.source) ? path : join(task.taskDir, from.source);
}

/** What says that a node does not allow it. */
export function volumesDisabled(what: string): DriverError {
  return refused(
    `${what}: paths outside of the allocation's directory and volumes of the engine are not allowed on this node; write volumes { enabled = true } in the config of its plugin, or use a volume block`,
  );
}

/**
 * Throws a DriverError when a path within the allocation's directory leads out of it by a link, which any of its tasks may
 * have put there: the engine follows links.
 */
export async function refuseLinksOut(task: TaskConfig<DockerConfig>, options: DockerOptions): Promise<void> {
  if (options.volumes?.enabled) return;
  const { volumes, mount, mounts } = task.config;
  const sources = [
    ...volumes.map((volume) => ({ key: 'volumes', source: parseVolume(volume)?.source ?? '' })),
    ...[...mount, ...mounts].filter(({ type }) => type === 'bind').map(({ source }) => ({ key: 'mount', source })),
  ];
  for (const { key, source } of sources) {
    const [path, root] = await Promise.all([
      realPath(hostPath(task, options, { key, source })),
      realPath(task.allocDir),
    ]);
    if (!isWithin(root, path)) throw volumesDisabled(`${key}: ${source} leads to ${path}`);
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

function isWithin(root: string, path: string): boolean {
  const way = relative(root, path);
  return way !== '..' && !way.startsWith('../') && !isAbsolute(way);
}
