import type { Allocation, TaskState } from '../structs/allocation.js';
import { groupOf } from '../structs/group-of.js';
import { RUN_LIMIT_EVENT } from '../structs/stopped.js';
import { type Millis, toMillis } from '../util/clock.js';

// `max_run_duration`: how long an allocation of a batch or sysbatch job may take, from its arrival on the node on, whatever
// its tasks do. What is over its time is stopped, poststop tasks do not run, and it counts as complete, as with Nomad.

type States = Readonly<Record<string, TaskState>>;

/** When the allocation's time is over; null: it has no limit. */
export function runLimitAt(alloc: Allocation, states: States): Millis | null {
  const type = alloc.Job?.Type;
  if (type !== 'batch' && type !== 'sysbatch') return null;
  const limit = groupOf(alloc.Job, alloc.TaskGroup)?.MaxRunDuration;
  return limit ? arrivedAt(alloc, states) + toMillis(limit) : null;
}

/** When this node received it. A task keeps its latest events only: then the server's word counts. */
function arrivedAt(alloc: Allocation, states: States): Millis {
  for (const { Events } of Object.values(states)) {
    const received = Events.find(({ Type }) => Type === 'Received');
    if (received) return toMillis(received.Time);
  }
  return toMillis(alloc.CreateTime);
}

/** Whether it was stopped since its time was over. */
export function isOverLimit(states: States): boolean {
  return Object.values(states).some(({ Events }) => Events.some(({ Type }) => Type === RUN_LIMIT_EVENT));
}
