import { type Command, UsageError } from '../command.js';
import { takeArgs } from '../print.js';
import { findJobId } from '../resolve.js';

export const command: Command = {
  usage: 'meshnomad job tag apply [options] <job>',
  about: `Gives a version of a job a name: it is kept for good, and job history -diff-tag and job revert take the name for it.`,
  flags: {
    name: { type: 'string', value: 'name', help: 'The name; needed.' },
    description: { type: 'string', value: 'text', help: 'What to remember of the version.' },
    version: { type: 'int', value: 'n', help: 'Which version; default the newest.' },
  },
  async run(context) {
    const { args, flags, output } = context;
    takeArgs(args, 1, 1, '<job>');
    const name = flags.string('name');
    if (!name) throw new UsageError('A version tag name is required: give -name');
    const api = await context.api();
    const id = encodeURIComponent(await findJobId(api, args[0] as string));
    const version = flags.int('version') ?? (await api.get<{ Version: number }>(`/v1/job/${id}`)).value.Version;
    await api.put(`/v1/job/${id}/versions/${encodeURIComponent(name)}/tag`, {
      Version: version,
      Description: flags.string('description') ?? '',
    });
    output.out(`Job version ${version} tagged with name "${name}"`);
    return 0;
  },
};
