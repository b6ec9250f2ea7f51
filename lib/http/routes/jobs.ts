import { type Diagnostic, diagnosticLines } from '../../hcl/index.js';
import { canonicalizeJob } from '../../jobspec/canonicalize.js';
import { parseJob } from '../../jobspec/parse.js';
import { readJobInTurns } from '../../jobspec/read-json.js';
import { systemTurns } from '../../server/timers.js';
import { MeshError } from '../../structs/errors.js';
import type { Job, JobAction, JobSubmission } from '../../structs/job.js';
import type { JobRegisterRequest } from '../../structs/rpc.js';
import { read, written } from '../answer.js';
import { badRequest, notFound } from '../errors.js';
import { booleanField, numberField, objectField, stringField } from '../fields.js';
import { flag, wholeNumber } from '../query.js';
import type { Exchange, RouteHandler, Routes } from '../router.js';

const JOB_ROOT = '/v1/job/*id';

export const jobRoutes: Routes = {
  '/v1/jobs': { GET: listJobs, PUT: registerJob },
  '/v1/jobs/parse': { PUT: parseSource },
  '/v1/validate/job': { PUT: validate },
  [`${JOB_ROOT}/plan`]: { PUT: plan },
  [`${JOB_ROOT}/evaluate`]: { PUT: evaluate },
  [`${JOB_ROOT}/allocations`]: { GET: allocations },
  [`${JOB_ROOT}/evaluations`]: { GET: evaluations },
  [`${JOB_ROOT}/deployments`]: { GET: deployments },
  [`${JOB_ROOT}/deployment`]: { GET: latestDeployment },
  [`${JOB_ROOT}/summary`]: { GET: summary },
  [`${JOB_ROOT}/versions`]: { GET: versions },
  [`${JOB_ROOT}/versions/:tag/tag`]: { PUT: applyTag, DELETE: unsetTag },
  [`${JOB_ROOT}/submission`]: { GET: submission },
  [`${JOB_ROOT}/actions`]: { GET: actions },
  [`${JOB_ROOT}/action`]: { GET: runAction },
  [`${JOB_ROOT}/revert`]: { PUT: revert },
  [`${JOB_ROOT}/stable`]: { PUT: stable },
  ...later(['services']),
  [JOB_ROOT]: { GET: getJob, PUT: registerJob, DELETE: deregister },
};

// These would otherwise be read as part of a job's id.
function later(paths: string[]): Routes {
  const refuse: RouteHandler = async ({ params }) => {
    throw new MeshError(
      'E_NOT_SUPPORTED',
      `not supported yet for job ${JSON.stringify(params['id'])}: this path of the API comes with a later version of meshnomad`,
    );
  };
  return Object.fromEntries(paths.map((path) => [`${JOB_ROOT}/${path}`, { GET: refuse, PUT: refuse, DELETE: refuse }]));
}

function jobId(exchange: Exchange): string {
  return exchange.params['id'] ?? '';
}

/** The actions of all tasks of a job. */
async function actions(exchange: Exchange) {
  const reply = await exchange.rpc.call('Job.GetJob', { ...exchange.reading(), JobID: jobId(exchange) }, exchange);
  if (!reply.Job) throw notFound('job not found');
  const { ID, TaskGroups } = reply.Job;
  const found = TaskGroups.flatMap((group) =>
    group.Tasks.flatMap((task) =>
      (task.Actions ?? []).map(
        (action): JobAction => ({ ...action, JobID: ID, TaskGroupName: group.Name, TaskName: task.Name }),
      ),
    ),
  );
  return read(found, reply);
}

async function runAction(): Promise<never> {
  throw badRequest('an action is run over a websocket, with the parameters action, allocID and task');
}

async function listJobs(exchange: Exchange) {
  const args = { ...exchange.reading(), ...(flag(exchange.query, 'meta') ? { Meta: true } : {}) };
  const reply = await exchange.rpc.call('Job.List', args, exchange);
  return read(reply.Jobs, reply);
}

/** The body of a register, plan or validate: `{"Job": {…}}`, whose ID must be the one of the path. */
async function jobBody(exchange: Exchange): Promise<{ body: Record<string, unknown>; job: Partial<Job> }> {
  const body = await exchange.body();
  const raw = objectField(body, 'Job');
  if (!raw) throw badRequest('Job must be specified');
  const job = await systemTurns.toEnd(readJobInTurns(raw));
  if (!job.ok) throw badRequest(job.error.join('\n'));
  if (!job.value.ID) throw badRequest("Job ID hasn't been provided");
  const id = exchange.params['id'];
  if (id !== undefined && id !== job.value.ID) throw badRequest('Job ID does not match name');
  return { body, job: job.value };
}

