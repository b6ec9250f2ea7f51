import type { Job } from '../job.js';
import type { Report } from './issue.js';

/**
 * What a job file may say and this version cannot do yet: refused when a job is validated or registered, never ignored.
 * Reading and printing a job know all of it. There is one namespace so far.
 */
export function validateNotYet(job: Job, report: Report): void {
  if (job.Namespace === 'default') return;
  report.notYet('Namespace', `namespace = ${JSON.stringify(job.Namespace)}`);
}
