import type { DesiredUpdates } from '../structs/evaluation.js';
import type { FieldDiff, JobDiff, TaskDiff, TaskGroupDiff } from '../structs/job-diff.js';

const FORCES_CREATE = 'forces create';
const FORCES_DESTROY = 'forces destroy';
const FORCES_IN_PLACE = 'forces in-place update';
const FORCES_REPLACEMENT = 'forces create/destroy update';

const UPDATE_KINDS: readonly (readonly [keyof DesiredUpdates, string])[] = [
  ['Ignore', 'ignore'],
  ['Place', 'create'],
  ['Migrate', 'migrate'],
  ['Stop', 'destroy'],
  ['Canary', 'canary'],
  ['InPlaceUpdate', 'in-place update'],
  ['DestructiveUpdate', 'create/destroy update'],
];

/** Changes of a task that reach it while it runs; every other one replaces its allocation. */
const IN_PLACE_FIELDS = ['KillTimeout'];
const IN_PLACE_OBJECTS = ['Service', 'Constraint', 'Affinity', 'Spread', 'Lifecycle', 'Scaling'];

/** The diff with what the scheduler means to do: numbers of updates by group, and what each change forces. */
export function annotateDiff(diff: JobDiff, desired: Readonly<Record<string, DesiredUpdates>>): JobDiff {
  const { TaskGroups } = diff;
  return { ...diff, TaskGroups: TaskGroups?.map((group) => annotateGroup(group, desired[group.Name])) ?? null };
}

function annotateGroup(group: TaskGroupDiff, desired: DesiredUpdates | undefined): TaskGroupDiff {
  return {
    ...group,
    Updates: desired ? updatesOf(desired) : null,
    Fields: group.Fields?.map(annotateCount) ?? null,
    Tasks: group.Tasks?.map((task) => ({ ...task, Annotations: annotationsOf(task, group) })) ?? null,
  };
}

function annotateCount(field: FieldDiff): FieldDiff {
  const [before, after] = [Number(field.Old), Number(field.New)];
  if (field.Name !== 'Count' || before === after) return field;
  return { ...field, Annotations: [before < after ? FORCES_CREATE : FORCES_DESTROY] };
}

function updatesOf(desired: DesiredUpdates): Record<string, number> {
  return Object.fromEntries(
    UPDATE_KINDS.filter(([key]) => desired[key] > 0).map(([key, kind]) => [kind, desired[key]]),
  );
}

function annotationsOf(task: TaskDiff, group: TaskGroupDiff): string[] | null {
  if (task.Type === 'None') return null;
  if (group.Type === 'Added' || group.Type === 'Deleted') {
    return [task.Type === 'Added' ? FORCES_CREATE : FORCES_DESTROY];
  }
  return [replaces(task) ? FORCES_REPLACEMENT : FORCES_IN_PLACE];
}

function replaces({ Fields, Objects }: TaskDiff): boolean {
  if ((Fields ?? []).some(({ Name }) => !IN_PLACE_FIELDS.includes(Name))) return true;
  return (Objects ?? []).some((object) => {
    if (object.Name !== 'LogConfig') return !IN_PLACE_OBJECTS.includes(object.Name);
    // Collecting logs or not is decided when the task starts.
    return (object.Fields ?? []).some(({ Name, Type }) => Name === 'Disabled' && Type !== 'None');
  });
}
