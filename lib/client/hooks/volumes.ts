import { lstat, readlink, stat, symlink } from 'node:fs/promises';
import { join, normalize } from 'node:path';
import type { TaskMount } from '../../plugin/sdk/driver.js';
import type { VolumeMount } from '../../structs/volume.js';
import type { ReadyVolume } from '../alloc-hooks/hook.js';
import { waiting } from '../alloc-hooks/host-volumes.js';
import { interpolateValue } from '../interpolate.js';
import { holdDir, SandboxError } from '../sandbox.js';
import { belowTask } from '../task-place.js';
import { taskValues } from './env.js';
import { type HookContext, HookError, taskHook } from './hook.js';

/**
 * Volumes, whatever their kind: mounts for a task with a root of its own, a link in the task's directory for one without.
 * A block device is a device node for the former.
 */
export const volumesHook = taskHook('volumes', {
  async prestart(context) {
    const { VolumeMounts: mounts } = context.task;
    if (!mounts || mounts.length === 0) return;
    for (const mount of interpolateValue(mounts, taskValues(context))) await giveVolume(context, mount);
  },
});

/** Gives a task one of its volumes, at a destination without references. */
export async function giveVolume(context: HookContext, mount: VolumeMount): Promise<void> {
  const { draft, driver, reattach } = context;
  const volume = find(context, mount);
  if (!reattach) {
    await waitForHost(context, mount.Volume, volume);
    await ensureThere(mount.Volume, volume);
  }
  const { hostPath, kind } = volume;
  const taskPath = mount.Destination;
  const readOnly = mount.ReadOnly || volume.readOnly;
  if (driver.capabilities.fsIsolation === 'none') {
    await link(context, hostPath, taskPath);
    if (readOnly && !reattach) tellIfWritable(context, mount.Volume, volume);
  } else if (kind === 'block') draft.deviceNodes.push({ hostPath, taskPath, permissions: readOnly ? 'r' : 'rwm' });
  else {
    const propagation = PROPAGATION[mount.PropagationMode] ?? 'private';
    draft.mounts.push({ hostPath, taskPath, readOnly, propagation });
  }
}

/** A link keeps nobody from writing; only what is mounted read-only on the machine itself stays so. */
function tellIfWritable({ group, task, control }: HookContext, name: string, volume: ReadyVolume): void {
  if (volume.readOnly && group.Volumes?.[name]?.Type === 'csi') return;
  control.tell(
    `Volume "${name}" is read_only, and yet this task can write to it: driver "${task.Driver}" gives it no file system of its own`,
  );
}

function find({ group, shared }: HookContext, mount: VolumeMount): ReadyVolume {
  if (!group.Volumes?.[mount.Volume])
    throw refuse(`volume_mount names the volume "${mount.Volume}", which group "${group.Name}" does not have`);
  const found = shared.volumes[mount.Volume];
  if (!found) throw refuse(`volume "${mount.Volume}" was not made ready on this node`);
  return found;
}

/** After a restart of the machine a disk may come later than the agent, and a task that writes before it does writes beside it. */
async function waitForHost(
  { group, client, signal, control }: HookContext,
  name: string,
  { hostPath }: ReadyVolume,
): Promise<void> {
  const request = group.Volumes?.[name];
  if (request?.Type !== 'host') return;
  const tell = (why: string): void => control.tell(waiting(request.Source, why));
  const why = await client.hostVolumes.waitFor(hostPath, { signal, tell });
  if (why !== null) throw refuse(`host volume "${request.Source}" is not there: ${why}`);
}

/** What has vanished must not be started without: the task would write into an empty place. */
async function ensureThere(name: string, { hostPath, kind }: ReadyVolume): Promise<void> {
  const found = await stat(hostPath).catch(() => null);
  if (!found) throw refuse(`volume "${name}" has no directory: ${hostPath} does not exist`);
  const fits = kind === 'block' ? found.isBlockDevice() : found.isDirectory() || found.isFile();
  if (!fits) throw refuse(`volume "${name}": ${hostPath} is no ${kind === 'block' ? 'block device' : 'directory'}`);
}

const PROPAGATION: Record<string, TaskMount['propagation']> = {
  'host-to-task': 'host-to-task',
  bidirectional: 'bidirectional',
};

/** A destination is below the task's directory, unless it says where on the machine, as `${NOMAD_TASK_DIR}/data` does here. */
function placeOf({ allocDir, taskDir }: HookContext['paths'], destination: string): string {
  const path = normalize(destination);
  return path.startsWith(`${allocDir}/`) ? path : join(taskDir, path);
}

async function link({ paths }: HookContext, hostPath: string, taskPath: string): Promise<void> {
  const path = placeOf(paths, taskPath);
  if (!path.startsWith(`${paths.taskDir}/`))
    throw refuse(`volume_mount destination "${taskPath}" is not in the task directory ${paths.taskDir}`);
  const parts = path.slice(paths.taskDir.length + 1).split('/');
  const name = parts.pop() as string;
  // The task may have put links in the way since its last start.
  const dir = await holdDir(belowTask(paths, parts), { mode: 0o755 }).catch((error: unknown) => {
    throw error instanceof SandboxError ? refuse(`volume_mount destination "${taskPath}": ${error.message}`) : error;
  });
  try {
    const existing = await lstat(dir.at(name)).catch(() => null);
    if (existing?.isSymbolicLink() && (await readlink(dir.at(name))) === hostPath) return;
    if (existing) throw refuse(`volume_mount destination "${taskPath}" already exists in the task directory`);
    await symlink(hostPath, dir.at(name));
  } finally {
    await dir.handle.close();
  }
}

function refuse(message: string): HookError {
  return new HookError(message, { recoverable: false });
}
