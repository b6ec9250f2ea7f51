import { canonicalizeJob } from '../../jobspec/canonicalize.js';
import type { JobValidateResponse } from '../../structs/rpc.js';
import { validateJob } from '../../structs/validate/job.js';
import { pastLaunches } from '../../structs/validate/launch.js';
import { ApiError } from '../api.js';
import type { Command, Context } from '../command.js';
import { describeIssues, type JobSource, loadJob, SOURCE_FLAGS } from '../job-source.js';
import { takeArgs } from '../print.js';

export const command: Command = {
  usage: 'meshnomad job validate [options] <path>',
  about: `Checks a job file: its syntax, its blocks and values, and, where an agent answers, what the
agent would say. Without an agent the checks that need none are done.`,
  flags: SOURCE_FLAGS,
  async run(context) {
    takeArgs(context.args, 1, 1, '<path>');
    const source = loadJob(context, context.args[0] as string);
    if (!source) return 1;
    const { output } = context;
    const issues = describeIssues(source);
    if (issues !== '') {
      output.error(`Job validation errors:\n\n${issues}`);
      return 1;
    }
    const outcome = await askAgent(context, source);
    if (outcome.errors.length > 0) {
      output.error(`Job validation errors:\n${outcome.errors.map((error) => `* ${error}`).join('\n')}`);
      return 1;
    }
    if (outcome.warnings) output.out(`Job Warnings:\n${outcome.warnings}\n`);
    output.out('Job validation successful');
    return 0;
  },
};

/** What only an agent knows (its drivers, its region); without one, that much is said. */
async function askAgent(context: Context, source: JobSource): Promise<{ errors: string[]; warnings: string }> {
  try {
    const api = await context.api();
    const { value } = await api.put<JobValidateResponse>('/v1/validate/job', {
      Job: source.job,
      Submission: source.submission,
    });
    return { errors: value.ValidationErrors ?? (value.Error ? [value.Error] : []), warnings: value.Warnings };
  } catch (error) {
    if (!(error instanceof ApiError)) throw error;
    if (error.status !== 0) return { errors: [error.message], warnings: '' };
    context.output.error(`(${error.message}; checked without an agent)`);
    const job = canonicalizeJob(source.job);
    const warnings = [...validateJob(job).warnings, ...pastLaunches(job, Date.now())];
    return { errors: [], warnings: warnings.map((warning) => `* ${warning}`).join('\n') };
  }
}
