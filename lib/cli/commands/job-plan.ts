import type { DesiredUpdates } from '../../structs/evaluation.js';
import type { Job } from '../../structs/job.js';
import type { JobPlanResponse } from '../../structs/rpc.js';
import { ApiError } from '../api.js';
import type { Command, Context } from '../command.js';
import { formatAgo, formatTable, formatTimeText, paint } from '../format.js';
import { jobDiffText } from '../job-diff.js';
import { describeIssues, type JobSource, loadJob, SOURCE_FLAGS } from '../job-source.js';
import { printData, takeArgs } from '../print.js';
import { failedGroupsText } from '../tables.js';

const FAILURE = 255;
/** Said by the exit code when running the job would create or destroy allocations. */
const CHANGES = 1;

export const command: Command = {
  usage: 'meshnomad job plan [options] <path>',
  about: `Says what running a job file would do, and does nothing of it: what changes in the job, what that forces, which groups
would be placed, updated or stopped, and what could not be placed. "-" reads the job from standard input.

Exit codes: 0 no allocation would be created or destroyed, 1 some would, 255 an error.`,
  flags: {
    ...SOURCE_FLAGS,
    diff: { type: 'bool', help: 'Show what changes in the job; default true.' },
    'json-output': { type: 'bool', help: "Print the API's JSON." },
    'policy-override': { type: 'bool', help: 'Accepted for compatibility; there are no policies to override.' },
    t: { type: 'string', value: 'template', help: "Print the plan through a Go template, such as '{{.Diff.Type}}'." },
    verbose: { type: 'bool', help: 'Show the inside of what is added or deleted as a whole.' },
  },
  failureCode: FAILURE,
  async run(context) {
    takeArgs(context.args, 1, 1, '<path>');
    const path = context.args[0] as string;
    const source = loadJob(context, path);
    if (!source) return FAILURE;
    const issues = describeIssues(source);
    if (issues !== '') {
      context.output.error(`Error during plan: ${source.filename} is not valid\n\n${issues}`);
      return FAILURE;
    }
    const plan = await askForPlan(context, source);
    if (!plan) return FAILURE;
    if (!(await printData(context, plan, 'json-output'))) printPlan(context, source, plan, path);
    return changes(plan) ? CHANGES : 0;
  },
};

async function askForPlan(context: Context, source: JobSource): Promise<JobPlanResponse | null> {
  const api = await context.api();
  const body = { Job: source.job, Diff: true, PolicyOverride: context.flags.bool('policy-override') };
  try {
    return (await api.put<JobPlanResponse>(`/v1/job/${encodeURIComponent(source.job.ID ?? '')}/plan`, body)).value;
  } catch (error) {
    if (!(error instanceof ApiError)) throw error;
    context.output.error(`Error during plan: ${error.message}`);
    return null;
  }
}

function printPlan({ flags, output }: Context, source: JobSource, plan: JobPlanResponse, path: string): void {
  const { color } = output;
  if (flags.optionalBool('diff') ?? true) {
    output.out(`${jobDiffText(plan.Diff, { verbose: flags.bool('verbose'), color })}\n`);
  }
  output.out(paint(color, 'bold', 'Scheduler dry-run:'));
  output.out(`${dryRunText(plan, source.job, color)}\n`);
  if (plan.Warnings) output.out(`${paint(color, 'yellow', `Job Warnings:\n${plan.Warnings}`)}\n`);
  output.out(
    `${paint(color, 'bold', `Job Modify Index: ${plan.JobModifyIndex}`)}
To submit the job with version verification run:

meshnomad job run -check-index ${plan.JobModifyIndex} ${sourceFlagsText({ flags })}${path}

When running the job with the check-index flag, the job will only be run if the
job modify index given matches the server-side version. If the index has
changed, another user has modified the job and the plan's results are
potentially invalid.`,
  );
}

function dryRunText(plan: JobPlanResponse, job: Partial<Job>, color: boolean): string {
  const failed = plan.FailedTGAllocs ?? {};
  const everywhere = job.Type === 'system' || job.Type === 'sysbatch';
  const lines =
    Object.keys(failed).length === 0
      ? [paint(color, 'green', '- All tasks successfully allocated.')]
      : [
          paint(
            color,
            'yellow',
            `- WARNING: Failed to place ${everywhere ? 'allocations on all nodes' : 'all allocations'}.`,
          ),
          paint(color, 'yellow', failedGroupsText(failed, '  ')),
        ];
  const preempted = plan.Annotations?.PreemptedAllocs ?? [];
  if (preempted.length > 0) lines.push(paint(color, 'yellow', preemptionText(preempted)));
  const at = Date.parse(plan.NextPeriodicLaunch);
  if (at > 0 && !job.ParameterizedJob) {
    const when = `${formatTimeText(plan.NextPeriodicLaunch)} (${formatAgo(at * 1e6, Date.now())})`;
    lines.push(paint(color, 'green', `- If submitted now, next periodic launch would be at ${when}.`));
  }
  return lines.join('\n');
}

/** As many allocations are named one by one; of more, how many of each job. */
const PREEMPTED_SHOWN = 10;

/** What would have to go: allocations of less important jobs. */
function preemptionText(preempted: readonly { ID: string; JobID: string; TaskGroup: string }[]): string {
  if (preempted.length <= PREEMPTED_SHOWN) {
    const rows = preempted.map(({ ID, JobID, TaskGroup }) => [ID, JobID, TaskGroup]);
    return `\nPreemptions:\n\n${formatTable([['Alloc ID', 'Job ID', 'Task Group'], ...rows])}`;
  }
  const counts = new Map<string, number>();
  for (const { JobID } of preempted) counts.set(JobID, (counts.get(JobID) ?? 0) + 1);
  const rows = [...counts].map(([id, count]) => [id, String(count)]);
  return `\nPreemptions:\n\n${formatTable([['Job ID', 'Preempted Allocations'], ...rows])}`;
}

/** The flags that `job run` needs to read the file as it was read here. */
function sourceFlagsText({ flags }: Pick<Context, 'flags'>): string {
  const texts = [
    ...flags.list('var').map((text) => `-var=${JSON.stringify(text)}`),
    ...flags.list('var-file').map((path) => `-var-file=${JSON.stringify(path)}`),
    ...(flags.string('namespace') ? [`-namespace=${JSON.stringify(flags.string('namespace'))}`] : []),
    ...(flags.optionalBool('hcl2-strict') === false ? ['-hcl2-strict=false'] : []),
  ];
  return texts.map((text) => `${text} `).join('');
}

/** What makes allocations come or go; an update in place does neither. */
const COUNTED: readonly (keyof DesiredUpdates)[] = ['Place', 'Stop', 'Migrate', 'DestructiveUpdate', 'Canary'];

function changes(plan: JobPlanResponse): boolean {
  if (plan.Diff.Type === 'None') return false;
  const updates = Object.values(plan.Annotations?.DesiredTGUpdates ?? {});
  return updates.some((update) => COUNTED.some((key) => update[key] > 0));
}
