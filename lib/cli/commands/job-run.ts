import { canonicalizeJob } from '../../jobspec/canonicalize.js';
import { isPeriodicActive } from '../../structs/job-kind.js';
import type { JobRegisterResponse } from '../../structs/rpc.js';
import { ApiError } from '../api.js';
import type { Command, Context } from '../command.js';
import { shortId } from '../format.js';
import { nextLaunchText } from '../job-children.js';
import { describeIssues, type JobSource, loadJob, SOURCE_FLAGS } from '../job-source.js';
import { Monitor } from '../monitor.js';
import { takeArgs } from '../print.js';

export const command: Command = {
  usage: 'meshnomad job run [options] <path>',
  about: `Registers the job of a file, or brings a registered one up to date, and watches until it is placed and its deployment
has ended. "-" reads the job from standard input.

Exit codes: 0 all placed and the deployment successful, 2 part could not be placed, 1 another failure.`,
  flags: {
    ...SOURCE_FLAGS,
    'check-index': {
      type: 'int',
      value: 'index',
      help: "Register only if the job's JobModifyIndex is this (0: only if it does not exist). job plan prints it.",
    },
    detach: { type: 'bool', help: "Do not watch: print the evaluation's id and end." },
    'eval-priority': { type: 'int', value: 'n', help: "Priority of the evaluation, 1 to 100; default the job's." },
    output: { type: 'bool', help: 'Print the JSON that would be registered, and end.' },
    'policy-override': { type: 'bool', help: 'Accepted for compatibility; there are no policies to override.' },
    'preserve-counts': {
      type: 'bool',
      help: 'Keep the counts that the groups have now. Default: those of groups with a scaling policy; =false sets all.',
    },
    verbose: { type: 'bool', help: 'Show whole ids.' },
  },
  async run(context) {
    takeArgs(context.args, 1, 1, '<path>');
    const source = loadJob(context, context.args[0] as string);
    if (!source) return 1;
    if (context.flags.bool('output')) {
      context.output.out(JSON.stringify({ Job: source.job }, null, 4));
      return 0;
    }
    const issues = describeIssues(source);
    if (issues !== '') {
      context.output.error(`Error submitting job: ${source.filename} is not valid\n\n${issues}`);
      return 1;
    }
    return register(context, source);
  },
};

async function register(context: Context, source: JobSource): Promise<number> {
  const { flags, output } = context;
  const api = await context.api();
  const checkIndex = flags.int('check-index');
  const body = {
    Job: source.job,
    Submission: source.submission,
    ...(checkIndex === undefined ? {} : { EnforceIndex: true, JobModifyIndex: checkIndex }),
    PreserveCounts: flags.optionalBool('preserve-counts') ?? null,
    PolicyOverride: flags.bool('policy-override'),
    EvalPriority: flags.int('eval-priority') ?? 0,
  };
  let reply: JobRegisterResponse;
  try {
    reply = (await api.put<JobRegisterResponse>('/v1/jobs', body)).value;
  } catch (error) {
    if (!(error instanceof ApiError)) throw error;
    if (error.message.includes('Enforcing job modify index')) output.error(`${error.message}\nJob not updated`);
    else output.error(`Error submitting job: ${error.message}`);
    return 1;
  }
  if (reply.Warnings) output.out(`Job Warnings:\n${reply.Warnings}\n`);
  if (reply.EvalID === '') {
    output.out('Job registration successful');
    const job = canonicalizeJob(source.job);
    if (job.Periodic && isPeriodicActive(job)) {
      output.out(`Approximate next launch time: ${nextLaunchText(job.Periodic)}`);
    }
    return 0;
  }
  if (flags.bool('detach')) {
    output.out(`Job registration successful\nEvaluation ID: ${reply.EvalID}`);
    return 0;
  }
  const code = await new Monitor({ api, output, verbose: flags.bool('verbose') }).evaluation(reply.EvalID);
  if (code === 2)
    output.out(
      `\nThe job is registered and keeps trying; see "meshnomad job status ${source.job.ID}" and "meshnomad eval status ${shortId(reply.EvalID, false)}".`,
    );
  return code;
}
