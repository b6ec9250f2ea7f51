import type { StateSnapshot } from '../state/store.js';
import type { Job } from '../structs/job.js';

/** What is said to who registers a job with `memory_max` where no task may use more memory than it reserves. */
export function memoryMaxWarnings(job: Job, state: StateSnapshot): string[] {
  const pool = state.nodePoolByName(job.NodePool)?.SchedulerConfiguration;
  if (pool?.MemoryOversubscriptionEnabled ?? state.schedulerConfig().MemoryOversubscriptionEnabled) return [];
  const tasks = job.TaskGroups.flatMap(({ Name, Tasks }) =>
    Tasks.filter(({ Resources }) => Resources.MemoryMaxMB !== 0).map((task) => `${Name}.${task.Name}`),
  );
  if (tasks.length === 0) return [];
  return [
    `memory_max of ${tasks.join(', ')} has no effect: memory oversubscription is not enabled; "meshnomad operator scheduler set-config -memory-oversubscription=true" enables it`,
  ];
}
