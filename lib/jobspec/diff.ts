import type { Job, Task, TaskGroup } from '../structs/job.js';
import type { DiffType, JobDiff, TaskDiff, TaskGroupDiff } from '../structs/job-diff.js';
import { atOnce, GROUPS_PER_TURN, mapInTurns, type Resting } from '../util/turns.js';
import { diffBlock, listOrNull, pairUp, typeOfPair } from './diff-objects.js';
import { GROUP, JOB, type Plain, TASK } from './diff-shapes.js';

/**
 * What changes from one canonical job to another; null stands for a job that is not there. With `contextual` the blocks
 * in which something changed tell their unchanged fields too, as `job plan` shows them.
 */
export function diffJobs(before: Job | null, after: Job | null, options: { contextual: boolean }): JobDiff {
  return atOnce(diffJobsInTurns(before, after, options));
}

/** The same with rests between the groups. */
export function* diffJobsInTurns(
  before: Job | null,
  after: Job | null,
  { contextual }: { contextual: boolean },
): Resting<JobDiff> {
  const { Fields, Objects } = diffBlock(asPlain(before), asPlain(after), JOB, contextual);
  const groups = yield* mapInTurns(
    pairNamed(before?.TaskGroups ?? [], after?.TaskGroups ?? []),
    ([a, b]) => diffGroup(a, b, contextual),
    GROUPS_PER_TURN,
  );
  const changed = [...(Fields ?? []), ...(Objects ?? []), ...groups].some(({ Type }) => Type !== 'None');
  return {
    Type: typeOfJob(before, after, changed),
    ID: after?.ID ?? before?.ID ?? '',
    Fields,
    Objects,
    TaskGroups: listOrNull(groups),
  };
}

/** A diff that says nothing: what stands for "not asked for", since clients take a diff to be there. */
export function emptyDiff(id: string, type: DiffType): JobDiff {
  return { Type: type, ID: id, Fields: null, Objects: null, TaskGroups: null };
}

function typeOfJob(before: Job | null, after: Job | null, changed: boolean): DiffType {
  if (!before) return after ? 'Added' : 'None';
  if (!after) return 'Deleted';
  return changed ? 'Edited' : 'None';
}

function diffGroup(before: TaskGroup | null, after: TaskGroup | null, contextual: boolean): TaskGroupDiff {
  const tasks = pairNamed(before?.Tasks ?? [], after?.Tasks ?? []).map(([a, b]) => diffTask(a, b, contextual));
  return {
    Type: typeOfPair(before, after),
    Name: after?.Name ?? before?.Name ?? '',
    ...diffBlock(asPlain(before), asPlain(after), GROUP, contextual),
    Tasks: listOrNull(tasks),
    Updates: null,
  };
}

function diffTask(before: Task | null, after: Task | null, contextual: boolean): TaskDiff {
  return {
    Type: typeOfPair(before, after),
    Name: after?.Name ?? before?.Name ?? '',
    ...diffBlock(asPlain(before), asPlain(after), TASK, contextual),
    Annotations: null,
  };
}

function asPlain(value: object | null): Plain | null {
  return value as Plain | null;
}

/** Groups and tasks are known by their names, and told in the order of them. */
function pairNamed<T extends { Name: string }>(before: readonly T[], after: readonly T[]): [T | null, T | null][] {
  const pairs = pairUp(before as readonly (T & Plain)[], after as readonly (T & Plain)[], { by: 'key', key: 'Name' });
  const nameOf = ([a, b]: [T | null, T | null]): string => b?.Name ?? a?.Name ?? '';
  return pairs.sort((x, y) => (nameOf(x) < nameOf(y) ? -1 : 1));
}
