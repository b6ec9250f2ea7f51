import type { ScalingCheck } from '../structs/autoscaling.js';
import type { ScalingPolicy } from '../structs/job.js';
import { type Cron, parseCron } from '../util/cron.js';
import { parseDuration } from '../util/duration.js';
import { nearest } from '../util/nearest.js';
import { err, ok, type Result } from '../util/result.js';

// Reads a scaling policy as jobs and policy files have it: a tree of maps, in which every block is a list of maps. Pure.

export type OnError = 'ignore' | 'fail';

/** When a policy or a check is in force. */
export type Schedule =
  | { kind: 'duration'; start: Cron; durationMs: number }
  | { kind: 'until'; start: Cron; end: Cron };

export interface PolicyCheck extends ScalingCheck {
  /** Checks of one group decide together; '' = on its own. */
  group: string;
  /** How far back the window ends. */
  queryWindowOffsetMs: number;
  onError: OnError;
  schedule: Schedule | null;
}

/** A policy, ready to be evaluated. */
export interface Policy {
  id: string;
  /** 'cluster' scales machines. */
  type: 'horizontal' | 'cluster';
  enabled: boolean;
  min: number;
  max: number;
  /** Higher ones are evaluated first. */
  priority: number;
  evaluationIntervalMs: number;
  cooldownMs: number;
  cooldownOnScaleUpMs: number;
  schedule: Schedule | null;
  checks: PolicyCheck[];
  target: { name: string; config: Record<string, string> };
}

/** What holds where a policy says nothing: the agent's `policy` block. */
export interface PolicyDefaults {
  evaluationIntervalMs: number;
  cooldownMs: number;
}

export const POLICY_DEFAULTS: PolicyDefaults = { evaluationIntervalMs: 10_000, cooldownMs: 300_000 };

/** A mistake in a policy: `path` like `check "load".query_window`. */
export interface PolicyProblem {
  path: string;
  message: string;
}

const MESH_APM = 'nomad-apm';
const WINDOW_DEFAULT_MS = 60_000;
const POLICY_KEYS = [
  'cooldown',
  'cooldown_on_scale_up',
  'evaluation_interval',
  'on_check_error',
  'priority',
  'schedule',
  'check',
  'target',
] as const;
const CHECK_KEYS = [
  'group',
  'source',
  'query',
  'query_window',
  'query_window_offset',
  'on_error',
  'schedule',
  'strategy',
] as const;

type Raw = Record<string, unknown>;
type Seen = Pick<ScalingPolicy, 'ID' | 'Type' | 'Target' | 'Min' | 'Max' | 'Policy' | 'Enabled'>;

/** Reads a policy; every mistake is named. */
export function readPolicy(stored: Seen, defaults: PolicyDefaults = POLICY_DEFAULTS): Result<Policy, PolicyProblem[]> {
  const reader = new Reader();
  const raw = stored.Policy ?? {};
  reader.known(raw, POLICY_KEYS, '');
  const min = stored.Min ?? 0;
  const max = stored.Max ?? min;
  if (min < 0) reader.refuse('min', 'must not be negative');
  if (max < min) reader.refuse('max', `must not be below min (${min})`);
  const cooldownMs = reader.duration(raw, 'cooldown', '', defaults.cooldownMs);
  const onError = reader.choice(raw, 'on_check_error', '', ['ignore', 'fail'] as const, 'ignore');
  const policy: Policy = {
    id: stored.ID,
    type: stored.Type === 'cluster' ? 'cluster' : 'horizontal',
    enabled: stored.Enabled,
    min,
    max,
    priority: reader.integer(raw, 'priority', '', 0),
    evaluationIntervalMs: reader.duration(raw, 'evaluation_interval', '', defaults.evaluationIntervalMs),
    cooldownMs,
    cooldownOnScaleUpMs: reader.duration(raw, 'cooldown_on_scale_up', '', cooldownMs),
    schedule: reader.schedule(raw, ''),
    checks: reader.named(raw, 'check').map(([name, body]) => reader.check(name, body, onError)),
    target: reader.target(raw, stored),
  };
  if (policy.evaluationIntervalMs < 1_000) reader.refuse('evaluation_interval', 'must be at least 1s');
  if (policy.checks.length === 0) reader.refuse('check', 'there must be at least one');
  for (const check of policy.checks) check.query = longQuery(check, policy);
  return reader.problems.length > 0 ? err(reader.problems) : ok(policy);
}

