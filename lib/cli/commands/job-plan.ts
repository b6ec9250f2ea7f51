import type { DesiredUpdates } from '../../structs/evaluation.js';
import type { JobPlanResponse } from '../../structs/rpc.js';
import type { Command } from '../command.js';
import { paint } from '../format.js';
import { describeIssues, loadJob, SOURCE_FLAGS } from '../job-source.js';
import { takeArgs } from '../print.js';
import { failedGroupsText } from '../tables.js';

/** 1 says that there would be changes. */
const FAILURE = 255;

export const command: Command = {
  usage: 'meshnomad job plan [options] <path>',
  about: `Says what running a job file would do, and does nothing of it: which groups would be placed, updated or stopped, and what
could not be placed.

Exit codes: 0 nothing would change, 1 something would, 255 an error.`,
  flags: {
    ...SOURCE_FLAGS,
    diff: { type: 'bool', help: 'Accepted for compatibility; what changes in the job itself is not shown yet.' },
    'policy-override': { type: 'bool', help: 'Accepted for compatibility; there are no policies to override.' },
    verbose: { type: 'bool', help: 'Show whole ids.' },
  },
  failureCode: FAILURE,
  async run(context) {
    const { args, output } = context;
    takeArgs(args, 1, 1, '<path>');
    const source = loadJob(context, args[0] as string);
    if (!source) return FAILURE;
    const issues = describeIssues(source);
    if (issues !== '') {
      output.error(`Error during plan: ${source.filename} is not valid\n\n${issues}`);
      return FAILURE;
    }
    const api = await context.api();
    const id = encodeURIComponent(source.job.ID ?? '');
    const { value: plan } = await api.put<JobPlanResponse>(`/v1/job/${id}/plan`, { Job: source.job, Diff: false });
    const updates = plan.Annotations?.DesiredTGUpdates ?? {};
    output.out(paint(output.color, 'bold', `Job: ${JSON.stringify(source.job.ID)}`));
    for (const [group, update] of Object.entries(updates).sort(([a], [b]) => (a < b ? -1 : 1))) {
      output.out(`Task Group: ${JSON.stringify(group)} (${describe(update) || 'no change'})`);
    }
    output.out('\nScheduler dry-run:');
    const failed = plan.FailedTGAllocs ?? {};
    if (Object.keys(failed).length > 0)
      output.out(`- WARNING: Failed to place all allocations.\n${failedGroupsText(failed, '  ')}`);
    else output.out('- All tasks successfully allocated.');
    if (plan.Warnings) output.out(`\nJob Warnings:\n${plan.Warnings}`);
    output.out(`\nJob Modify Index: ${plan.JobModifyIndex}`);
    output.out(
      `To submit the job with version verification run:\n\nmeshnomad job run -check-index ${plan.JobModifyIndex} ${args[0]}\n`,
    );
    output.out(
      'When running the job with the check-index flag, the job will only be run if the\njob modify index given matches the server-side version.',
    );
    return changes(updates) ? 1 : 0;
  },
};

const KINDS: [keyof DesiredUpdates, string][] = [
  ['Place', 'create'],
  ['Stop', 'destroy'],
  ['Migrate', 'migrate'],
  ['Canary', 'canary'],
  ['InPlaceUpdate', 'in-place update'],
  ['DestructiveUpdate', 'create/destroy update'],
  ['Ignore', 'ignore'],
];

function describe(update: DesiredUpdates): string {
  return KINDS.filter(([key]) => update[key] > 0)
    .map(([key, word]) => `${update[key]} ${word}`)
    .join(', ');
}

function changes(updates: Record<string, DesiredUpdates>): boolean {
  return Object.values(updates).some((update) => KINDS.some(([key]) => key !== 'Ignore' && update[key] > 0));
}
