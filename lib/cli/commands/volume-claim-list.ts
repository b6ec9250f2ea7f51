import type { TaskGroupHostVolumeClaim } from '../../structs/host-volume.js';
import type { Command } from '../command.js';
import { formatTable, shortId } from '../format.js';
import { DATA_FLAGS, printData, takeArgs } from '../print.js';

export const command: Command = {
  usage: 'meshnomad volume claim list [options]',
  about: 'Lists which allocations of which groups are held to which host volumes (sticky).',
  flags: {
    ...DATA_FLAGS,
    job: { type: 'string', value: 'job', help: 'Only those of this job.' },
    group: { type: 'string', value: 'group', help: 'Only those of groups of this name.' },
    'volume-name': { type: 'string', value: 'name', help: 'Only those of volumes of this name.' },
    verbose: { type: 'bool', help: 'Show whole ids.' },
  },
  async run(context) {
    const { args, flags, output } = context;
    takeArgs(args, 0, 0, '');
    const api = await context.api();
    const { value } = await api.get<TaskGroupHostVolumeClaim[]>('/v1/volumes/claims', {
      job_id: flags.string('job'),
      task_group: flags.string('group'),
      volume_name: flags.string('volume-name'),
    });
    if (await printData(context, value)) return 0;
    const verbose = flags.bool('verbose');
    const rows = value.map((claim) => [
      // Made of two ids: its beginning alone names nothing.
      claim.ID,
      claim.Namespace,
      claim.AllocName,
      shortId(claim.AllocID, verbose),
      shortId(claim.VolumeID, verbose),
      claim.VolumeName,
    ]);
    const head = ['ID', 'Namespace', 'Allocation', 'Alloc ID', 'Volume ID', 'Volume Name'];
    output.out(rows.length === 0 ? 'No task group volume claims' : formatTable([head, ...rows]));
    return 0;
  },
};