async function registerArgs(exchange: Exchange): Promise<JobRegisterRequest & { Diff: boolean }> {
  const { body, job } = await jobBody(exchange);
  const writing = exchange.writing();
  return {
    ...writing,
    // The query string's namespace and region win over the job's, as with Nomad's CLI flags; the job's win over the default.
    ...(writing.Namespace || !job.Namespace ? {} : { Namespace: job.Namespace }),
    Job: job,
    Submission: readSubmission(body),
    EnforceIndex: booleanField(body, 'EnforceIndex'),
    JobModifyIndex: numberField(body, 'JobModifyIndex'),
    ...(body['PreserveCounts'] == null ? {} : { PreserveCounts: booleanField(body, 'PreserveCounts') }),
    PolicyOverride: booleanField(body, 'PolicyOverride'),
    EvalPriority: numberField(body, 'EvalPriority'),
    Diff: booleanField(body, 'Diff'),
  };
}

function readSubmission(body: Record<string, unknown>): JobSubmission | null {
  const value = objectField(body, 'Submission');
  if (!value) return null;
  const flags = objectField(value, 'VariableFlags');
  const format = stringField(value, 'Format');
  if (format !== 'hcl2' && format !== 'json' && format !== '')
    throw badRequest('Submission.Format must be "hcl2" or "json"');
  return {
    Source: stringField(value, 'Source'),
    Format: format,
    VariableFlags: flags && Object.fromEntries(Object.entries(flags).map(([key, item]) => [key, String(item)])),
    Variables: stringField(value, 'Variables'),
  };
}

async function registerJob(exchange: Exchange) {
  const reply = await exchange.rpc.call('Job.Register', await registerArgs(exchange), exchange);
  return written({ ...reply, KnownLeader: false, LastContact: 0, NextToken: '' }, reply.Index);
}

async function plan(exchange: Exchange) {
  const reply = await exchange.rpc.call('Job.Plan', await registerArgs(exchange), exchange);
  return written(reply, reply.Index);
}

async function validate(exchange: Exchange) {
  const { body, job } = await jobBody(exchange);
  const args = { ...exchange.writing(), Job: job, Submission: readSubmission(body) };
  return { value: await exchange.rpc.call('Job.Validate', args, exchange) };
}

async function parseSource(exchange: Exchange) {
  const body = await exchange.body();
  const source = stringField(body, 'JobHCL');
  if (source.trim() === '') throw badRequest('JobHCL is empty: send the text of the job file');
  // No files and no environment here: the agent must not read its own machine for a remote caller.
  const variables = stringField(body, 'Variables');
  const filename = 'input.hcl';
  const parsed = parseJob({
    source,
    filename,
    variables: { flags: [], env: {}, files: variables === '' ? [] : [{ filename: 'variables', source: variables }] },
    strict: true,
  });
  // What is wrong with a variable is not shown: its value may be a secret.
  const told = (problem: Diagnostic) => diagnosticLines(problem, problem.subject.filename === filename ? source : '');
  if (!parsed.ok) throw badRequest(parsed.error.map(told).join('\n'));
  return { value: booleanField(body, 'Canonicalize') ? canonicalizeJob(parsed.value.job) : parsed.value.job };
}

async function getJob(exchange: Exchange) {
  const reply = await exchange.rpc.call('Job.GetJob', { ...exchange.reading(), JobID: jobId(exchange) }, exchange);
  if (!reply.Job) throw notFound('job not found');
  return read(reply.Job, reply);
}

async function deregister(exchange: Exchange) {
  const reply = await exchange.rpc.call(
    'Job.Deregister',
    {
      ...exchange.writing(),
      JobID: jobId(exchange),
      Purge: flag(exchange.query, 'purge'),
      EvalPriority: wholeNumber(exchange.query, 'eval_priority') ?? 0,
      NoShutdownDelay: flag(exchange.query, 'no_shutdown_delay'),
    },
    exchange,
  );
  return written(reply, reply.Index);
}

