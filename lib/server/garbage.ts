import type { StateSnapshot } from '../state/store.js';
import type { Allocation } from '../structs/allocation.js';
import type { Evaluation } from '../structs/evaluation.js';
import type { Job } from '../structs/job.js';
import { isParent } from '../structs/job-kind.js';
import { type Millis, toNanos } from '../util/clock.js';
import { type AllocsOfEval, allocsByEval } from './allocs-by-eval.js';
import { isClientTerminal } from './node-evals.js';

/** How long things are kept after their end. */
export interface GcThresholds {
  intervalMs: Millis;
  evalMs: Millis;
  batchEvalMs: Millis;
  jobMs: Millis;
  nodeMs: Millis;
  deploymentMs: Millis;
  /** Claims on volumes that were released. */
  pastClaimsMs: Millis;
}

const HOUR_MS = 3_600_000;

export const GC_THRESHOLDS: GcThresholds = {
  intervalMs: 5 * 60_000,
  evalMs: HOUR_MS,
  batchEvalMs: 24 * HOUR_MS,
  jobMs: 4 * HOUR_MS,
  nodeMs: 24 * HOUR_MS,
  deploymentMs: HOUR_MS,
  pastClaimsMs: 24 * HOUR_MS,
};

/** What may be forgotten, by id. */
export interface Garbage {
  evals: string[];
  allocs: string[];
  jobs: { namespace: string; id: string }[];
  nodes: string[];
  deployments: string[];
}

/** Everything that ended longer ago than its threshold and that nothing alive refers to; `force` takes all that ended. */
export function findGarbage(
  state: StateSnapshot,
  options: { now: Millis; thresholds: GcThresholds; force: boolean },
): Garbage {
  const { now, thresholds, force } = options;
  const before = (ms: Millis): number => (force ? Number.POSITIVE_INFINITY : toNanos(now - ms));
  const garbage: Garbage = { evals: [], allocs: [], jobs: [], nodes: [], deployments: [] };
  const jobsGone = new Set<string>();

  for (const job of state.jobs()) {
    if (!jobIsOver(job, state, before(thresholds.jobMs))) continue;
    jobsGone.add(jobKey(job.Namespace, job.ID));
    garbage.jobs.push({ namespace: job.Namespace, id: job.ID });
    garbage.deployments.push(...state.deploymentsByJob(job.Namespace, job.ID).map(({ ID }) => ID));
  }

  const allocsGone = new Set<string>();
  const allocsOf = allocsByEval(state);
  for (const evaluation of state.evals()) {
    const gone = jobsGone.has(jobKey(evaluation.Namespace, evaluation.JobID));
    const cutoff = before(isBatch(evaluation.Type) ? thresholds.batchEvalMs : thresholds.evalMs);
    if (!gone && !evalIsOver(evaluation, state, cutoff, allocsOf)) continue;
    garbage.evals.push(evaluation.ID);
    for (const { ID } of allocsOf(evaluation)) allocsGone.add(ID);
  }
  for (const { namespace, id } of garbage.jobs) {
    for (const { ID } of state.allocsByJob(namespace, id)) allocsGone.add(ID);
  }
  garbage.allocs = [...allocsGone];

  for (const deployment of state.deployments()) {
    if (jobsGone.has(jobKey(deployment.Namespace, deployment.JobID))) continue;
    if (!isEnded(deployment.Status) || deployment.ModifyTime >= before(thresholds.deploymentMs)) continue;
    const inUse = state.allocsByDeployment(deployment.ID).some(({ ID, ClientStatus }) => {
      return !allocsGone.has(ID) && !isClientTerminal(ClientStatus);
    });
    const latest = state.latestDeploymentByJob(deployment.Namespace, deployment.JobID);
    if (!inUse && (force || latest?.ID !== deployment.ID)) garbage.deployments.push(deployment.ID);
  }

  for (const node of state.nodes()) {
    // Put to sleep by the autoscaler: it is to be woken again.
    const sleeps = (node.LastDrain as { Meta?: Record<string, string> } | null)?.Meta?.['autoscaler_asleep'] === 'true';
    if (sleeps && node.SchedulingEligibility === 'ineligible') continue;
    if (node.Status !== 'down' || toNanos(node.StatusUpdatedAt * 1_000) >= before(thresholds.nodeMs)) continue;
    const inUse = state.allocsByNode(node.ID).some((alloc) => !isClientTerminal(alloc.ClientStatus));
    if (!inUse) garbage.nodes.push(node.ID);
  }
  return garbage;
}

/** A job may go when it was stopped, or is a batch that ran to its end, and nothing of it happened since `cutoff`. */
function jobIsOver(job: Job, state: StateSnapshot, cutoff: number): boolean {
  const mayEnd = job.Stop || (isBatch(job.Type) && !isParent(job));
  if (!mayEnd || job.Status !== 'dead' || job.SubmitTime >= cutoff) return false;
  const evals = state.evalsByJob(job.Namespace, job.ID);
  if (evals.some((evaluation) => !isClosed(evaluation) || evaluation.ModifyTime >= cutoff)) return false;
  const allocs = state.allocsByJob(job.Namespace, job.ID);
  return allocs.every((alloc) => isClientTerminal(alloc.ClientStatus) && alloc.ModifyTime < cutoff);
}

function evalIsOver(evaluation: Evaluation, state: StateSnapshot, cutoff: number, allocsOf: AllocsOfEval): boolean {
  if (!isClosed(evaluation) || evaluation.ModifyTime >= cutoff) return false;
  const job = state.jobById(evaluation.Namespace, evaluation.JobID);
  const jobLives = job !== undefined && !job.Stop && job.Status !== 'dead';
  const allocs = allocsOf(evaluation);
  // The allocations of a batch are its memory of what is done: without them it would run again.
  if (jobLives && isBatch(evaluation.Type) && allocs.length > 0) return false;
  return allocs.every((alloc) => allocIsOver(alloc, jobLives, cutoff));
}

function allocIsOver(alloc: Allocation, jobLives: boolean, cutoff: number): boolean {
  if (!isClientTerminal(alloc.ClientStatus) || alloc.ModifyTime >= cutoff) return false;
  // A failed one without successor still counts its attempts for the next.
  const mayComeBack = jobLives && alloc.DesiredStatus === 'run' && alloc.NextAllocation === '';
  return !mayComeBack || alloc.ClientStatus === 'complete';
}

const isBatch = (type: string): boolean => type === 'batch' || type === 'sysbatch';
const isClosed = ({ Status }: Evaluation): boolean =>
  Status === 'complete' || Status === 'failed' || Status === 'canceled';
const isEnded = (status: string): boolean => status === 'successful' || status === 'failed' || status === 'cancelled';
const jobKey = (namespace: string, id: string): string => `${namespace}\0${id}`;
