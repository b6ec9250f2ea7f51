import { type Command, type Context, type Flags, UsageError } from '../command.js';
import { monitorDrain } from '../drain-monitor.js';
import { localTime } from '../format.js';
import { namedNode, pickNode } from '../pick-node.js';
import { takeArgs } from '../print.js';
import { readMeta } from './job-dispatch.js';

const DEADLINE_NS = 3_600e9;

export const command: Command = {
  usage: 'meshnomad node drain [options] <node>',
  about: `Moves the work off a node, or ends that. While a node drains, and after, it takes no new work; services leave as fast as
migrate.max_parallel allows, batch work may finish until the deadline, system jobs leave last.`,
  flags: {
    deadline: { type: 'duration', value: 'duration', help: 'When what is left is stopped, default 1h.' },
    detach: { type: 'bool', help: 'Do not watch.' },
    disable: { type: 'bool', help: 'End the drain.' },
    enable: { type: 'bool', help: 'Begin to drain.' },
    force: { type: 'bool', help: 'Stop everything at once.' },
    'ignore-system': { type: 'bool', help: 'Leave the allocations of system jobs.' },
    'keep-ineligible': { type: 'bool', help: 'With -disable: still take no new work.' },
    m: { type: 'string', value: 'message', help: 'Why; kept with the node.' },
    meta: { type: 'list', value: 'key=value', help: 'Kept with the node; may be given several times.' },
    monitor: { type: 'bool', help: 'Watch a drain that has begun.' },
    'no-deadline': { type: 'bool', help: 'Wait as long as it takes.' },
    self: { type: 'bool', help: 'The node of the agent that is asked.' },
    yes: { type: 'bool', help: 'Do not ask when only a prefix of the id was given.' },
  },
  async run(context) {
    const { args, flags, output } = context;
    const mode = readMode(flags);
    const deadline = readDeadline(flags, mode);
    const meta = { ...readMeta(flags.list('meta')), ...(flags.string('m') ? { message: flags.string('m') } : {}) };
    takeArgs(args, flags.bool('self') ? 0 : 1, flags.bool('self') ? 0 : 1, '<node>');
    const node = mode === 'monitor' ? await namedNode(context) : await pickNode(context, `${mode} drain mode for`);
    if (!node) {
      output.out('Canceling drain toggle');
      return 0;
    }
    if (mode === 'monitor' && node.DrainStrategy === null) {
      output.out(`No drain strategy set for node ${node.ID}`);
      return 0;
    }
    if (mode === 'monitor') {
      // A drain may be silent for hours: what waits for its deadline says nothing.
      output.out(`${localTime(new Date())}: Monitoring node ${JSON.stringify(node.ID)}: Ctrl-C to detach monitoring`);
      return watch(context, node.ID, 0, flags.bool('ignore-system'));
    }
    const body =
      mode === 'disable'
        ? { DrainSpec: null, MarkEligible: !flags.bool('keep-ineligible'), Meta: meta }
        : { DrainSpec: { Deadline: deadline, IgnoreSystemJobs: flags.bool('ignore-system') }, Meta: meta };
    const api = await context.api();
    const { value } = await api.put<{ NodeModifyIndex: number }>(`/v1/node/${node.ID}/drain`, body);
    const what = mode === 'disable' ? 'unset' : 'set';
    if (mode === 'disable' || flags.bool('detach')) {
      output.out(`Node ${JSON.stringify(node.ID)} drain strategy ${what}`);
      return 0;
    }
    output.out(`${localTime(new Date())}: Ctrl-C to stop monitoring: will not cancel the node drain`);
    output.out(`${localTime(new Date())}: Node ${JSON.stringify(node.ID)} drain strategy ${what}`);
    return watch(context, node.ID, value.NodeModifyIndex, flags.bool('ignore-system'));
  },
};

function readMode(flags: Flags): 'enable' | 'disable' | 'monitor' {
  const modes = (['enable', 'disable', 'monitor'] as const).filter((name) => flags.bool(name));
  const [mode] = modes;
  if (!mode || modes.length > 1) throw new UsageError('Exactly one of -enable, -disable and -monitor must be given');
  if (mode === 'monitor' && flags.bool('detach')) throw new UsageError('-monitor and -detach exclude each other');
  return mode;
}

/** Nanoseconds; 0 = none, -1 = over at once. */
function readDeadline(flags: Flags, mode: 'enable' | 'disable' | 'monitor'): number {
  const deadline = flags.duration('deadline');
  const ways = ['force', 'no-deadline'].filter((name) => flags.bool(name));
  if (deadline !== undefined) ways.push('deadline');
  if (ways.length > 1) throw new UsageError('-deadline, -force and -no-deadline exclude each other');
  if (mode !== 'enable' && ways.length > 0) throw new UsageError(`-${ways[0]} goes with -enable`);
  if (mode !== 'disable' && flags.bool('keep-ineligible')) throw new UsageError('-keep-ineligible goes with -disable');
  if (flags.bool('force')) return -1;
  if (flags.bool('no-deadline')) return 0;
  if (deadline !== undefined && deadline <= 0) {
    throw new UsageError('the deadline must be above zero: -force drains at once, -no-deadline waits for ever');
  }
  return deadline ?? DEADLINE_NS;
}

async function watch(context: Context, nodeId: string, index: number, ignoreSystem: boolean): Promise<number> {
  await monitorDrain({ api: await context.api(), output: context.output }, { nodeId, index, ignoreSystem });
  return 0;
}
