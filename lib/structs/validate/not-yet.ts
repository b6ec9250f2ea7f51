import type { Job } from '../job.js';
import type { Report } from './issue.js';

type Place = 'job' | 'group' | 'task' | 'resources';

/**
 * What a job file may say and this version cannot do yet: refused when a job is validated or registered, never ignored.
 * Reading and printing a job know all of it. Whoever implements a feature removes its line.
 */
export const NOT_YET: readonly { at: Place; key: string; name: string; when?: (value: unknown) => boolean }[] = [
  { at: 'job', key: 'Namespace', name: 'namespace', when: (v) => v !== 'default' },
  { at: 'task', key: 'Secrets', name: 'secret' },
];

/** Refuses every feature of the table that the job uses. */
export function validateNotYet(job: Job, report: Report): void {
  check('job', job, report);
  for (const [i, group] of job.TaskGroups.entries()) {
    const atGroup = report.at('TaskGroups').at(i);
    check('group', group, atGroup);
    for (const [t, task] of group.Tasks.entries()) {
      const atTask = atGroup.at('Tasks').at(t);
      check('task', task, atTask);
      check('resources', task.Resources, atTask.at('Resources'));
    }
  }
}

function check(place: Place, value: object, report: Report): void {
  for (const { at, key, name, when } of NOT_YET) {
    if (at !== place) continue;
    const found = key.split('.').reduce<unknown>((inner, part) => (inner as Record<string, unknown>)[part], value);
    const given = found !== null && found !== undefined && found !== false;
    if (!given || (when && !when(found))) continue;
    const shown = name === 'namespace' ? `${name} = ${JSON.stringify(found)}` : name;
    report.notYet(key, shown);
  }
}
