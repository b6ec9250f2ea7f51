import type { TaskConfig } from '../../lib/plugin/sdk/driver.js';

/** `<task>-<allocation>`, as people look for it in `docker ps`; what a container's name may not hold becomes "_". */
export function containerName({ name, allocId }: Pick<TaskConfig, 'name' | 'allocId'>): string {
  return nameOf(name, allocId);
}

/** The name of the container of a task in an allocation. */
export function nameOf(task: string, allocId: string): string {
  return `${task}-${allocId}`.replace(/[^a-zA-Z0-9_.-]/g, '_');
}

/** The label by which a container is known to be ours: the allocation's id. */
export const ALLOC_LABEL = 'com.hashicorp.nomad.alloc_id';

/** The label that tells which agent made a container: the engine may serve several. Its value is the driver's state directory. */
export const OWNER_LABEL = 'meshnomad.state_dir';

/** The label of a container that only holds a network for others: the allocation's id. */
export const NETWORK_LABEL = 'meshnomad.network';
