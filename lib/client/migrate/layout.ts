import { join } from 'node:path';
import type { TaskGroup } from '../../structs/job.js';
import { allocPaths, taskPaths } from '../alloc-dir.js';

/** What of an allocation's directory is its data, as paths in it: what its tasks share, and the local directory of each. */
export function dataPaths({ Tasks }: Pick<TaskGroup, 'Tasks'>): string[] {
  return [join('alloc', 'data'), ...Tasks.map(({ Name }) => join(Name, 'local'))];
}

/** The same as host paths. */
export function dataDirs(root: string, allocId: string, group: Pick<TaskGroup, 'Tasks'>): string[] {
  const { dataDir } = allocPaths(root, allocId);
  return [dataDir, ...group.Tasks.map(({ Name }) => taskPaths(root, allocId, Name).localDir)];
}
