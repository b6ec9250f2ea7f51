import type { Job, JobStatus } from '../structs/job.js';
import { isParent } from '../structs/job-kind.js';
import { CHILD_COUNTER } from './job-summary.js';
import type { Transaction } from './transaction.js';
import { jobKey } from './watch.js';

/** What is known of a job's work. */
export interface JobWork {
  readonly hasLiveAllocs: boolean;
  readonly hasOpenEvals: boolean;
  /** Whether anything ever came of it that is still remembered. */
  readonly hasHistory: boolean;
}

/** The status that follows from a job's work, as Nomad derives it. */
export function deriveJobStatus(job: Job, work: JobWork): JobStatus {
  // These wait for nodes, the clock or a dispatch: they run until somebody stops them.
  if (job.Type === 'system' || isParent(job)) {
    return job.Stop ? 'dead' : 'running';
  }
  if (work.hasLiveAllocs) return 'running';
  if (work.hasOpenEvals) return 'pending';
  return work.hasHistory ? 'dead' : 'pending';
}

/** The job's status as of the writes so far; `garbage`: some of its history was just forgotten. */
export function jobStatusNow(txn: Transaction, job: Job, garbage: boolean): JobStatus {
  const key = jobKey(job.Namespace, job.ID);
  const { allocs, evals } = txn.tables;
  return deriveJobStatus(job, {
    hasLiveAllocs: allocs.counted(key) > 0,
    hasOpenEvals: evals.has('openOfJob', key),
    hasHistory: garbage || allocs.has('job', key) || evals.has('job', key),
  });
}

/** Gives every job that the transaction touched the status it now has. */
export function settleJobs(txn: Transaction): void {
  for (const [key, garbage] of txn.unsettledJobs) {
    const job = txn.tables.jobs.get(key);
    if (job === undefined) continue;
    const status = jobStatusNow(txn, job, garbage);
    if (status === job.Status) continue;
    txn.putJob({ ...job, Status: status, ModifyIndex: txn.index });
    countChild(txn, job, job.Status, status);
  }
  txn.unsettledJobs.clear();
}

/** Moves a dispatched or launched job from one count of its parent to another; null = it is new. */
export function countChild(txn: Transaction, child: Job, from: JobStatus | null, to: JobStatus): void {
  if (child.ParentID === '' || from === to) return;
  const children = txn.summaries.edit(jobKey(child.Namespace, child.ParentID))?.Children;
  if (children === undefined || children === null) return;
  if (from !== null) children[CHILD_COUNTER[from]] = Math.max(0, children[CHILD_COUNTER[from]] - 1);
  children[CHILD_COUNTER[to]]++;
}
