import type { Allocation } from './allocation.js';
import { groupOf } from './group-of.js';

/** The event of a task that was stopped since its allocation's time was over. Nomad's word. */
export const RUN_LIMIT_EVENT = 'Max Run Duration Exceeded';

/**
 * Whether the work of an allocation that is over was stopped before it was done, though it is to run: its order to stop was given
 * in a state that is no more, after the snapshot that was restored. A leader that ends has the others stopped, and so has a limit.
 */
export function wasStoppedMidway({
  Job,
  TaskGroup,
  TaskStates,
}: Pick<Allocation, 'Job' | 'TaskGroup' | 'TaskStates'>): boolean {
  const tasks = groupOf(Job, TaskGroup)?.Tasks ?? [];
  const leaders = tasks.filter(({ Leader }) => Leader);
  const work = leaders.length > 0 ? leaders : tasks.filter(({ Lifecycle }) => !Lifecycle);
  const has = (name: string, type: string): boolean =>
    TaskStates?.[name]?.Events?.some(({ Type }) => Type === type) ?? false;
  return work.some(({ Name }) => has(Name, 'Killing')) && !tasks.some(({ Name }) => has(Name, RUN_LIMIT_EVENT));
}
