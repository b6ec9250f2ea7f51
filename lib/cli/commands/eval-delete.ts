import { ApiError } from '../api.js';
import { type Command, UsageError } from '../command.js';
import { confirm } from '../confirm.js';
import { takeArgs } from '../print.js';
import { findEvaluation } from '../resolve.js';

export const command: Command = {
  usage: 'meshnomad eval delete [options] [evaluation]',
  about: `Deletes one evaluation, or all that fit a filter. For a broker that is buried in evaluations: pause it first
("operator scheduler set-config -pause-eval-broker=true"). Those of which something still runs stay.`,
  flags: {
    filter: { type: 'string', value: 'expression', help: 'All for which it holds, such as \'Status == "blocked"\'.' },
    yes: { type: 'bool', help: 'Do not ask.' },
  },
  async run({ args, flags, output, api: connect }) {
    takeArgs(args, 0, 1, '[evaluation]');
    const filter = flags.string('filter');
    const [id] = args;
    if ((id === undefined) === (filter === undefined))
      throw new UsageError('name an evaluation, or give -filter, not both');
    const api = await connect();
    const named = id === undefined ? null : (await findEvaluation(api, id)).ID;
    const chosen = named === null ? (filter as string) : `ID == "${named}"`;
    if (
      !(await confirm(flags, `Delete ${named ?? `all evaluations with ${chosen}`}?`, 'say that you are sure with -yes'))
    )
      return 1;
    const { value } = await api.remove<{ Count: number }>('/v1/evaluations', { Filter: chosen });
    if (named !== null && value.Count === 0)
      throw new ApiError(0, `${named} has allocations that are not over: stop them first`);
    output.out(`Successfully deleted ${value.Count} ${value.Count === 1 ? 'evaluation' : 'evaluations'}`);
    return 0;
  },
};
