import type { Job } from '../../structs/job.js';
import type { Command } from '../command.js';
import { formatPairs, formatTime } from '../format.js';
import { DATA_FLAGS, printData, takeArgs } from '../print.js';
import { findJobId } from '../resolve.js';

export const command: Command = {
  usage: 'meshnomad job history [options] <job>',
  about: 'Shows the versions of a job that are kept, the newest first.',
  flags: {
    ...DATA_FLAGS,
    version: { type: 'int', value: 'n', help: 'Only this version.' },
  },
  async run(context) {
    const { args, flags, output } = context;
    takeArgs(args, 1, 1, '<job>');
    const api = await context.api();
    const id = await findJobId(api, args[0] as string);
    const { value } = await api.get<{ Versions: Job[] }>(`/v1/job/${encodeURIComponent(id)}/versions`);
    const wanted = flags.int('version');
    const versions = value.Versions.filter(({ Version }) => wanted === undefined || Version === wanted);
    if (versions.length === 0) {
      output.error(
        `Job ${JSON.stringify(id)} has no version ${wanted} (kept: ${value.Versions.map(({ Version }) => Version).join(', ')})`,
      );
      return 1;
    }
    if (await printData(context, wanted === undefined ? versions : versions[0])) return 0;
    output.out(versions.map(describe).join('\n\n'));
    return 0;
  },
};

function describe(job: Job): string {
  return formatPairs([
    ['Version', job.Version],
    ['Stable', job.Stable],
    ['Submit Date', formatTime(job.SubmitTime)],
    ...(job.VersionTag ? ([['Tag Name', job.VersionTag.Name]] as [string, string][]) : []),
  ]);
}
