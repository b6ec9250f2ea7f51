import type { TaskState } from '../structs/allocation.js';
import type { Task, UpdateStrategy } from '../structs/job.js';
import { type Millis, toMillis } from '../util/clock.js';
import { formatDuration } from '../util/duration.js';

// Is an allocation healthy for its deployment, judged by the states of its tasks? Pure: asked again whenever a task
// changes and at `untilMs`.

/** Nanoseconds, as in the job's `update` or `migrate` block. */
export type HealthStrategy = Pick<UpdateStrategy, 'MinHealthyTime' | 'HealthyDeadline'>;

export type HealthVerdict =
  | { kind: 'healthy' }
  | { kind: 'unhealthy'; reason: string }
  /** Not decided; ask again at `untilMs` if nothing changes before. */
  | { kind: 'waiting'; untilMs: Millis };

/** Judges: all tasks must run without a restart for min_healthy_time, before healthy_deadline is over. */
export function judgeHealth(input: {
  strategy: HealthStrategy;
  tasks: readonly Task[];
  states: Readonly<Record<string, TaskState>>;
  /** When the watch began: the allocation's arrival, or the deployment's. */
  sinceMs: Millis;
  /** Since when all checks pass, null while one does not; absent = no check matters. */
  checksSinceMs?: Millis | null;
  nowMs: Millis;
}): HealthVerdict {
  const { strategy, tasks, states, sinceMs, nowMs } = input;
  const { MinHealthyTime: minHealthy, HealthyDeadline: healthyDeadline } = strategy;
  const deadlineMs = sinceMs + toMillis(healthyDeadline);
  if (Object.values(states).some((state) => state.State === 'dead' && state.Failed)) {
    return { kind: 'unhealthy', reason: 'Unhealthy because of failed task' };
  }
  const tasksSinceMs = allUpSinceMs(tasks, states);
  const { checksSinceMs = 0 } = input;
  const upSinceMs = tasksSinceMs === null || checksSinceMs === null ? null : Math.max(tasksSinceMs, checksSinceMs);
  if (upSinceMs !== null && nowMs >= upSinceMs + toMillis(minHealthy)) return { kind: 'healthy' };
  if (nowMs >= deadlineMs) {
    const limits = `min_healthy_time of ${formatDuration(minHealthy)} by healthy_deadline of ${formatDuration(healthyDeadline)}`;
    const what = tasksSinceMs === null || checksSinceMs !== null ? 'Task not running' : 'Services not healthy';
    return { kind: 'unhealthy', reason: `${what} for ${limits}` };
  }
  const settledMs = upSinceMs === null ? deadlineMs : upSinceMs + toMillis(minHealthy);
  return { kind: 'waiting', untilMs: Math.min(settledMs, deadlineMs) };
}

/** When the last of the tasks came up, null while one is not up. */
function allUpSinceMs(tasks: readonly Task[], states: Readonly<Record<string, TaskState>>): Millis | null {
  let since = 0;
  for (const task of tasks) {
    const state = states[task.Name];
    const hook = task.Lifecycle?.Hook;
    if (hook === 'poststop') continue;
    if (!state || state.State === 'pending') return null;
    const mayEnd = hook !== undefined && !task.Lifecycle?.Sidecar;
    if (state.State === 'dead' && !mayEnd) return null;
    since = Math.max(since, Date.parse(state.StartedAt));
  }
  return since;
}
