import type { AllocClientStatus, TaskState } from '../structs/allocation.js';
import type { Task, TaskGroup } from '../structs/job.js';

// The order of a group's tasks. Pure.
//
//   prestart (must succeed) ─┐
//   prestart sidecars (run) ─┴─► main tasks ─► poststart, once all main tasks run
//   all main tasks dead ─► sidecars are stopped ─► poststop
//   leader dead, or a task failed ─► the others are stopped

export type TaskRole = 'prestart' | 'prestart-sidecar' | 'main' | 'poststart' | 'poststart-sidecar' | 'poststop';

export function taskRole(task: Pick<Task, 'Lifecycle'>): TaskRole {
  const { Lifecycle: lifecycle } = task;
  if (!lifecycle) return 'main';
  if (lifecycle.Hook === 'poststop') return 'poststop';
  return lifecycle.Sidecar ? `${lifecycle.Hook}-sidecar` : lifecycle.Hook;
}

type States = Readonly<Record<string, TaskState>>;
type Tasks = readonly Pick<Task, 'Name' | 'Lifecycle' | 'Leader'>[];

/** May this task start now? `stopping`: the allocation is being stopped, so only poststop may still begin. */
export function mayStart(
  task: Pick<Task, 'Name' | 'Lifecycle'>,
  group: { tasks: Tasks; states: States; stopping: boolean },
): boolean {
  const { tasks, states, stopping } = group;
  const all = (role: TaskRole, test: (state: TaskState) => boolean): boolean =>
    tasks
      .filter((other) => taskRole(other) === role)
      .every((other) => {
        const state = states[other.Name];
        return state !== undefined && test(state);
      });
  const role = taskRole(task);
  if (role === 'poststop')
    return tasks
      .filter((t) => t.Name !== task.Name && taskRole(t) !== 'poststop')
      .every((t) => states[t.Name]?.State === 'dead');
  if (stopping) return false;
  switch (role) {
    case 'prestart':
    case 'prestart-sidecar':
      return true;
    case 'main':
      return (
        all('prestart', (state) => state.State === 'dead' && !state.Failed) &&
        all('prestart-sidecar', (state) => state.State === 'running')
      );
    default:
      return all('main', (state) => state.State === 'running');
  }
}

export type StopReason = { kind: 'sibling-failed'; task: string } | { kind: 'leader-dead' } | { kind: 'main-dead' };

/** Why the tasks that still run must be stopped now, or null. */
export function stopReason(tasks: Tasks, states: States): StopReason | null {
  const dead = tasks.filter((task) => states[task.Name]?.State === 'dead');
  const failed = dead.find((task) => states[task.Name]?.Failed && taskRole(task) !== 'poststop');
  if (failed) return { kind: 'sibling-failed', task: failed.Name };
  if (dead.some((task) => task.Leader)) return { kind: 'leader-dead' };
  const main = tasks.filter((task) => taskRole(task) === 'main');
  if (main.length > 0 && main.every((task) => dead.includes(task))) return { kind: 'main-dead' };
  return null;
}

/** The order in which running tasks are stopped: the leader, then the others, then the sidecars they lean on. */
export function stopOrder(tasks: Tasks): string[][] {
  const names = (test: (task: Tasks[number]) => boolean): string[] => tasks.filter(test).map((task) => task.Name);
  const late = (task: Tasks[number]): boolean => taskRole(task).endsWith('-sidecar');
  return [
    names((task) => task.Leader),
    names((task) => !task.Leader && !late(task) && taskRole(task) !== 'poststop'),
    names((task) => !task.Leader && late(task)),
  ].filter((step) => step.length > 0);
}

/** What the client says of the allocation as a whole. */
export function clientStatus(
  group: Pick<TaskGroup, 'Tasks'>,
  states: States,
): { status: AllocClientStatus; description: string } {
  const seen = new Set<TaskState['State'] | 'afterwards'>();
  for (const task of group.Tasks) {
    const state = states[task.Name];
    if (state?.State === 'dead' && state.Failed) return { status: 'failed', description: 'Failed tasks' };
    const name = state?.State ?? 'pending';
    seen.add(name === 'pending' && taskRole(task) === 'poststop' ? 'afterwards' : name);
  }
  // With only poststop tasks left to run the allocation is not over: it still needs its place on the node.
  const cleaningUp = seen.has('afterwards') && seen.has('dead') && !seen.has('pending');
  if (seen.has('running') || cleaningUp) return { status: 'running', description: 'Tasks are running' };
  if (seen.has('pending') || seen.has('afterwards')) return { status: 'pending', description: 'No tasks have started' };
  if (seen.has('dead')) return { status: 'complete', description: 'All tasks have completed' };
  return { status: 'pending', description: '' };
}
