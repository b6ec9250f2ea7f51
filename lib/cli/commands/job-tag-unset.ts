import { type Command, UsageError } from '../command.js';
import { takeArgs } from '../print.js';
import { findJobId } from '../resolve.js';

export const command: Command = {
  usage: 'meshnomad job tag unset [options] <job>',
  about: 'Takes the name of a version of a job away; the version is then forgotten like others.',
  flags: { name: { type: 'string', value: 'name', help: 'The name; needed.' } },
  async run(context) {
    const { args, flags, output } = context;
    takeArgs(args, 1, 1, '<job>');
    const name = flags.string('name');
    if (!name) throw new UsageError('A version tag name is required: give -name');
    const api = await context.api();
    const id = await findJobId(api, args[0] as string);
    await api.delete(`/v1/job/${encodeURIComponent(id)}/versions/${encodeURIComponent(name)}/tag`);
    output.out(`Tag "${name}" removed from job "${id}"`);
    return 0;
  },
};
