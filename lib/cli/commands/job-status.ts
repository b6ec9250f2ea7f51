import type { Deployment } from '../../structs/deployment.js';
import type { Evaluation } from '../../structs/evaluation.js';
import type { Job } from '../../structs/job.js';
import { isParameterized, isParent, isPeriodicActive } from '../../structs/job-kind.js';
import type { AllocListStub, JobListStub, JobSummary } from '../../structs/rpc.js';
import type { Why } from '../../structs/why.js';
import type { ApiClient } from '../api.js';
import type { Command, Context } from '../command.js';
import { formatPairs, formatTable, formatTime, formatTimeText, paint, shortId } from '../format.js';
import { childrenText, nextLaunchText } from '../job-children.js';
import { DATA_FLAGS, printData, takeArgs, wantsData } from '../print.js';
import { findJobId, jobTable } from '../resolve.js';
import { allocTable, deploymentText, failedGroupsText, placementFailures } from '../tables.js';

export const command: Command = {
  usage: 'meshnomad job status [options] [job]',
  about: 'Lists the jobs, or shows one: its groups, its deployment and its allocations. A prefix of the id is enough.',
  flags: {
    ...DATA_FLAGS,
    'all-allocs': { type: 'bool', help: 'Also allocations of an earlier job of this name.' },
    evals: { type: 'bool', help: 'Also the evaluations.' },
    short: { type: 'bool', help: 'Only the job itself.' },
    verbose: { type: 'bool', help: 'Whole ids, and more columns.' },
  },
  async run(context) {
    takeArgs(context.args, 0, 1, '[job]');
    const api = await context.api();
    const [name] = context.args;
    if (name === undefined) return list(context, api);
    return show(context, api, await findJobId(api, name));
  },
};

async function list(context: Context, api: ApiClient): Promise<number> {
  const jobs = (await api.get<JobListStub[] | null>('/v1/jobs')).value ?? [];
  if (wantsData(context)) {
    const all = [];
    for (const { ID, Namespace } of jobs) all.push(await readParts(api, ID, { namespace: Namespace }));
    await printData(context, all);
    return 0;
  }
  context.output.out(jobs.length === 0 ? 'No running jobs' : jobTable(jobs));
  return 0;
}

async function show(context: Context, api: ApiClient, id: string): Promise<number> {
  const { flags, output } = context;
  const path = `/v1/job/${encodeURIComponent(id)}`;
  const verbose = flags.bool('verbose');
  if (wantsData(context)) {
    await printData(context, [await readParts(api, id, { all: flags.bool('all-allocs') || undefined })]);
    return 0;
  }
  const job = (await api.get<Job>(path)).value;
  output.out(formatPairs(facts(job)));
  if (flags.bool('short')) return 0;
  if (isParent(job)) {
    output.out(`\n${await childrenText(api, job, (text) => paint(output.color, 'bold', text))}`);
    return 0;
  }

  const parts = await readParts(api, id, { all: flags.bool('all-allocs') || undefined });
  const title = (text: string): string => paint(output.color, 'bold', text);
  output.out(`\n${title('Summary')}\n${summaryTable(parts.Summary)}`);
  const evals = [...parts.Evaluations].sort((a, b) => b.CreateIndex - a.CreateIndex);
  if (flags.bool('evals') || verbose) output.out(`\n${title('Evaluations')}\n${evalTable(evals, verbose)}`);
  const failed = placementFailure(evals);
  if (failed) {
    const reasons = await refusalLines(api, path);
    output.out([`\n${title('Placement Failure')}\n${failedGroupsText(failed, '')}`, ...reasons].join('\n'));
  }
  const waiting = waitingRows(parts.Allocations, evals, verbose);
  if (waiting.length > 0) {
    const table = formatTable([['Task Group', 'Eval ID', 'Eval Time'], ...waiting]);
    output.out(`\n${title('Future Rescheduling Attempts')}\n${table}`);
  }
  if (parts.LatestDeployment) {
    output.out(
      `\n${title('Latest Deployment')}\n${deploymentText(parts.LatestDeployment, { verbose, withJob: false })}`,
    );
  }
  output.out(`\n${title('Allocations')}\n${allocTable(parts.Allocations, { verbose, nowMs: Date.now() })}`);
  return 0;
}

/** What the scheduler found no node for, when it looked last. A system job that no node is meant for is not looked at again. */
function placementFailure(newestFirst: readonly Evaluation[]): Evaluation['FailedTGAllocs'] {
  const failedAny = ({ FailedTGAllocs }: Evaluation): boolean => Object.keys(FailedTGAllocs ?? {}).length > 0;
  if (newestFirst.some(({ Status }) => Status === 'blocked'))
    return newestFirst.find(failedAny)?.FailedTGAllocs ?? null;
  const [last] = newestFirst.filter(({ Status }) => Status === 'complete');
  return last && failedAny(last) ? last.FailedTGAllocs : null;
}

