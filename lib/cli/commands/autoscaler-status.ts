import type { ScalingStanding, ScalingStandings } from '../../structs/rpc-scaling.js';
import type { Command, Context } from '../command.js';
import { formatPairs, formatTable, formatTime, paint, shortId } from '../format.js';
import { DATA_FLAGS, printData, takeArgs } from '../print.js';

export const command: Command = {
  usage: 'meshnomad autoscaler status [options] [policy]',
  about: 'Shows what the autoscaler decided last about each policy, or about one, and why.',
  flags: { ...DATA_FLAGS, verbose: { type: 'bool', help: 'Show whole ids.' } },
  async run(context) {
    const { args, output } = context;
    takeArgs(args, 0, 1, '[policy]');
    const { value } = await (await context.api()).get<ScalingStandings>('/v1/autoscaler/status');
    const [prefix = ''] = args;
    const policies = value.Policies.filter(({ ID }) => ID.startsWith(prefix));
    if (await printData(context, { ...value, Policies: policies })) return 0;
    if (value.Holder !== '') output.out(`${value.Holder} acts, in a process of its own\n`);
    if (!value.Enabled) output.out('No autoscaler runs: autoscaler { enabled = false } on the leader');
    else if (policies.length === 0)
      output.out(prefix === '' ? 'No scaling policies' : `No scaling policy begins with ${prefix}`);
    else
      output.out(
        prefix === '' ? table(policies, context) : policies.map((policy) => details(policy, context)).join('\n\n'),
      );
    return 0;
  },
};

function targetOf({ Target }: ScalingStanding): string {
  const { Job: job, Group: group } = Target.Config;
  return job ? `${job}/${group}` : `${Target.Name} ${Object.values(Target.Config).join(',')}`.trim();
}

function table(policies: readonly ScalingStanding[], { flags }: Context): string {
  const rows = policies.map((policy) => [
    // Those of files have names, and files which could not be read their paths.
    policy.Type === 'horizontal' ? shortId(policy.ID, flags.bool('verbose')) : policy.ID,
    targetOf(policy),
    policy.State,
    policy.Last?.Count == null ? '' : String(policy.Last.Count),
    policy.Type === 'file' ? '' : `${policy.Min}–${policy.Max}`,
    policy.Problems[0] ?? (policy.Last ? `${policy.Last.Result}: ${policy.Last.Reason}` : 'not evaluated yet'),
  ]);
  return formatTable([['Policy', 'Target', 'State', 'Count', 'Bounds', 'Decision'], ...rows]);
}

function details(policy: ScalingStanding, { output }: Context): string {
  const { Last: last } = policy;
  const facts = formatPairs([
    [policy.Type === 'file' ? 'File' : 'ID', policy.ID],
    ...(policy.Type === 'file' ? [] : ([['Target', targetOf(policy)]] as [string, string][])),
    ['State', policy.State],
    ...(policy.Type === 'file' ? [] : ([['Bounds', `${policy.Min} to ${policy.Max}`]] as [string, string][])),
    ...(policy.CooldownUntilMs > 0
      ? [['Cooldown Until', formatTime(policy.CooldownUntilMs * 1e6)] as [string, string]]
      : []),
    ...policy.Problems.map((problem): [string, string] => ['Problem', problem]),
    ...(last
      ? ([
          ['Evaluated', formatTime(last.AtMs * 1e6)],
          ['Count', last.Count === null ? 'unknown' : String(last.Count)],
          ['Result', last.Result],
          ['Reason', last.Reason],
          ...(last.Meta['asleep'] === undefined ? [] : [['Asleep', last.Meta['asleep']]]),
          ...(last.Meta['set_aside'] === undefined ? [] : [['Set Aside', last.Meta['set_aside']]]),
          ...(last.Meta['saved_wh'] === undefined
            ? []
            : [['Saved by Sleep', `${last.Meta['saved_wh']} Wh (estimate)`]]),
        ] as [string, string][])
      : []),
  ]);
  const parts = [facts];
  if (policy.Notes.length > 0) {
    const rows = policy.Notes.map(({ AtMs, Text }) => [formatTime(AtMs * 1e6), Text]);
    parts.push(`${paint(output.color, 'bold', 'Notes')}\n${formatTable([['Time', 'Text'], ...rows])}`);
  }
  if (!last || last.Checks.length === 0) return parts.join('\n\n');
  const checks = formatTable([['Check', 'Result'], ...last.Checks.map(({ Name, Result }) => [Name, Result])]);
  return [...parts, `${paint(output.color, 'bold', 'Checks')}\n${checks}`].join('\n\n');
}
