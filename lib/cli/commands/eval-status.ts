import type { Allocation } from '../../structs/allocation.js';
import type { Evaluation } from '../../structs/evaluation.js';
import type { AllocListStub } from '../../structs/rpc.js';
import type { ApiClient } from '../api.js';
import type { Command, Context } from '../command.js';
import { formatAgo, formatPairs, formatTable, formatTime, paint, shortId } from '../format.js';
import { Monitor } from '../monitor.js';
import { DATA_FLAGS, printData, takeArgs } from '../print.js';
import { findEvaluation } from '../resolve.js';
import { allocTable, failedGroupsText, placementFailures, placementText } from '../tables.js';

export const command: Command = {
  usage: 'meshnomad eval status [options] [evaluation]',
  about: 'Shows an evaluation, above all why something could not be placed; without an id, the newest ones.',
  flags: {
    ...DATA_FLAGS,
    monitor: { type: 'bool', help: 'Watch it until it ends.' },
    verbose: { type: 'bool', help: 'Whole ids, exact times.' },
  },
  async run(context) {
    const { args, flags, output } = context;
    takeArgs(args, 0, 1, '[evaluation]');
    const api = await context.api();
    const verbose = flags.bool('verbose');
    if (args[0] === undefined) {
      const evals = (await api.get<Evaluation[] | null>('/v1/evaluations')).value ?? [];
      if (await printData(context, evals)) return 0;
      output.out(evals.length === 0 ? 'No evaluations found' : table(evals, verbose));
      return 0;
    }
    const evaluation = await findEvaluation(api, args[0]);
    if (flags.bool('monitor')) return new Monitor({ api, output, verbose }).evaluation(evaluation.ID);
    if (await printData(context, evaluation)) return 0;
    const time = (ns: number): string => (verbose ? formatTime(ns) : formatAgo(ns, Date.now()));
    output.out(
      formatPairs([
        ['ID', shortId(evaluation.ID, verbose)],
        ['Create Time', time(evaluation.CreateTime)],
        ['Modify Time', time(evaluation.ModifyTime)],
        ['Status', evaluation.Status],
        ['Status Description', evaluation.StatusDescription || evaluation.Status],
        ['Type', evaluation.Type],
        ['TriggeredBy', evaluation.TriggeredBy],
        ['Job ID', evaluation.JobID],
        ['Namespace', evaluation.Namespace],
        ...(evaluation.NodeID === '' ? [] : ([['Node ID', shortId(evaluation.NodeID, verbose)]] as [string, string][])),
        ...(evaluation.DeploymentID === ''
          ? []
          : ([['Deployment ID', shortId(evaluation.DeploymentID, verbose)]] as [string, string][])),
        ['Priority', evaluation.Priority],
        ['Placement Failures', placementFailures(evaluation)],
        ['Previous Eval', shortId(evaluation.PreviousEval, verbose)],
        ['Next Eval', shortId(evaluation.NextEval, verbose)],
        ['Blocked Eval', shortId(evaluation.BlockedEval, verbose)],
        ...(evaluation.WaitUntil ? ([['Wait Until', evaluation.WaitUntil]] as [string, string][]) : []),
      ]),
    );
    await printPlaced(context, api, evaluation);
    const failed = evaluation.FailedTGAllocs ?? {};
    if (Object.keys(failed).length > 0) {
      output.out(`\n${paint(output.color, 'bold', 'Failed Placements')}\n${failedGroupsText(failed, '')}`);
      if (evaluation.BlockedEval !== '')
        output.out(
          `\nEvaluation ${JSON.stringify(shortId(evaluation.BlockedEval, verbose))} waiting for additional capacity to place remainder`,
        );
    }
    return 0;
  },
};

/** What the evaluation placed, and for one allocation of each group how its node was chosen. */
async function printPlaced(context: Context, api: ApiClient, { ID }: Evaluation): Promise<void> {
  const { output, flags } = context;
  const verbose = flags.bool('verbose');
  const { value } = await api.get<AllocListStub[] | null>(`/v1/evaluation/${ID}/allocations`);
  const placed = value ?? [];
  if (placed.length === 0) return;
  const title = (text: string): string => `\n${paint(output.color, 'bold', text)}`;
  const shown = verbose ? placed : placed.slice(0, PLACED_SHOWN);
  const more = placed.length > shown.length ? `\n… and ${placed.length - shown.length} more (-verbose)` : '';
  output.out(`${title('Placed Allocations')}\n${allocTable(shown, { verbose, nowMs: Date.now() })}${more}`);
  const samples = new Map(placed.map((alloc) => [alloc.TaskGroup, alloc.ID]));
  for (const [group, id] of samples) {
    const { value: alloc } = await api.get<Allocation>(`/v1/allocation/${id}`);
    const text = placementText(alloc);
    if (text !== '') output.out(`${title(`Placement Metrics of ${shortId(id, verbose)} (group "${group}")`)}\n${text}`);
  }
}

/** As many allocations are listed without -verbose. */
const PLACED_SHOWN = 20;

function table(evals: readonly Evaluation[], verbose: boolean): string {
  const rows = [...evals]
    .sort((a, b) => b.CreateIndex - a.CreateIndex)
    .slice(0, 20)
    .map((evaluation) => [
      shortId(evaluation.ID, verbose),
      String(evaluation.Priority),
      evaluation.TriggeredBy,
      evaluation.JobID,
      evaluation.Status,
      placementFailures(evaluation),
    ]);
  return formatTable([['ID', 'Priority', 'Triggered By', 'Job ID', 'Status', 'Placement Failures'], ...rows]);
}
