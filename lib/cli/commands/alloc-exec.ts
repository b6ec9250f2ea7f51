import { ApiError } from '../api.js';
import type { Command } from '../command.js';
import { UsageError } from '../command.js';
import { execSession, TERMINAL_FLAGS, terminalOf } from '../exec-session.js';
import { randomAllocation } from '../pick.js';
import { findAllocation, pickTask } from '../resolve.js';

export const command: Command = {
  usage: 'meshnomad alloc exec [options] <allocation> <command> [args…]',
  about: `Runs a command inside a running task, with this terminal. The exit code is the command's.`,
  flags: {
    ...TERMINAL_FLAGS,
    job: { type: 'bool', help: 'The argument is a job: take one of its allocations at random.' },
    task: { type: 'string', value: 'task', help: 'The task.' },
    group: { type: 'string', value: 'group', help: 'With -job: an allocation of this group.' },
    verbose: { type: 'bool', help: 'Show whole ids.' },
  },
  passThrough: true,
  async run(context) {
    const { args, flags } = context;
    const [target, ...command] = args;
    if (target === undefined) throw new UsageError('An allocation is missing: <allocation> <command> [args…]');
    if (command.length === 0) throw new UsageError('A command is missing: <allocation> <command> [args…]');
    const terminal = terminalOf(flags);
    const api = await context.api();
    const alloc = flags.bool('job')
      ? await randomAllocation(api, target, flags.string('group'))
      : await findAllocation(api, target);
    const task = pickTask(alloc, flags.string('task'));
    if (alloc.ClientStatus !== 'running')
      throw new ApiError(
        0,
        `allocation ${alloc.ID.slice(0, 8)} is ${alloc.ClientStatus}, not running: nothing can be run in it`,
      );
    return execSession(api, {
      allocId: alloc.ID,
      task,
      run: { command },
      ...terminal,
    });
  },
};
