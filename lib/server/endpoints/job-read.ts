import { diffJobsInTurns } from '../../jobspec/diff.js';
import type { StateSnapshot, TableName } from '../../state/store.js';
import { watchKeys } from '../../state/watch.js';
import type { Allocation } from '../../structs/allocation.js';
import { MeshError } from '../../structs/errors.js';
import type { Job } from '../../structs/job.js';
import type { JobDiff } from '../../structs/job-diff.js';
import type { JobListStub, QueryOptions } from '../../structs/rpc.js';
import type { RpcHandlers } from '../../transport/rpc.js';
import type { Turns } from '../../util/turns.js';
import { answerQuery, type Reading } from '../blocking.js';
import { byNamespacedId, inOrder, type PageOptions, page, pageOptions } from '../page.js';
import { allocStubsOf, jobStub } from '../stubs.js';
import { type EndpointContext, listOptions, namespaceOf, requireText } from './context.js';

type OfJob = QueryOptions & { JobID: string };

/** What is asked about jobs. */
export function jobReadEndpoints(context: EndpointContext): RpcHandlers {
  const { turns } = context;
  const lists = createListCache(turns);
  /** Namespace and id of the job asked about. */
  const target = (args: OfJob): [string, string] => [namespaceOf(args), requireText(args.JobID, 'job ID')];

  return {
    async 'Job.List'(args, call) {
      const options = pageOptions(args);
      return answerQuery(context, args, call, [watchKeys.jobs()], (state) => lists(state, args, options));
    },

    async 'Job.GetJob'(args, call) {
      const [namespace, id] = target(args);
      return answerQuery(context, args, call, [watchKeys.job(namespace, id)], (state) => {
        const job = state.jobById(namespace, id) ?? null;
        return { index: job?.ModifyIndex ?? state.tableIndex('jobs'), reply: { Job: job } };
      });
    },

    async 'Job.GetSubmission'(args, call) {
      const [namespace, id] = target(args);
      return answerQuery(context, args, call, [watchKeys.job(namespace, id)], (state) => ({
        index: state.tableIndex('job_submissions'),
        reply: { Submission: state.jobSubmission(namespace, id, args.Version) ?? null },
      }));
    },

    async 'Job.Versions'(args, call) {
      const [namespace, id] = target(args);
      return answerQuery(context, args, call, [watchKeys.job(namespace, id)], async (state) => {
        const versions = [...state.jobVersions(namespace, id)];
        const Diffs = args.Diffs && versions.length > 0 ? await versionDiffs(turns, versions, args) : null;
        return { index: newest(versions, state, 'job_versions'), reply: { Versions: versions, Diffs } };
      });
    },

    async 'Job.Allocations'(args, call) {
      const [namespace, id] = target(args);
      return answerQuery(context, args, call, [watchKeys.allocsByJob(namespace, id)], async (state) => {
        const job = state.jobById(namespace, id);
        const isOwn = (alloc: Allocation): boolean => args.All || !job || alloc.Job?.CreateIndex === job.CreateIndex;
        const Allocations = await allocStubsOf(turns, state.eachAllocOfJob(namespace, id), isOwn);
        return { index: state.tableIndex('allocs'), reply: { Allocations } };
      });
    },

    async 'Job.Evaluations'(args, call) {
      const [namespace, id] = target(args);
      return answerQuery(context, args, call, [watchKeys.evalsByJob(namespace, id)], (state) => {
        const evals = state.evalsByJob(namespace, id).toSorted((a, b) => b.CreateIndex - a.CreateIndex);
        return { index: newest(evals, state, 'evals'), reply: { Evaluations: evals } };
      });
    },

    async 'Job.Deployments'(args, call) {
      const [namespace, id] = target(args);
      return answerQuery(context, args, call, [watchKeys.deploymentsByJob(namespace, id)], (state) => {
        const job = state.jobById(namespace, id);
        const deployments = state
          .deploymentsByJob(namespace, id)
          .filter(({ JobCreateIndex }) => args.All || !job || JobCreateIndex === job.CreateIndex);
        return { index: newest(deployments, state, 'deployments'), reply: { Deployments: deployments } };
      });
    },

    async 'Job.LatestDeployment'(args, call) {
      const [namespace, id] = target(args);
      return answerQuery(context, args, call, [watchKeys.deploymentsByJob(namespace, id)], (state) => {
        const job = state.jobById(namespace, id);
        const latest = state.latestDeploymentByJob(namespace, id);
        // That of a job that was purged tells nothing of the one that has its name now.
        const isOwn = !job || latest?.JobCreateIndex === job.CreateIndex;
        const deployment = (isOwn && latest) || null;
        return {
          index: deployment?.ModifyIndex ?? state.tableIndex('deployments'),
          reply: { Deployment: deployment },
        };
      });
    },

    async 'Job.Summary'(args, call) {
      const [namespace, id] = target(args);
      return answerQuery(context, args, call, [watchKeys.jobSummary(namespace, id)], (state) => {
        const summary = state.jobSummary(namespace, id) ?? null;
        return { index: summary?.ModifyIndex ?? state.tableIndex('job_summaries'), reply: { JobSummary: summary } };
      });
    },
  };
}