/** What stands in the way on which nodes, as `why` says it. */
async function refusalLines(api: ApiClient, path: string): Promise<string[]> {
  // A server that is older has no such question.
  const why = await api.get<Why>(`${path}/why`).catch(() => null);
  const short = why?.value.Groups.filter(({ Placed, Wanted, Unplaced }) => Placed < Wanted || Unplaced > 0) ?? [];
  return short.flatMap(({ Refusals }) => Refusals.map(({ Sentence }) => `  - ${Sentence}`));
}

/** What is known of a job besides itself; as -json and -t give it. */
interface JobParts {
  Summary: JobSummary;
  Allocations: AllocListStub[];
  LatestDeployment: Deployment | null;
  Evaluations: Evaluation[];
}

async function readParts(
  api: ApiClient,
  id: string,
  { namespace, all }: { namespace?: string; all?: boolean | undefined },
): Promise<JobParts> {
  const path = `/v1/job/${encodeURIComponent(id)}`;
  const query = namespace === undefined ? {} : { namespace };
  const [summary, allocs, deployment, evals] = await Promise.all([
    api.get<JobSummary>(`${path}/summary`, query),
    api.get<AllocListStub[] | null>(`${path}/allocations`, { ...query, all }),
    api.get<Deployment | null>(`${path}/deployment`, query),
    api.get<Evaluation[] | null>(`${path}/evaluations`, query),
  ]);
  return {
    Summary: summary.value,
    Allocations: allocs.value ?? [],
    LatestDeployment: deployment.value,
    Evaluations: evals.value ?? [],
  };
}

function facts(job: Job): [string, string | number | boolean][] {
  return [
    ['ID', job.ID],
    ['Name', job.Name],
    ['Submit Date', formatTime(job.SubmitTime)],
    ['Type', job.Type],
    ['Priority', job.Priority],
    ['Datacenters', job.Datacenters.join(',')],
    ['Namespace', job.Namespace],
    ['Node Pool', job.NodePool],
    ['Status', job.Stop ? `${job.Status} (stopped)` : job.Status],
    ['Periodic', job.Periodic !== null],
    ['Parameterized', isParameterized(job)],
    ...nextLaunchFact(job),
    ...(job.StatusDescription === '' ? [] : ([['Description', job.StatusDescription]] as [string, string][])),
  ];
}

function nextLaunchFact(job: Job): [string, string][] {
  if (job.Periodic === null) return [];
  return [
    ['Next Periodic Launch', isPeriodicActive(job) ? nextLaunchText(job.Periodic) : 'none (job stopped or disabled)'],
  ];
}

function summaryTable(summary: JobSummary): string {
  const rows = Object.entries(summary.Summary)
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([group, count]) => [
      group,
      ...[count.Queued, count.Starting, count.Running, count.Failed, count.Complete, count.Lost, count.Unknown].map(
        String,
      ),
    ]);
  return formatTable([
    ['Task Group', 'Queued', 'Starting', 'Running', 'Failed', 'Complete', 'Lost', 'Unknown'],
    ...rows,
  ]);
}

/** Groups of which failed allocations are tried again later, and when. */
function waitingRows(allocs: readonly AllocListStub[], evals: readonly Evaluation[], verbose: boolean): string[][] {
  const rows = new Map<string, string[]>();
  for (const { ClientStatus, DesiredStatus, NextAllocation, FollowupEvalID, TaskGroup } of allocs) {
    if (ClientStatus !== 'failed' || DesiredStatus !== 'run' || NextAllocation !== '') continue;
    const followup = evals.find(({ ID, Status }) => ID === FollowupEvalID && Status === 'pending');
    if (!followup?.WaitUntil) continue;
    rows.set(`${TaskGroup}\0${followup.ID}`, [
      TaskGroup,
      shortId(followup.ID, verbose),
      formatTimeText(followup.WaitUntil),
    ]);
  }
  return [...rows.values()];
}

function evalTable(evals: readonly Evaluation[], verbose: boolean): string {
  const rows = evals.map((evaluation) => [
    shortId(evaluation.ID, verbose),
    String(evaluation.Priority),
    evaluation.TriggeredBy,
    evaluation.Status,
    placementFailures(evaluation),
  ]);
  return formatTable([['ID', 'Priority', 'Triggered By', 'Status', 'Placement Failures'], ...rows]);
}
