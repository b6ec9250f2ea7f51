import type { StateSnapshot } from '../state/store.js';
import type { Allocation } from '../structs/allocation.js';
import type { Evaluation } from '../structs/evaluation.js';
import type { Job } from '../structs/job.js';
import { isParent } from '../structs/job-kind.js';
import type { Node } from '../structs/node.js';
import { type Millis, toNanos } from '../util/clock.js';
import type { Turns } from '../util/turns.js';
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

/** What the search goes by. */
interface Search {
  readonly state: StateSnapshot;
  readonly turns: Turns;
  /** What ended before this many milliseconds ended before the time returned. */
  readonly before: (ms: Millis) => number;
  readonly thresholds: GcThresholds;
  readonly force: boolean;
}

/**
 * Everything that ended longer ago than its threshold and that nothing alive refers to; `force` takes all that ended. Looks
 * through all allocations in turns: nobody waits for it.
 */
export async function findGarbage(
  state: StateSnapshot,
  options: { now: Millis; thresholds: GcThresholds; force: boolean; turns: Turns },
): Promise<Garbage> {
  const { now, thresholds, force, turns } = options;
  const before = (ms: Millis): number => (force ? Number.POSITIVE_INFINITY : toNanos(now - ms));
  const search: Search = { state, turns, before, thresholds, force };
  const garbage: Garbage = { evals: [], allocs: [], jobs: [], nodes: [], deployments: [] };
  const ties = await findTies(search);

  const jobsGone = new Set<string>();
  await turns.through(state.jobs(), (job) => {
    if (!jobIsOver(job, search, ties)) return true;
    jobsGone.add(jobKey(job.Namespace, job.ID));
    garbage.jobs.push({ namespace: job.Namespace, id: job.ID });
    garbage.deployments.push(...state.deploymentsByJob(job.Namespace, job.ID).map(({ ID }) => ID));
    return true;
  });

  const evalsGone = new Set<string>();
  await turns.through(state.evals(), (evaluation) => {
    const gone = jobsGone.has(jobKey(evaluation.Namespace, evaluation.JobID));
    if (gone || evalIsOver(evaluation, search, ties)) evalsGone.add(evaluation.ID);
    return true;
  });
  garbage.evals = [...evalsGone];
  await turns.through(
    evalsGone.size + jobsGone.size === 0 ? [] : state.allocs(),
    ({ ID, EvalID, Namespace, JobID }) => {
      if (evalsGone.has(EvalID) || jobsGone.has(jobKey(Namespace, JobID))) garbage.allocs.push(ID);
      return true;
    },
  );

  await turns.through(state.deployments(), (deployment) => {
    if (jobsGone.has(jobKey(deployment.Namespace, deployment.JobID))) return true;
    if (!isEnded(deployment.Status) || deployment.ModifyTime >= before(thresholds.deploymentMs)) return true;
    const latest = state.latestDeploymentByJob(deployment.Namespace, deployment.JobID);
    const inUse = ties.deployments.has(deployment.ID);
    if (!inUse && (force || latest?.ID !== deployment.ID)) garbage.deployments.push(deployment.ID);
    return true;
  });
  garbage.nodes = (await turns.list(state.nodes(), (node) => nodeIsGone(node, search))).map(({ ID }) => ID);
  return garbage;
}

/** What allocations hold on to. */
interface Ties {
  /** Jobs (by `jobKey`) of which something runs or has just ended. */
  readonly jobs: ReadonlySet<string>;
  /** Evaluations of which something is not over. */
  readonly evals: ReadonlySet<string>;
  /** Evaluations that have placed anything. */
  readonly placing: ReadonlySet<string>;
  /** Deployments of which something runs. */
  readonly deployments: ReadonlySet<string>;
}

