import type { Command } from '../command.js';
import { takeArgs } from '../print.js';
import { findAllocation, pickTask } from '../resolve.js';

export const command: Command = {
  usage: 'meshnomad alloc signal [options] <allocation> [task]',
  about: 'Sends a signal to the tasks of an allocation, or to the one that is named.',
  flags: {
    s: { type: 'string', value: 'signal', help: 'The signal, default SIGKILL.' },
    task: { type: 'string', value: 'task', help: 'The task.' },
    verbose: { type: 'bool', help: 'Show whole ids.' },
  },
  async run(context) {
    const { args, flags } = context;
    takeArgs(args, 1, 2, '<allocation> [task]');
    const api = await context.api();
    const alloc = await findAllocation(api, args[0] as string);
    const named = flags.string('task') ?? args[1];
    const Task = named === undefined ? '' : pickTask(alloc, named);
    await api.put(`/v1/client/allocation/${alloc.ID}/signal`, { Signal: flags.string('s') ?? 'SIGKILL', Task });
    return 0;
  },
};
