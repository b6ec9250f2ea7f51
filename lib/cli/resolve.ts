import type { Allocation } from '../structs/allocation.js';
import type { Deployment } from '../structs/deployment.js';
import type { Evaluation } from '../structs/evaluation.js';
import { groupOf } from '../structs/group-of.js';
import type { Node } from '../structs/node.js';
import type { AllocListStub, JobListStub, NodeListStub } from '../structs/rpc.js';
import { type ApiClient, ApiError } from './api.js';
import { formatTable, formatTime, shortId } from './format.js';

/** Stubs carry an id; a prefix of it is enough for the user to type, if it is the only one. */
interface Kind<S> {
  word: string;
  list: string;
  id: (stub: S) => string;
  /** Columns that tell the candidates apart. */
  head: string[];
  row: (stub: S, verbose: boolean) => string[];
}

const ALLOC: Kind<AllocListStub> = {
  word: 'allocation',
  list: '/v1/allocations',
  id: (alloc) => alloc.ID,
  head: ['ID', 'Name', 'Node ID', 'Desired', 'Status'],
  row: (alloc, verbose) => [
    shortId(alloc.ID, verbose),
    alloc.Name,
    shortId(alloc.NodeID, verbose),
    alloc.DesiredStatus,
    alloc.ClientStatus,
  ],
};

const NODE: Kind<NodeListStub> = {
  word: 'node',
  list: '/v1/nodes',
  id: (node) => node.ID,
  head: ['ID', 'DC', 'Name', 'Eligibility', 'Status'],
  row: (node, verbose) => [
    shortId(node.ID, verbose),
    node.Datacenter,
    node.Name,
    node.SchedulingEligibility,
    node.Status,
  ],
};

const EVALUATION: Kind<Evaluation> = {
  word: 'evaluation',
  list: '/v1/evaluations',
  id: (evaluation) => evaluation.ID,
  head: ['ID', 'Priority', 'Triggered By', 'Job ID', 'Status'],
  row: (evaluation, verbose) => [
    shortId(evaluation.ID, verbose),
    String(evaluation.Priority),
    evaluation.TriggeredBy,
    evaluation.JobID,
    evaluation.Status,
  ],
};

const DEPLOYMENT: Kind<Deployment> = {
  word: 'deployment',
  list: '/v1/deployments',
  id: (deployment) => deployment.ID,
  head: ['ID', 'Job ID', 'Job Version', 'Status', 'Description'],
  row: (deployment, verbose) => [
    shortId(deployment.ID, verbose),
    deployment.JobID,
    String(deployment.JobVersion),
    deployment.Status,
    deployment.StatusDescription,
  ],
};

/** The whole id that a prefix stands for; none or several is an error that shows the candidates. */
async function expand<S>(api: ApiClient, kind: Kind<S>, prefix: string): Promise<string> {
  if (prefix.length < 2)
    throw new ApiError(
      0,
      `the id of an ${kind.word} must have two characters at least`.replace('an n', 'a n').replace('an d', 'a d'),
    );
  const { value: stubs } = await api.get<S[] | null>(kind.list, { prefix: prefix.toLowerCase() });
  const found = stubs ?? [];
  if (found.length === 0)
    throw new ApiError(404, `No ${kind.word}(s) with prefix or id ${JSON.stringify(prefix)} found`);
  if (found.length === 1) return kind.id(found[0] as S);
  const exact = found.find((stub) => kind.id(stub) === prefix.toLowerCase());
  if (exact) return kind.id(exact);
  const rows = [kind.head, ...found.map((stub) => kind.row(stub, true))];
  throw new ApiError(0, `Prefix matched multiple ${kind.word}s\n\n${formatTable(rows)}`);
}

async function one<T>(api: ApiClient, path: string, id: string): Promise<T> {
  return (await api.get<T>(`${path}/${encodeURIComponent(id)}`)).value;
}

/** The allocation, evaluation, deployment or node that an id or a prefix of it names. */
export async function findAllocation(api: ApiClient, prefix: string): Promise<Allocation> {
  return one(api, '/v1/allocation', await expand(api, ALLOC, prefix));
}

export async function findEvaluation(api: ApiClient, prefix: string): Promise<Evaluation> {
  return one(api, '/v1/evaluation', await expand(api, EVALUATION, prefix));
}

export async function findDeployment(api: ApiClient, prefix: string): Promise<Deployment> {
  return one(api, '/v1/deployment', await expand(api, DEPLOYMENT, prefix));
}

export async function findNode(api: ApiClient, prefix: string): Promise<Node> {
  return one(api, '/v1/node', await expand(api, NODE, prefix));
}

/** The id of the job that an id or a prefix of it names. */
export async function findJobId(api: ApiClient, prefix: string): Promise<string> {
  const { value } = await api.get<JobListStub[] | null>('/v1/jobs', { prefix });
  const jobs = value ?? [];
  const exact = jobs.find((job) => job.ID === prefix);
  if (exact) return exact.ID;
  if (jobs.length === 1) return (jobs[0] as JobListStub).ID;
  if (jobs.length === 0) throw new ApiError(404, `No job(s) with prefix or ID ${JSON.stringify(prefix)} found`);
  throw new ApiError(0, `Prefix matched multiple jobs\n\n${jobTable(jobs)}`);
}

/** The table of `job status`. */
export function jobTable(jobs: readonly JobListStub[]): string {
  const rows = jobs.map((job) => [
    job.ID,
    job.Periodic ? `${job.Type}/periodic` : job.ParameterizedJob ? `${job.Type}/parameterized` : job.Type,
    String(job.Priority),
    job.Stop ? `${job.Status} (stopped)` : job.Status,
    formatTime(job.SubmitTime),
  ]);
  return formatTable([['ID', 'Type', 'Priority', 'Status', 'Submit Date'], ...rows]);
}

/** The task that is meant: the named one, or the only one of the allocation. */
export function pickTask(alloc: Allocation, named: string | undefined): string {
  const group = groupOf(alloc.Job, alloc.TaskGroup);
  const tasks = group?.Tasks.map(({ Name }) => Name) ?? Object.keys(alloc.TaskStates ?? {});
  if (named !== undefined && named !== '') {
    if (tasks.includes(named)) return named;
    throw new ApiError(
      0,
      `Could not find task named: ${named}, found:\n${tasks.map((task) => `  * ${task}`).join('\n')}`,
    );
  }
  if (tasks.length === 1) return tasks[0] as string;
  throw new ApiError(
    0,
    `Allocation ${shortId(alloc.ID, false)} is running the following tasks:\n${tasks.map((task) => `  * ${task}`).join('\n')}\n\nPlease specify the task.`,
  );
}
