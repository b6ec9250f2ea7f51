import type { Command } from '../command.js';
import { UsageError } from '../command.js';
import { takeArgs } from '../print.js';
import { findAllocation, pickTask } from '../resolve.js';

export const command: Command = {
  usage: 'meshnomad alloc restart [options] <allocation> [task]',
  about: 'Restarts the running tasks of an allocation in place, or the one that is named.',
  flags: {
    'all-tasks': { type: 'bool', help: 'Also those that have ended.' },
    task: { type: 'string', value: 'task', help: 'The task.' },
    verbose: { type: 'bool', help: 'Show whole ids.' },
  },
  async run(context) {
    const { args, flags } = context;
    takeArgs(args, 1, 2, '<allocation> [task]');
    const named = flags.string('task') ?? args[1];
    if (flags.bool('all-tasks') && named !== undefined)
      throw new UsageError('-all-tasks and a task exclude each other');
    const api = await context.api();
    const alloc = await findAllocation(api, args[0] as string);
    const TaskName = named === undefined ? '' : pickTask(alloc, named);
    await api.put(`/v1/client/allocation/${alloc.ID}/restart`, { TaskName, AllTasks: flags.bool('all-tasks') });
    return 0;
  },
};
