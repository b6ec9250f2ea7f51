import type { WhyRefusal } from '../../structs/why.js';
import { assertNever } from '../../util/assert.js';
import type { GroupAsk, Refusal } from './refusal.js';

const DIMENSION = {
  cpu: { unit: 'MHz', what: 'free CPU', key: 'resources.cpu', of: (ask: GroupAsk) => ask.cpuMhz },
  memory: { unit: 'MiB', what: 'free memory', key: 'resources.memory', of: (ask: GroupAsk) => ask.memoryMb },
  disk: { unit: 'MiB', what: 'free disk', key: 'ephemeral_disk.size', of: (ask: GroupAsk) => ask.diskMb },
} as const;

/** The refusals of one rule as a sentence, and what would have to change for one of the nodes to do. */
export function refusalSentences(
  same: readonly Refusal[],
  nodes: number,
  ask: GroupAsk,
): Omit<WhyRefusal, 'NodeNames'> {
  const [first] = same;
  if (!first) return { Rule: '', Nodes: 0, Sentence: '', Change: '' };
  const of = `${same.length} of ${nodes} ${nodes === 1 ? 'node' : 'nodes'}`;
  const verb = (one: string, many: string): string => (same.length === 1 ? one : many);
  const said = (Sentence: string, Change: string) => ({
    Rule: first.rule,
    Nodes: same.length,
    Sentence: `${of} ${Sentence}`,
    Change,
  });
  switch (first.kind) {
    case 'status':
      return said(`${verb('is', 'are')} ${first.rule}`, statusChange(first.rule));
    case 'place':
      return said(
        `${verb('is', 'are')} not in ${first.rule}${instead(same, `${verb('it is', 'they are')} in`)}`,
        `${first.rule.startsWith('node pool') ? 'change the node_pool' : 'change the datacenters'} of the job, or add a node there`,
      );
    case 'rule':
      return said(
        `${verb('does', 'do')} not meet: ${first.rule.trimEnd()}${instead(same, first.rule.startsWith('missing') ? 'there:' : verb('it has', 'they have'))}`,
        ruleChange(first.rule),
      );
    case 'distinct':
      return said(
        `already ${verb('runs', 'run')} one, and distinct_hosts allows one on each node`,
        'lower the count, remove distinct_hosts, or add a node',
      );
    case 'property':
      return said(
        `${verb('is', 'are')} where as many are as distinct_property allows: ${first.rule}`,
        'lower the count, let distinct_property allow more, or add a node with another value',
      );
    case 'volume':
      return said(
        `cannot give what is asked for: ${first.rule}${instead(same, 'there:')}`,
        first.rule === 'missing devices' ? ruleChange(first.rule) : volumeChange(first.rule),
      );
    case 'cores': {
      const { amount, least } = rangeOf(same);
      if (first.isTooSmall) {
        return said(
          `${verb('has', 'have')} ${amount} whole ${amount === '1' ? 'core' : 'cores'} less than is asked for, also when empty`,
          `ask for ${least} fewer or for resources.cpu instead, or add a larger node`,
        );
      }
      return said(
        `${verb('lacks', 'lack')} ${amount} free whole ${amount === '1' ? 'core' : 'cores'}`,
        `ask for ${least} fewer or for resources.cpu instead, stop what holds cores there, or add a node`,
      );
    }
    case 'devices':
      return said(
        `${verb('has', 'have')} the devices that are asked for, but others hold them`,
        'stop what holds them, ask for fewer, or add a node with such devices',
      );
    case 'numa':
      return said(
        `${verb('has', 'have')} the cores and devices that are asked for, but not free on one NUMA node`,
        'set numa.affinity to "prefer", ask for fewer cores, or stop what holds some there',
      );
    case 'port':
      return said(
        `${verb('has', 'have')} the static ${first.rule} in use by ${listed(holders(same))}`,
        'ask for another port or a dynamic one, stop what holds it, or add a node',
      );
    case 'address':
      return said(
        `${verb('has', 'have')} no address on the network "${first.rule}" to give ports out on${instead(same, 'there:')}`,
        'connect one of them, set client.network_interface there, or add a node',
      );
    case 'dynamic-ports':
      return said(
        `${verb('has', 'have')} no dynamic port left (${holders(same).join(', ')})`,
        'widen client.min_dynamic_port to client.max_dynamic_port there, stop what holds some, or add a node',
      );
    case 'allocations':
      return said(
        `${verb('has as many allocations as it', 'have as many allocations as they')} may have (${first.rule})`,
        'raise client.node_max_allocs there, stop something, or add a node',
      );
    case 'cpu':
    case 'memory':
    case 'disk': {
      const { unit, what, key, of: askOf } = DIMENSION[first.kind];
      const { amount, least } = rangeOf(same);
      const enough = askOf(ask) - least;
      if (first.isTooSmall) {
        return said(
          `${verb('has', 'have')} ${amount} ${unit} less than is asked for, also when empty (${first.kind})`,
          `${enough > 0 ? `lower ${key} from ${askOf(ask)} to ${enough} ${unit} in all` : 'ask for less'}, or add a larger node`,
        );
      }
      const lower = enough > 0 ? `lower ${key} from ${askOf(ask)} to ${enough} ${unit} in all, ` : '';
      return said(
        `${verb('lacks', 'lack')} ${amount} ${unit} of ${what}`,
        `free ${least} ${unit} on one of them, ${lower}or add a node`,
      );
    }
    default:
      return assertNever(first.kind);
  }
}