type JobListArgs = QueryOptions & { Meta?: boolean };
type JobListReading = Promise<Reading<{ Jobs: JobListStub[]; NextToken?: string }>>;

/**
 * Lists of jobs, the latest one kept: while nothing changes, the same question gets the very same array, so that whoever
 * prints it may keep the text.
 */
function createListCache(turns: Turns) {
  let kept: { key: string; seen: number; reading: JobListReading } | undefined;
  return (state: StateSnapshot, args: JobListArgs, options: PageOptions): JobListReading => {
    const seen = state.tableIndex('jobs', 'job_summaries');
    const { Prefix, Filter, PerPage, NextToken, Reverse, Meta } = args;
    const key = JSON.stringify([namespaceOf(args), Prefix, Filter, PerPage, NextToken, Reverse, Meta]);
    if (kept?.key === key && kept.seen === seen) return kept.reading;
    // As in Nomad, whoever waits for the list wakes when a job changes, not with every count in a summary.
    const reading = readJobs(turns, state, args, options);
    const one = { key, seen, reading };
    kept = one;
    reading.catch(() => {
      if (kept === one) kept = undefined;
    });
    return reading;
  };
}

async function readJobs(turns: Turns, state: StateSnapshot, args: JobListArgs, options: PageOptions): JobListReading {
  const show = (job: Job): JobListStub => {
    const stub = jobStub(job, state);
    return args.Meta ? { ...stub, Meta: job.Meta } : stub;
  };
  const jobs = await turns.list(state.jobs(listOptions(args)));
  const order = inOrder(jobs, byNamespacedId, args.Reverse ?? false);
  const { items, nextToken } = await page(turns, order.items, { ...options, ...order, show, whole: (job) => job });
  return {
    index: state.tableIndex('jobs'),
    reply: { Jobs: items, ...(nextToken === '' ? {} : { NextToken: nextToken }) },
  };
}

/** Each version (the newest first) against the one before it, or all against one that is named by number or tag. */
async function versionDiffs(
  turns: Turns,
  versions: readonly Job[],
  args: { DiffVersion?: number | null; DiffTagName?: string },
): Promise<JobDiff[]> {
  const { DiffVersion, DiffTagName } = args;
  const diff = (before: Job | null, job: Job): Promise<JobDiff> =>
    turns.toEnd(diffJobsInTurns(before, job, { contextual: true }));
  if (!DiffTagName && typeof DiffVersion !== 'number') {
    return oneByOne(versions.slice(0, -1), (job, i) => diff(versions[i + 1] ?? null, job));
  }
  const reference = DiffTagName
    ? versions.find(({ VersionTag }) => VersionTag?.Name === DiffTagName)
    : versions.find(({ Version }) => Version === DiffVersion);
  if (!reference) {
    throw new MeshError(
      'E_NOT_FOUND',
      DiffTagName ? `tag "${DiffTagName}" not found` : `version ${DiffVersion} not found`,
    );
  }
  return oneByOne(versions, (job) => diff(reference, job));
}

async function oneByOne<T, R>(items: readonly T[], make: (item: T, at: number) => Promise<R>): Promise<R[]> {
  const made: R[] = [];
  for (const item of items) made.push(await make(item, made.length));
  return made;
}

/** The index at which one of the items last changed; of the table when there is none. */
export function newest(items: readonly { ModifyIndex: number }[], state: StateSnapshot, table: TableName): number {
  let index = 0;
  for (const { ModifyIndex } of items) index = Math.max(index, ModifyIndex);
  return index || state.tableIndex(table);
}
