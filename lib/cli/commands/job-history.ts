import type { Job } from '../../structs/job.js';
import type { JobDiff } from '../../structs/job-diff.js';
import { type Command, type Flags, UsageError } from '../command.js';
import { formatPairs, formatTime } from '../format.js';
import { jobDiffText } from '../job-diff.js';
import { DATA_FLAGS, printData, takeArgs } from '../print.js';
import { findJobId } from '../resolve.js';

export const command: Command = {
  usage: 'meshnomad job history [options] <job>',
  about: 'Shows the versions of a job that are kept, the newest first, and with -p what each of them changed.',
  flags: {
    ...DATA_FLAGS,
    p: { type: 'bool', help: 'Show the difference of each version to the one before it.' },
    'diff-tag': { type: 'string', value: 'name', help: 'With -p: the difference to the version with this tag.' },
    'diff-version': { type: 'int', value: 'n', help: 'With -p: the difference to this version.' },
    full: { type: 'bool', help: 'Show the whole job of each version.' },
    version: { type: 'int', value: 'n', help: 'Only this version.' },
  },
  async run(context) {
    const { args, flags, output } = context;
    takeArgs(args, 1, 1, '<job>');
    checkFlags(flags);
    const api = await context.api();
    const id = await findJobId(api, args[0] as string);
    const { value } = await api.get<{ Versions: Job[]; Diffs: JobDiff[] | null }>(
      `/v1/job/${encodeURIComponent(id)}/versions`,
      {
        diffs: flags.bool('p') || undefined,
        diff_tag: flags.string('diff-tag'),
        diff_version: flags.int('diff-version'),
      },
    );
    const wanted = flags.int('version');
    const entries = value.Versions.map((job, i) => ({ job, diff: value.Diffs?.[i] ?? null }));
    const shown = entries.filter(({ job }) => wanted === undefined || job.Version === wanted);
    if (shown.length === 0) {
      output.error(
        `Job ${JSON.stringify(id)} has no version ${wanted} (kept: ${value.Versions.map(({ Version }) => Version).join(', ')})`,
      );
      return 1;
    }
    const jobs = shown.map(({ job }) => job);
    if (await printData(context, wanted === undefined ? jobs : jobs[0])) return 0;
    const options = { full: flags.bool('full'), color: output.color };
    output.out(shown.map(({ job, diff }) => describe(job, diff, options)).join('\n\n'));
    return 0;
  },
};

function checkFlags(flags: Flags): void {
  const [tag, version] = [flags.string('diff-tag'), flags.int('diff-version')];
  const asData = flags.bool('json') || flags.string('t') !== undefined;
  if (asData && (flags.bool('p') || flags.bool('full'))) {
    throw new UsageError('-json and -t are exclusive with -p and -full');
  }
  if ((tag !== undefined || version !== undefined) && !flags.bool('p')) {
    throw new UsageError('-diff-tag and -diff-version can only be used with -p');
  }
  if (tag !== undefined && version !== undefined) {
    throw new UsageError('-diff-tag and -diff-version are mutually exclusive');
  }
}

function describe(job: Job, diff: JobDiff | null, { full, color }: { full: boolean; color: boolean }): string {
  const pairs: [string, string | number | boolean][] = [
    ['Version', job.Version],
    ['Stable', job.Stable],
    ['Submit Date', formatTime(job.SubmitTime)],
  ];
  if (job.VersionTag) {
    pairs.push(['Tag Name', job.VersionTag.Name]);
    if (job.VersionTag.Description !== '') pairs.push(['Tag Description', job.VersionTag.Description]);
  }
  if (diff && diff.Type !== 'None') pairs.push(['Diff', `\n${jobDiffText(diff, { verbose: false, color })}`]);
  if (full) pairs.push(['Full', `JSON Job:\n${JSON.stringify(job, null, 4)}`]);
  return formatPairs(pairs);
}
