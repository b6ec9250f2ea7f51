import type { TaskConfig } from '../../lib/plugin/sdk/driver.js';
import { matchesGlob } from '../../lib/util/glob.js';

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

/** What `extra_labels` of the agent's config may add, each as a label `com.hashicorp.nomad.NAME`. */
export const LABEL_FACTS = [
  'job_name',
  'job_id',
  'parent_job_id',
  'task_group_name',
  'task_name',
  'namespace',
  'node_name',
  'node_id',
] as const;

/** The labels that `extra_labels` asks for; a `*` in a word stands for anything. */
export function extraLabels(task: TaskConfig, words: readonly string[]): Record<string, string> {
  const facts: Record<(typeof LABEL_FACTS)[number], string> = {
    job_name: task.jobName,
    job_id: task.jobId,
    parent_job_id: task.env['NOMAD_JOB_PARENT_ID'] ?? '',
    task_group_name: task.taskGroup,
    task_name: task.name,
    namespace: task.namespace,
    node_name: task.nodeName,
    node_id: task.nodeId,
  };
  const wanted = LABEL_FACTS.filter((fact) => facts[fact] !== '' && words.some((word) => matchesGlob(word, fact)));
  return Object.fromEntries(wanted.map((fact) => [`com.hashicorp.nomad.${fact}`, facts[fact]]));
}