/** Who has it, each once; a few of many. */
function holders(same: readonly Refusal[]): string[] {
  const all = [...new Set(same.flatMap(({ by }) => (by ? [by] : [])))];
  return all.length <= 3 ? all : [...all.slice(0, 2), `${all.length - 2} others`];
}

/** What there is instead, if that is known. */
function instead(same: readonly Refusal[], lead: string): string {
  const found = holders(same);
  if (found.length === 0) return '';
  // Of what lacks, each is a sentence; else they are values.
  return ` (${lead} ${lead.endsWith(':') ? found.join('; ') : listed(found)})`;
}

/** "a", "a and b", "a, b and c". */
function listed(all: readonly string[]): string {
  return [all.slice(0, -1).join(', '), ...all.slice(-1)].filter(Boolean).join(' and ');
}

/** By how much they are short. */
function rangeOf(same: readonly Refusal[]): { amount: string; least: number } {
  const shorts = same.map(({ short }) => short);
  const [least, most] = [Math.min(...shorts), Math.max(...shorts)];
  return { amount: least === most ? `${least}` : `${least} to ${most}`, least };
}

const VOLUME_CHANGES: readonly (readonly [RegExp, string])[] = [
  [/claims|claimed by/, 'stop what uses the volume, or give it an access mode for several users'],
  [/lies on another node/, 'bring the node with the volume back, or move the volume: meshnomad volume move'],
  [/plugin .*maximum/, 'stop what uses other volumes of the plugin there, or add a node'],
  [/plugin/, 'run the plugin there, or see why it is not healthy: meshnomad plugin status'],
  [/topology/, 'move the volume to one of them (meshnomad volume move), or add a node from which it can be reached'],
  [
    /missing/,
    'create the volume (meshnomad volume create), declare it on one of the nodes, or ask for it as it is there',
  ],
  [/not ready/, 'see what became of it: meshnomad volume status'],
];

function volumeChange(rule: string): string {
  const [, change] = VOLUME_CHANGES.find(([pattern]) => pattern.test(rule)) ?? [];
  return change ?? 'change how the job asks for the volume, or the volume';
}

function statusChange(status: string): string {
  if (status === 'ineligible') return 'make one eligible: meshnomad node eligibility -enable <node>';
  if (status === 'draining') return 'end the drain: meshnomad node drain -disable <node>';
  return 'bring the agent on one of them back, or see why it cannot be reached';
}

function ruleChange(rule: string): string {
  if (rule === 'missing drivers') return 'enable or install the driver on one of them, or use another driver';
  if (rule === 'missing secrets provider') {
    return 'put the plugin into common_plugin_dir/secrets on one of them, or write provider = "nomad"';
  }
  const plugin = /plugins\.cni\.version\.([\w-]+)\}/.exec(rule)?.[1];
  if (plugin) return `put the CNI plugin "${plugin}" into client.cni_path on one of them, or use another network mode`;
  if (rule.startsWith('missing')) return 'provide what is missing on one of them, or take it out of the job';
  return 'change the constraint, or add a node that meets it';
}
