import { type Command, type Flags, UsageError } from '../command.js';
import { randomAllocation } from '../pick.js';
import { takeArgs } from '../print.js';
import { findAllocation, pickTask } from '../resolve.js';
import { copyFrames } from '../stream.js';
import { tailOf } from '../tail.js';

export const command: Command = {
  usage: 'meshnomad alloc logs [options] <allocation> [task]',
  about: 'Shows the output of a task. The task need not be named when the allocation has one only.',
  flags: {
    f: { type: 'bool', help: 'Follow: go on as it writes.' },
    stderr: { type: 'bool', help: 'Only the error output.' },
    stdout: { type: 'bool', help: 'Only the standard output; the default, but with -f both are followed.' },
    tail: { type: 'bool', help: 'From the end: the last lines.' },
    n: { type: 'int', value: 'lines', help: 'How many lines -tail shows, default 10.' },
    c: { type: 'int', value: 'bytes', help: 'How many bytes -tail shows.' },
    job: { type: 'bool', help: 'The argument is a job: take one of its allocations at random.' },
    task: { type: 'string', value: 'task', help: 'The task.' },
    verbose: { type: 'bool', help: 'Show whole ids.' },
  },
  async run(context) {
    const { args, flags, output } = context;
    takeArgs(args, 1, 2, '<allocation> [task]');
    if (flags.bool('stderr') && flags.bool('stdout')) throw new UsageError('-stderr and -stdout exclude each other');
    const { origin, offset, lastLines } = tailOf(flags);
    const api = await context.api();
    const alloc = flags.bool('job')
      ? await randomAllocation(api, args[0] as string)
      : await findAllocation(api, args[0] as string);
    const task = pickTask(alloc, flags.string('task') ?? args[1]);
    const types = wanted(flags);
    const copy = async (type: 'stdout' | 'stderr'): Promise<void> => {
      const body = await api.stream(`/v1/client/fs/logs/${alloc.ID}`, {
        task,
        type,
        follow: flags.bool('f'),
        origin,
        offset,
      });
      await copyFrames(body, {
        // One alone can be piped on; of two each goes its own way.
        to: type === 'stderr' && types.length > 1 ? output.raw.error : output.raw.out,
        lastLines,
        follow: flags.bool('f'),
      });
    };
    await Promise.all(types.map(copy));
    return 0;
  },
};

function wanted(flags: Flags): ('stdout' | 'stderr')[] {
  if (flags.bool('stderr')) return ['stderr'];
  return flags.bool('stdout') || !flags.bool('f') ? ['stdout'] : ['stdout', 'stderr'];
}
