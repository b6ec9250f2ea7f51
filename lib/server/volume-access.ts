import type { Job } from '../structs/job.js';
import type { WriteOptions } from '../structs/rpc.js';
import type { ServerWorld } from './world.js';

/** Something that is done with a volume, or with a plugin. */
export type VolumeOperation =
  | 'list'
  | 'read'
  | 'register'
  | 'create'
  | 'expand'
  | 'detach'
  | 'delete'
  | 'snapshot'
  | 'mount-readonly'
  | 'mount-readwrite';

/** Who wants to do what with which volume. */
export interface VolumeAccess {
  readonly kind: 'csi' | 'host' | 'plugin';
  /** '' for plugins and for the host volumes of a configuration: they have none. */
  readonly namespace: string;
  /** Id of a CSI volume or plugin, name of a host volume; '' for all. */
  readonly name: string;
  readonly operation: VolumeOperation;
  readonly token: string;
}

/** Decides; ServerConfig has one once there are rights to decide by. */
export type VolumePolicy = (access: VolumeAccess) => Error | null;

/**
 * Every operation on a volume passes through here, once, before anything is read or done. Throws what the policy answers; without
 * one everybody may do everything.
 */
export function requireVolumeAccess(
  world: Pick<ServerWorld, 'config'>,
  args: WriteOptions,
  access: Omit<VolumeAccess, 'token'>,
): void {
  const refusal = world.config.volumePolicy?.({ ...access, token: args.AuthToken ?? '' });
  if (refusal) throw refusal;
}

/** Whether a list may show it. */
export function mayListVolume(
  world: Pick<ServerWorld, 'config'>,
  args: WriteOptions,
  access: Omit<VolumeAccess, 'token' | 'operation'>,
): boolean {
  return !world.config.volumePolicy?.({ ...access, operation: 'list', token: args.AuthToken ?? '' });
}

/** Everything that the groups of a job want to mount. */
export function requireMountAccess(world: Pick<ServerWorld, 'config'>, args: WriteOptions, job: Job): void {
  for (const { Volumes } of job.TaskGroups) {
    for (const { Type, Source, ReadOnly } of Object.values(Volumes ?? {})) {
      const kind = Type === 'csi' ? 'csi' : 'host';
      const operation = ReadOnly ? 'mount-readonly' : 'mount-readwrite';
      requireVolumeAccess(world, args, { kind, namespace: job.Namespace, name: Source, operation });
    }
  }
}
