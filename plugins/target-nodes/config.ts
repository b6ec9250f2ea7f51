import type { ConfigProblem } from '../../lib/plugin/sdk/driver.js';

export const SELECTOR_STRATEGIES = [
  'least_busy',
  'newest_create_index',
  'oldest_create_index',
  'empty',
  'empty_ignore_system',
] as const;
export type SelectorStrategy = (typeof SELECTOR_STRATEGIES)[number];

/** Which nodes a policy is about, and how they are emptied: what every target of nodes is told. */
export interface NodesConfig {
  pool: string | null;
  nodeClass: string | null;
  datacenter: string | null;
  strategy: SelectorStrategy;
  drainDeadlineMs: number;
  /** Tasks of system jobs go on during a drain. */
  ignoreSystemJobs: boolean;
}

const KEYS = [
  ...['node_pool', 'node_class', 'datacenter', 'node_selector_strategy'],
  ...['node_drain_deadline', 'node_drain_ignore_system_jobs'],
];

/** What Nomad's autoscaler says to every target; of no interest here. */
const OF_THE_HOST = /^(_nomad_autoscaler_.*|dry-run)$/;

/** For the agent's block of a target whose policies say everything. */
export function refuseTargetConfig(config: Record<string, unknown>): ConfigProblem[] {
  return Object.keys(config).map((path) => ({ path, message: 'is not known: say it in the policy’s target block' }));
}

/** A target block, as policies have it. */
export type Given = Record<string, string>;

/** Reads what is said of the nodes; `more` are the keys that the target takes besides. Throws an Error that names what is wrong. */
export function readNodesConfig(
  config: Given,
  { target, more = [] }: { target: string; more?: readonly string[] },
): NodesConfig {
  const known = [...KEYS, ...more];
  const unknown = Object.keys(config).filter((key) => !known.includes(key) && !OF_THE_HOST.test(key));
  if (unknown.length > 0)
    throw new Error(`target "${target}" does not know "${unknown.join('", "')}"; it takes ${known.join(', ')}`);
  const { node_pool: pool = null, node_class: nodeClass = null, datacenter = null } = config;
  if (pool === null && nodeClass === null)
    throw new Error(`target "${target}" needs a node_pool or a node_class: which machines it is about`);
  return {
    pool,
    nodeClass,
    datacenter,
    strategy: oneOf(config, 'node_selector_strategy', SELECTOR_STRATEGIES, 'least_busy'),
    drainDeadlineMs: durationMs(config, 'node_drain_deadline', 15 * 60),
    ignoreSystemJobs: oneOf(config, 'node_drain_ignore_system_jobs', ['true', 'false'], 'false') === 'true',
  };
}

/** One of the values that a key may have. */
export function oneOf<T extends string>(config: Given, key: string, values: readonly T[], fallback: T): T {
  const text = config[key] ?? fallback;
  const found = values.find((value) => value === text);
  if (found === undefined) throw new Error(`${key} must be one of ${values.join(', ')}, not "${text}"`);
  return found;
}

/** "90", "90s", "15m" or "1h". */
export function durationMs(config: Given, key: string, fallbackSeconds: number): number {
  const text = config[key];
  if (text === undefined) return fallbackSeconds * 1_000;
  const match = /^(\d{1,9})(s|m|h)?$/.exec(text);
  if (!match) throw new Error(`${key} is no duration such as "15m": "${text}"`);
  return Number(match[1]) * ({ s: 1, m: 60, h: 3_600 }[match[2] ?? 's'] ?? 1) * 1_000;
}