/** A plugin that a policy names, and where. */
interface NamedPlugin {
  path: string;
  kind: 'apm' | 'strategy' | 'target';
  name: string;
}

/** The plugins without which a policy cannot be evaluated. */
function pluginsOf({ checks, target }: Pick<Policy, 'checks' | 'target'>): NamedPlugin[] {
  const ofChecks = checks.flatMap(({ name, source, query, strategy }): NamedPlugin[] => [
    ...(query === '' ? [] : [{ path: `check "${name}".source`, kind: 'apm' as const, name: source }]),
    { path: `check "${name}".strategy`, kind: 'strategy', name: strategy.name },
  ]);
  return [...ofChecks, { path: 'target', kind: 'target', name: target.name }];
}

/** Says what is in the way of using a plugin of this name; undefined: nothing. */
export type PluginProblem = (kind: NamedPlugin['kind'], name: string) => string | undefined;

/** What is wrong with the plugins that a policy names. */
export function pluginProblems(policy: Pick<Policy, 'checks' | 'target'>, problemOf: PluginProblem): PolicyProblem[] {
  return pluginsOf(policy).flatMap(({ path, kind, name }) => {
    const message = problemOf(kind, name);
    return message === undefined ? [] : [{ path, message: `cannot be used: ${message}` }];
  });
}

/** The mesh's own figures may be asked for in short: `avg_cpu` means that of the policy's target. */
function longQuery({ source, query }: PolicyCheck, { target: { config }, type }: Policy): string {
  if (source !== MESH_APM || query === '' || query.includes('/')) return query;
  if (type === 'horizontal') {
    return `taskgroup_${query}/${config['Group'] ?? ''}/${config['Job'] ?? ''}@${config['Namespace'] ?? 'default'}`;
  }
  const filters = ['node_class', 'datacenter', 'node_pool'].filter((key) => config[key] !== undefined);
  return `node_${query}/${filters.map((key) => `${key}=${config[key]}`).join(',')}`;
}

class Reader {
  readonly problems: PolicyProblem[] = [];

  refuse(path: string, message: string): void {
    this.problems.push({ path, message });
  }

  known(raw: Raw, keys: readonly string[], at: string): void {
    for (const key of Object.keys(raw)) {
      if (keys.includes(key)) continue;
      const near = nearest(key, keys);
      this.refuse(`${at}${key}`, `is not known${near ? `; did you mean "${near}"?` : `: ${keys.join(', ')}`}`);
    }
  }

  check(name: string, raw: Raw, onError: OnError): PolicyCheck {
    const at = `check "${name}".`;
    this.known(raw, CHECK_KEYS, at);
    const strategies = this.named(raw, 'strategy');
    const [strategy] = strategies;
    if (strategies.length !== 1) this.refuse(`${at}strategy`, 'there must be exactly one');
    const source = this.text(raw, 'source', at, MESH_APM);
    const query = this.text(raw, 'query', at, '');
    const needsQuery = strategy !== undefined && strategy[0] !== 'fixed-value';
    if (query === '' && needsQuery) this.refuse(`${at}query`, 'is missing: what is to be asked');
    return {
      name,
      source,
      query,
      group: this.text(raw, 'group', at, ''),
      queryWindowMs: this.duration(raw, 'query_window', at, WINDOW_DEFAULT_MS),
      queryWindowOffsetMs: this.duration(raw, 'query_window_offset', at, 0),
      onError: this.choice(raw, 'on_error', at, ['ignore', 'fail'] as const, onError),
      schedule: this.schedule(raw, at),
      strategy: { name: strategy?.[0] ?? '', config: texts(strategy?.[1] ?? {}) },
    };
  }

