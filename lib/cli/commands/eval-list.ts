import type { Evaluation } from '../../structs/evaluation.js';
import type { Command } from '../command.js';
import { formatTable, shortId } from '../format.js';
import { DATA_FLAGS, pageFlags, pageQuery, printData, takeArgs, tellNextPage } from '../print.js';
import { placementFailures } from '../tables.js';

export const command: Command = {
  usage: 'meshnomad eval list [options]',
  about: 'Lists the evaluations that are known, the newest of a page first.',
  flags: {
    ...DATA_FLAGS,
    ...pageFlags('Type == "batch"'),
    job: { type: 'string', value: 'job', help: 'Only those of this job.' },
    status: {
      type: 'string',
      value: 'status',
      help: 'Only those that are pending, blocked, complete, failed or canceled.',
    },
    verbose: { type: 'bool', help: 'Show whole ids.' },
  },
  async run(context) {
    const { args, flags, output } = context;
    takeArgs(args, 0, 0, '');
    const api = await context.api();
    const { value, nextToken } = await api.get<Evaluation[] | null>('/v1/evaluations', {
      job: flags.string('job'),
      status: flags.string('status'),
      ...pageQuery(context),
    });
    const evals = [...(value ?? [])].sort((a, b) => b.CreateIndex - a.CreateIndex);
    if (await printData(context, evals)) return 0;
    output.out(evals.length === 0 ? 'No evals found' : table(evals, flags.bool('verbose')));
    tellNextPage(context, nextToken, 'eval list');
    return 0;
  },
};

function table(evals: readonly Evaluation[], verbose: boolean): string {
  const rows = evals.map((evaluation) => [
    shortId(evaluation.ID, verbose),
    String(evaluation.Priority),
    evaluation.TriggeredBy,
    evaluation.JobID,
    evaluation.Namespace,
    evaluation.NodeID === '' ? '' : shortId(evaluation.NodeID, verbose),
    evaluation.Status,
    placementFailures(evaluation),
  ]);
  const head = ['ID', 'Priority', 'Triggered By', 'Job ID', 'Namespace', 'Node ID', 'Status', 'Placement Failures'];
  return formatTable([head, ...rows]);
}
