/** How machines are woken and put to sleep. */
export type PowerMethod = 'wol' | 'command' | 'http';

/** A target block: `target "power" { node_pool = "gpu" … }`. */
export interface PowerConfig {
  pool: string | null;
  nodeClass: string | null;
  datacenter: string | null;
  strategy: SelectorStrategy;
  method: PowerMethod;
  /** `command`: programs on the servers, with NODE_ID, NODE_NAME, NODE_ADDRESS and NODE_MAC in their environment. */
  wakeCommand: string[];
  sleepCommand: string[];
  /** `http`: addresses that are asked by POST; `{name}`, `{id}` and `{mac}` stand for those of the node. */
  wakeUrl: string;
  sleepUrl: string;
  drainDeadlineMs: number;
  wakeTimeoutMs: number;
  /** Of one machine, for the estimate of what is saved; 0 = none is made. */
  watts: number;
}

export const SELECTOR_STRATEGIES = [
  'least_busy',
  'newest_create_index',
  'oldest_create_index',
  'empty',
  'empty_ignore_system',
] as const;
export type SelectorStrategy = (typeof SELECTOR_STRATEGIES)[number];

const KEYS = [
  'node_pool',
  'node_class',
  'datacenter',
  'node_selector_strategy',
  'method',
  'wake_command',
  'sleep_command',
  'wake_url',
  'sleep_url',
  'node_drain_deadline',
  'wake_timeout',
  'watts',
];

/** Reads a target block. Throws an Error that names what is wrong. */
export function readConfig(config: Record<string, string>): PowerConfig {
  const unknown = Object.keys(config).filter((key) => !KEYS.includes(key));
  if (unknown.length > 0)
    throw new Error(`target "power" does not know "${unknown.join('", "')}"; it takes ${KEYS.join(', ')}`);
  const { node_pool: pool = null, node_class: nodeClass = null, datacenter = null } = config;
  if (pool === null && nodeClass === null)
    throw new Error('target "power" needs a node_pool or a node_class: which machines may sleep');
  const method = oneOf(config, 'method', ['wol', 'command', 'http'] as const, 'wol');
  const read: PowerConfig = {
    pool,
    nodeClass,
    datacenter,
    method,
    strategy: oneOf(config, 'node_selector_strategy', SELECTOR_STRATEGIES, 'least_busy'),
    wakeCommand: words(config['wake_command']),
    sleepCommand: words(config['sleep_command']),
    wakeUrl: config['wake_url'] ?? '',
    sleepUrl: config['sleep_url'] ?? '',
    drainDeadlineMs: seconds(config, 'node_drain_deadline', 15 * 60) * 1_000,
    wakeTimeoutMs: seconds(config, 'wake_timeout', 5 * 60) * 1_000,
    watts: Number(config['watts'] ?? 0),
  };
  if (!(read.watts >= 0)) throw new Error(`watts is no number such as "120": "${config['watts']}"`);
  if (method === 'command' && (read.wakeCommand.length === 0 || read.sleepCommand.length === 0)) {
    throw new Error('method = "command" needs wake_command and sleep_command');
  }
  if (method === 'http' && (read.wakeUrl === '' || read.sleepUrl === '')) {
    throw new Error('method = "http" needs wake_url and sleep_url');
  }
  return read;
}

function oneOf<T extends string>(config: Record<string, string>, key: string, values: readonly T[], fallback: T): T {
  const text = config[key] ?? fallback;
  const found = values.find((value) => value === text);
  if (found === undefined) throw new Error(`${key} must be one of ${values.join(', ')}, not "${text}"`);
  return found;
}

const words = (text: string | undefined): string[] => (text ?? '').split(/\s+/).filter((word) => word !== '');

/** "90", "90s", "15m" or "1h". */
function seconds(config: Record<string, string>, key: string, fallback: number): number {
  const text = config[key];
  if (text === undefined) return fallback;
  const match = /^(\d+)(s|m|h)?$/.exec(text);
  if (!match) throw new Error(`${key} is no duration such as "15m": "${text}"`);
  return Number(match[1]) * ({ s: 1, m: 60, h: 3_600 }[match[2] ?? 's'] ?? 1);
}