  /** A group's policy scales the group; another one says what. What the server knows of the target wins. */
  target(raw: Raw, stored: Seen): Policy['target'] {
    const targets = this.named(raw, 'target');
    if (targets.length > 1) this.refuse('target', 'there must be one');
    const [name, config] = targets[0] ?? [stored.Type === 'cluster' ? '' : 'nomad-target', {}];
    if (name === '') this.refuse('target', 'is missing: what is to be scaled');
    return { name, config: { ...texts(config), ...stored.Target } };
  }

  schedule(raw: Raw, at: string): Schedule | null {
    const [block] = bodies(raw['schedule']);
    if (!block) return null;
    const path = `${at}schedule.`;
    this.known(block, ['start', 'end', 'duration'], path);
    const start = this.cron(block, 'start', path);
    const hasEnd = block['end'] !== undefined;
    if (hasEnd === (block['duration'] !== undefined)) {
      this.refuse(`${at}schedule`, 'needs either end or duration');
      return null;
    }
    if (!start) return null;
    if (!hasEnd) return { kind: 'duration', start, durationMs: this.duration(block, 'duration', path, 0) };
    const end = this.cron(block, 'end', path);
    return end ? { kind: 'until', start, end } : null;
  }

  cron(raw: Raw, key: string, at: string): Cron | null {
    const text = this.text(raw, key, at, '');
    const cron = parseCron(text);
    if (cron.ok) return cron.value;
    this.refuse(`${at}${key}`, text === '' ? 'is missing' : `is no cron expression: ${cron.error}`);
    return null;
  }

  text(raw: Raw, key: string, at: string, fallback: string): string {
    const value = raw[key];
    if (value === undefined || value === null) return fallback;
    if (typeof value === 'string') return value;
    this.refuse(`${at}${key}`, `must be a string, not ${JSON.stringify(value)}`);
    return fallback;
  }

  choice<T extends string>(raw: Raw, key: string, at: string, values: readonly T[], fallback: T): T {
    const text = this.text(raw, key, at, fallback);
    const found = text === '' ? fallback : values.find((value) => value === text);
    if (found === undefined) this.refuse(`${at}${key}`, `must be ${values.join(' or ')}, not "${text}"`);
    return found ?? fallback;
  }

  integer(raw: Raw, key: string, at: string, fallback: number): number {
    const value = raw[key];
    if (value === undefined || value === null) return fallback;
    const number = Number(value);
    if (Number.isInteger(number)) return number;
    this.refuse(`${at}${key}`, `must be a whole number, not ${JSON.stringify(value)}`);
    return fallback;
  }

  /** "30s", or a number of nanoseconds. */
  duration(raw: Raw, key: string, at: string, fallbackMs: number): number {
    const value = raw[key];
    if (value === undefined || value === null) return fallbackMs;
    if (typeof value === 'number' && value >= 0) return value / 1e6;
    const parsed = typeof value === 'string' ? parseDuration(value) : undefined;
    if (parsed?.ok && parsed.value >= 0) return parsed.value / 1e6;
    this.refuse(`${at}${key}`, `is no duration such as "30s": ${JSON.stringify(value)}`);
    return fallbackMs;
  }

  /** The labelled blocks of a kind: `check "a" {}` is { check: [{ a: [{}] }] }. */
  named(raw: Raw, key: string): [string, Raw][] {
    return bodies(raw[key]).flatMap((byName) =>
      Object.entries(byName).flatMap(([name, inner]) => bodies(inner).map((body): [string, Raw] => [name, body])),
    );
  }
}

/** A block, however it is wrapped: nothing, a map, or a list of maps. */
function bodies(value: unknown): Raw[] {
  if (Array.isArray(value)) return value.flatMap(bodies);
  return typeof value === 'object' && value !== null ? [value as Raw] : [];
}

function texts(raw: Raw): Record<string, string> {
  return Object.fromEntries(Object.entries(raw).map(([key, value]) => [key, String(value)]));
}
