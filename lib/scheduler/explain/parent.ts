import type { Job } from '../../structs/job.js';
import { isParameterized, isPeriodicActive } from '../../structs/job-kind.js';

/** Of a job that never runs itself: what makes jobs of it. */
export function parentSentence(job: Job): string {
  const is = `Job "${job.ID}" itself runs nothing`;
  if (job.Stop) return `${is}, and was stopped: no more jobs are made of it.`;
  if (isParameterized(job)) return `${is}: each "meshnomad job dispatch ${job.ID}" makes a job of it.`;
  if (!isPeriodicActive(job)) return `${is}, and its periodic block has enabled = false: no jobs are made of it.`;
  return `${is}: the clock makes jobs of it; "meshnomad job status ${job.ID}" tells which, and when the next.`;
}
