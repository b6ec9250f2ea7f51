import { lstat, mkdir, readlink, stat, symlink } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import type { TaskMount } from '../../plugin/sdk/driver.js';
import type { VolumeMount, VolumeRequest } from '../../structs/volume.js';
import { type HookContext, HookError, taskHook } from './hook.js';

/** Host volumes: mounts for a task with a root of its own, a link in the task's directory for one without. */
export const volumesHook = taskHook('volumes', {
  async prestart(context) {
    for (const mount of context.task.VolumeMounts ?? []) {
      const found = await resolveMount(context, mount);
      if (context.driver.capabilities.fsIsolation === 'none') await linkVolume(context, found);
      else context.draft.mounts.push(found);
    }
  },
});

async function resolveMount({ group, config, alloc }: HookContext, mount: VolumeMount): Promise<TaskMount> {
  const request = group.Volumes?.[mount.Volume];
  if (!request)
    throw refuse(`volume_mount names the volume "${mount.Volume}", which group "${group.Name}" does not have`);
  if (request.Type === 'csi') throw refuse(`volume "${mount.Volume}" is a CSI volume: not supported yet`);
  const source = sourceName(request, alloc.Name);
  const volume = config.hostVolumes[source];
  if (!volume) throw refuse(`host volume "${source}" is not configured on this node`);
  const there = await stat(volume.Path).then(
    (info) => info.isDirectory() || info.isFile(),
    () => false,
  );
  if (!there) throw refuse(`host volume "${source}" has no directory: ${volume.Path} does not exist`);
  return {
    hostPath: volume.Path,
    taskPath: mount.Destination,
    readOnly: mount.ReadOnly || request.ReadOnly || volume.ReadOnly,
    propagation: PROPAGATION[mount.PropagationMode] ?? 'private',
  };
}

const PROPAGATION: Record<string, TaskMount['propagation']> = {
  'host-to-task': 'host-to-task',
  bidirectional: 'bidirectional',
};

/** per_alloc volumes are one per index: `data[2]`. */
function sourceName(request: VolumeRequest, allocName: string): string {
  return request.PerAlloc ? `${request.Source}${/\[\d+\]$/.exec(allocName)?.[0] ?? ''}` : request.Source;
}

async function linkVolume({ paths }: HookContext, { hostPath, taskPath }: TaskMount): Promise<void> {
  const link = join(paths.taskDir, taskPath);
  if (!link.startsWith(`${paths.taskDir}/`))
    throw refuse(`volume_mount destination "${taskPath}" escapes the task directory`);
  await mkdir(dirname(link), { recursive: true });
  const existing = await lstat(link).catch(() => null);
  if (existing?.isSymbolicLink() && (await readlink(link)) === hostPath) return;
  if (existing) throw refuse(`volume_mount destination "${taskPath}" already exists in the task directory`);
  await symlink(hostPath, link);
}

function refuse(message: string): HookError {
  return new HookError(message, { recoverable: false });
}
