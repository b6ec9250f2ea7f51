import type { ApiClient } from '../api.js';
import type { Command, Context, Flags } from '../command.js';
import { confirm } from '../confirm.js';
import { Monitor } from '../monitor.js';
import { takeArgs } from '../print.js';
import { findJobId } from '../resolve.js';

export const command: Command = {
  usage: 'meshnomad job stop [options] <job>…',
  about:
    'Stops jobs. They stay listed, and can be started again ("job start"), until they are purged or collected as garbage.',
  flags: {
    detach: { type: 'bool', help: "Do not watch: print the evaluation's id and end." },
    'eval-priority': { type: 'int', value: 'n', help: "Priority of the evaluation, 1 to 100; default the job's." },
    global: { type: 'bool', help: 'Accepted for compatibility: there is one region.' },
    'no-shutdown-delay': { type: 'bool', help: 'Stop at once, whatever shutdown_delay says.' },
    purge: { type: 'bool', help: 'Forget the job as well.' },
    yes: { type: 'bool', help: 'Do not ask when only a prefix of the id was given.' },
    verbose: { type: 'bool', help: 'Show whole ids.' },
  },
  async run(context) {
    const { args, flags, output } = context;
    takeArgs(args, 1, Number.POSITIVE_INFINITY, '<job>…');
    const api = await context.api();
    const ids = new Set<string>();
    for (const arg of args) {
      const id = await findJobId(api, arg);
      if (id !== arg && !(await confirmed(flags, id))) {
        output.out('Cancelling job stop');
        return 0;
      }
      ids.add(id);
    }
    let code = 0;
    for (const id of ids) code = Math.max(code, await stop(context, api, id));
    return code;
  },
};

async function stop({ flags, output }: Context, api: ApiClient, id: string): Promise<number> {
  const { value } = await api.delete<{ EvalID: string }>(`/v1/job/${encodeURIComponent(id)}`, {
    purge: flags.bool('purge') || undefined,
    no_shutdown_delay: flags.bool('no-shutdown-delay') || undefined,
    eval_priority: flags.int('eval-priority'),
  });
  if (value.EvalID === '') return 0;
  if (flags.bool('detach')) {
    output.out(value.EvalID);
    return 0;
  }
  return new Monitor({ api, output, verbose: flags.bool('verbose') }).evaluation(value.EvalID);
}

/** A prefix may name another job than was meant: on a terminal the user is asked, elsewhere -yes is needed. */
const confirmed = (flags: Flags, id: string): Promise<boolean> =>
  confirm(
    flags,
    `Are you sure you want to stop job ${JSON.stringify(id)}?`,
    `the id given is a prefix of job ${JSON.stringify(id)}: write it whole, or add -yes`,
  );