async function findTies({ state, turns, before, thresholds }: Search): Promise<Ties> {
  const ties = {
    jobs: new Set<string>(),
    evals: new Set<string>(),
    placing: new Set<string>(),
    deployments: new Set<string>(),
  };
  const jobCutoff = before(thresholds.jobMs);
  await turns.through(state.allocs(), (alloc) => {
    const { Namespace, JobID, EvalID } = alloc;
    const ended = isClientTerminal(alloc.ClientStatus);
    if (!ended || alloc.ModifyTime >= jobCutoff) ties.jobs.add(jobKey(Namespace, JobID));
    if (!ended) ties.deployments.add(alloc.DeploymentID);
    ties.placing.add(EvalID);
    const evaluation = state.evalById(EvalID);
    const cutoff = evaluation ? evalCutoff(evaluation, before, thresholds) : 0;
    if (!allocIsOver(alloc, jobLives(state.jobById(Namespace, JobID)), cutoff)) ties.evals.add(EvalID);
    return true;
  });
  return ties;
}

/** A job may go when it was stopped, or is a batch that ran to its end, and nothing of it happened lately. */
function jobIsOver(job: Job, { state, before, thresholds }: Search, ties: Ties): boolean {
  const cutoff = before(thresholds.jobMs);
  const mayEnd = job.Stop || (isBatch(job.Type) && !isParent(job));
  if (!mayEnd || job.Status !== 'dead' || job.SubmitTime >= cutoff) return false;
  const evals = state.evalsByJob(job.Namespace, job.ID);
  if (evals.some((evaluation) => !isClosed(evaluation) || evaluation.ModifyTime >= cutoff)) return false;
  return !ties.jobs.has(jobKey(job.Namespace, job.ID));
}

function evalIsOver(evaluation: Evaluation, { state, before, thresholds }: Search, ties: Ties): boolean {
  if (!isClosed(evaluation) || evaluation.ModifyTime >= evalCutoff(evaluation, before, thresholds)) return false;
  const job = state.jobById(evaluation.Namespace, evaluation.JobID);
  // The allocations of a batch are its memory of what is done: without them it would run again.
  if (jobLives(job) && isBatch(evaluation.Type) && ties.placing.has(evaluation.ID)) return false;
  return !ties.evals.has(evaluation.ID);
}

function nodeIsGone(node: Node, { state, before, thresholds }: Search): boolean {
  // Put to sleep by the autoscaler: it is to be woken again.
  const sleeps = (node.LastDrain as { Meta?: Record<string, string> } | null)?.Meta?.['autoscaler_asleep'] === 'true';
  if (sleeps && node.SchedulingEligibility === 'ineligible') return false;
  if (node.Status !== 'down' || toNanos(node.StatusUpdatedAt * 1_000) >= before(thresholds.nodeMs)) return false;
  return state.allocsByNode(node.ID).every((alloc) => isClientTerminal(alloc.ClientStatus));
}

function allocIsOver(alloc: Allocation, lives: boolean, cutoff: number): boolean {
  if (!isClientTerminal(alloc.ClientStatus) || alloc.ModifyTime >= cutoff) return false;
  // A failed one without successor still counts its attempts for the next.
  const mayComeBack = lives && alloc.DesiredStatus === 'run' && alloc.NextAllocation === '';
  return !mayComeBack || alloc.ClientStatus === 'complete';
}

const evalCutoff = ({ Type }: Evaluation, before: Search['before'], thresholds: GcThresholds): number =>
  before(isBatch(Type) ? thresholds.batchEvalMs : thresholds.evalMs);
const jobLives = (job: Job | undefined): boolean => job !== undefined && !job.Stop && job.Status !== 'dead';
const isBatch = (type: string): boolean => type === 'batch' || type === 'sysbatch';
const isClosed = ({ Status }: Evaluation): boolean =>
  Status === 'complete' || Status === 'failed' || Status === 'canceled';
const isEnded = (status: string): boolean => status === 'successful' || status === 'failed' || status === 'cancelled';
const jobKey = (namespace: string, id: string): string => `${namespace}\0${id}`;
