import { MeshError } from '../../structs/errors.js';
import type { Evaluation } from '../../structs/evaluation.js';
import type { Job } from '../../structs/job.js';
import type { Nanos } from '../../util/clock.js';
import { err, ok, type Result } from '../../util/result.js';
import type {
  CommandResult,
  JobBatchDeregisterCommand,
  JobDeregisterCommand,
  JobRegisterCommand,
  JobStabilityCommand,
  JobVersionTagCommand,
} from '../commands.js';
import { specChanged } from '../job-spec.js';
import { countChild, jobStatusNow } from '../job-status.js';
import { ensureSummary } from '../job-summary.js';
import { versionKey } from '../schema.js';
import { shareEqual } from '../share.js';
import type { Transaction } from '../transaction.js';
import { jobKey } from '../watch.js';
import { transitionAlloc } from './allocs.js';
import { storeEvals } from './evals.js';
import { addScalingEvent } from './scaling.js';

/** Old versions of a job are dropped beyond this many; those with a tag do not count. */
const JOB_VERSIONS_KEPT = 6;

export function applyJobRegister(txn: Transaction, command: JobRegisterCommand): CommandResult<'job-register'> {
  const { job, submission, enforceJobModifyIndex: enforced } = command;
  const existing = txn.tables.jobs.get(jobKey(job.Namespace, job.ID));
  if (enforced !== undefined && enforced !== (existing?.JobModifyIndex ?? 0)) {
    return err(
      new MeshError(
        'E_CONFLICT',
        existing === undefined
          ? `job "${job.ID}" does not exist, but its modify index was expected to be ${enforced}: plan it again`
          : `job "${job.ID}" has modify index ${existing.JobModifyIndex}, not ${enforced}: it was changed meanwhile, plan it again`,
      ),
    );
  }
  const outcome = registerJob(txn, job, command.eval);
  if (outcome.changed && submission !== null) {
    const { Namespace, ID: JobID, Version } = outcome.job;
    txn.putSubmission({ Namespace, JobID, Version, Submission: submission });
  }
  if (command.launchedAt !== undefined) {
    txn.putLaunch({ Namespace: job.Namespace, ID: job.ParentID, Launch: command.launchedAt });
  }
  if (command.scalingEvent) addScalingEvent(txn, job.Namespace, job.ID, command.scalingEvent);
  return ok(outcome);
}

/** Stores a job, as a new version if its specification changed, and the evaluation that goes with it. */
export function registerJob(
  txn: Transaction,
  wanted: Job,
  evaluation: Evaluation | null,
): { job: Job; changed: boolean } {
  const existing = txn.tables.jobs.get(jobKey(wanted.Namespace, wanted.ID));
  const shared = shareEqual(existing ?? txn.recent.job, wanted);
  const changed = existing === undefined || specChanged(existing, shared);
  const jobModifyIndex = changed ? txn.index : existing.JobModifyIndex;
  if (evaluation !== null) storeEvals(txn, [{ ...evaluation, JobModifyIndex: jobModifyIndex }]);
  if (!changed) return { job: existing, changed };
  const draft: Job = {
    ...shared,
    StatusDescription: '',
    Stable: false,
    Version: existing === undefined ? 0 : existing.Version + 1,
    VersionTag: null,
    CreateIndex: existing?.CreateIndex ?? txn.index,
    ModifyIndex: txn.index,
    JobModifyIndex: jobModifyIndex,
  };
  const job = { ...draft, Status: jobStatusNow(txn, draft, false) };
  ensureSummary(txn, job);
  txn.putJob(job);
  txn.recent.job = job;
  countChild(txn, job, existing?.Status ?? null, job.Status);
  dropOldVersions(txn, job);
  return { job, changed };
}

function dropOldVersions(txn: Transaction, job: Job): void {
  const versions = [...txn.tables.job_versions.values(versionKey(job.Namespace, job.ID))].filter(
    (version) => version.VersionTag === null,
  );
  const excess = versions.length - JOB_VERSIONS_KEPT;
  if (excess <= 0) return;
  // The last version known to be good stays, however old: without it there is nothing to revert to.
  const spared = versions.findLast((version) => version.Stable);
  for (const version of versions.filter((version) => version !== spared).slice(0, excess)) {
    txn.deleteJobVersion(version);
  }
}

export function applyJobDeregister(txn: Transaction, command: JobDeregisterCommand): CommandResult<'job-deregister'> {
  const { namespace, id, purge, time } = command;
  const stopped = stopJob(txn, { namespace, id, purge, time });
  if (!stopped.ok) return stopped;
  const jobModifyIndex = stopped.value;
  if (command.noShutdownDelay === true) {
    for (const alloc of txn.tables.allocs.under('job', jobKey(namespace, id))) {
      transitionAlloc(txn, alloc, { NoShutdownDelay: true }, time);
    }
  }
  if (command.eval !== null) storeEvals(txn, [{ ...command.eval, JobModifyIndex: jobModifyIndex }]);
  return ok({ jobModifyIndex });
}

export function applyJobBatchDeregister(
  txn: Transaction,
  command: JobBatchDeregisterCommand,
): CommandResult<'job-batch-deregister'> {
  for (const job of command.jobs) stopJob(txn, { ...job, time: command.time });
  storeEvals(txn, command.evals);
  return ok(null);
}

function stopJob(
  txn: Transaction,
  request: { namespace: string; id: string; purge: boolean; time: Nanos },
): Result<number, MeshError> {
  const { namespace, id, purge, time } = request;
  const existing = txn.tables.jobs.get(jobKey(namespace, id));
  if (existing === undefined) return err(jobNotFound(namespace, id));
  if (!purge) {
    return ok(registerJob(txn, { ...existing, Stop: true, SubmitTime: time }, null).job.JobModifyIndex);
  }
  // What a parent counts does not shrink: a job that is gone counts as dead.
  countChild(txn, existing, existing.Status, 'dead');
  txn.deleteJob(existing);
  for (const version of [...txn.tables.job_versions.values(versionKey(namespace, id))]) txn.deleteJobVersion(version);
  return ok(txn.index);
}

export function applyJobStability(txn: Transaction, command: JobStabilityCommand): CommandResult<'job-stability'> {
  return updateVersion(txn, command, (job) => ({ ...job, Stable: command.stable }));
}

export function applyJobVersionTag(txn: Transaction, command: JobVersionTagCommand): CommandResult<'job-version-tag'> {
  return updateVersion(txn, command, (job) => ({ ...job, VersionTag: command.tag }));
}

/** Marks one version of a job stable, if it is still known. */
export function markStable(txn: Transaction, namespace: string, id: string, version: number): void {
  updateVersion(txn, { namespace, id, version }, (job) => ({ ...job, Stable: true }));
}

function updateVersion(
  txn: Transaction,
  { namespace, id, version }: { namespace: string; id: string; version: number },
  change: (job: Job) => Job,
): Result<null, MeshError> {
  const stored = txn.tables.job_versions.get(versionKey(namespace, id, version));
  if (stored === undefined) {
    return err(new MeshError('E_NOT_FOUND', `job "${id}" in namespace "${namespace}" has no version ${version}`));
  }
  const current = txn.tables.jobs.get(jobKey(namespace, id));
  if (current?.Version === version) txn.putJob({ ...change(current), ModifyIndex: txn.index });
  else txn.putJobVersion({ ...change(stored), ModifyIndex: txn.index });
  return ok(null);
}

export function jobNotFound(namespace: string, id: string): MeshError {
  return new MeshError('E_NOT_FOUND', `job "${id}" not found in namespace "${namespace}"`);
}