async function evaluate(exchange: Exchange) {
  const body = await exchange.body();
  const options = objectField(body, 'EvalOptions') ?? {};
  const reply = await exchange.rpc.call(
    'Job.Evaluate',
    { ...exchange.writing(), JobID: jobId(exchange), ForceReschedule: booleanField(options, 'ForceReschedule') },
    exchange,
  );
  return written(reply, reply.Index);
}

async function allocations(exchange: Exchange) {
  const reply = await exchange.rpc.call(
    'Job.Allocations',
    { ...exchange.reading(), JobID: jobId(exchange), All: flag(exchange.query, 'all') },
    exchange,
  );
  return read(reply.Allocations, reply);
}

async function evaluations(exchange: Exchange) {
  const reply = await exchange.rpc.call('Job.Evaluations', { ...exchange.reading(), JobID: jobId(exchange) }, exchange);
  return read(reply.Evaluations, reply);
}

async function deployments(exchange: Exchange) {
  const reply = await exchange.rpc.call(
    'Job.Deployments',
    { ...exchange.reading(), JobID: jobId(exchange), All: flag(exchange.query, 'all') },
    exchange,
  );
  return read(reply.Deployments, reply);
}

async function latestDeployment(exchange: Exchange) {
  const reply = await exchange.rpc.call(
    'Job.LatestDeployment',
    { ...exchange.reading(), JobID: jobId(exchange) },
    exchange,
  );
  return read(reply.Deployment, reply);
}

async function summary(exchange: Exchange) {
  const reply = await exchange.rpc.call('Job.Summary', { ...exchange.reading(), JobID: jobId(exchange) }, exchange);
  if (!reply.JobSummary) throw notFound('job not found');
  return read(reply.JobSummary, reply);
}

async function versions(exchange: Exchange) {
  const args = {
    ...exchange.reading(),
    JobID: jobId(exchange),
    Diffs: flag(exchange.query, 'diffs'),
    DiffVersion: wholeNumber(exchange.query, 'diff_version') ?? null,
    DiffTagName: exchange.query.get('diff_tag') ?? '',
  };
  const reply = await exchange.rpc.call('Job.Versions', args, exchange);
  if (reply.Versions.length === 0) throw notFound('job versions not found');
  return read({ Versions: reply.Versions, Diffs: reply.Diffs }, reply);
}

async function applyTag(exchange: Exchange) {
  const body = await exchange.body();
  const name = exchange.params['tag'] ?? '';
  const reply = await exchange.rpc.call(
    'Job.TagVersion',
    {
      ...exchange.writing(),
      JobID: jobId(exchange),
      Name: name,
      Version: numberField(body, 'Version'),
      Latest: booleanField(body, 'Latest'),
      Tag: { Name: name, Description: stringField(body, 'Description') },
    },
    exchange,
  );
  return written(reply, reply.Index);
}

async function unsetTag(exchange: Exchange) {
  const args = { ...exchange.writing(), JobID: jobId(exchange), Name: exchange.params['tag'] ?? '', Tag: null };
  const reply = await exchange.rpc.call('Job.TagVersion', args, exchange);
  return written(reply, reply.Index);
}

async function submission(exchange: Exchange) {
  const version = wholeNumber(exchange.query, 'version');
  if (version === undefined) throw badRequest('version is missing: say which version of the job, as in ?version=0');
  const reply = await exchange.rpc.call(
    'Job.GetSubmission',
    { ...exchange.reading(), JobID: jobId(exchange), Version: version },
    exchange,
  );
  if (!reply.Submission) throw notFound('job source not found');
  return read(reply.Submission, reply);
}

async function revert(exchange: Exchange) {
  const body = await exchange.body();
  const prior = body['EnforcePriorVersion'];
  const reply = await exchange.rpc.call(
    'Job.Revert',
    {
      ...exchange.writing(),
      JobID: jobId(exchange),
      JobVersion: numberField(body, 'JobVersion'),
      EnforcePriorVersion: prior === undefined || prior === null ? null : numberField(body, 'EnforcePriorVersion'),
    },
    exchange,
  );
  return written(reply, reply.Index);
}

async function stable(exchange: Exchange) {
  const body = await exchange.body();
  const reply = await exchange.rpc.call(
    'Job.Stable',
    {
      ...exchange.writing(),
      JobID: jobId(exchange),
      JobVersion: numberField(body, 'JobVersion'),
      Stable: booleanField(body, 'Stable'),
    },
    exchange,
  );
  return written(reply, reply.Index);
}
