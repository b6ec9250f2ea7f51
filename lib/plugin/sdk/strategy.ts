import type { Metric, ScaleDirection, ScalingAction } from '../../structs/autoscaling.js';
import { refuseConfig, type Strategy, type StrategyPlugin } from './autoscaler.js';

/** What a strategy decides from; `config` is its block in the policy. */
export interface StrategyInput {
  config: Record<string, string>;
  metrics: readonly Metric[];
  count: number;
}

/** A strategy that is a formula. It throws an Error, for the user, when its config or the figures cannot be used. */
export function strategyPlugin(name: string, formula: (input: StrategyInput) => ScalingAction): StrategyPlugin {
  const strategy: Strategy = {
    name,
    async run({ check, metrics, count }) {
      return formula({ config: check.strategy.config, metrics, count });
    },
    async close() {},
  };
  return {
    kind: 'strategy',
    name,
    configProblems: refuseConfig,
    create: () => strategy,
  };
}

/** A number of a strategy's config; undefined when it is not given. Throws when it is none, or is missing and needed. */
export function numberOf(config: Record<string, string>, key: string): number | undefined;
export function numberOf(config: Record<string, string>, key: string, needed: 'needed'): number;
export function numberOf(config: Record<string, string>, key: string, needed?: 'needed'): number | undefined {
  const text = config[key];
  if (text === undefined || text.trim() === '') {
    if (needed) throw new Error(`strategy needs "${key}"`);
    return undefined;
  }
  const value = Number(text);
  if (!Number.isFinite(value)) throw new Error(`invalid value for "${key}": ${JSON.stringify(text)} is no number`);
  return value;
}

/** Refuses keys that a strategy does not know. */
export function refuseOthers(config: Record<string, string>, known: readonly string[]): void {
  const unknown = Object.keys(config).filter((key) => !known.includes(key));
  if (unknown.length > 0)
    throw new Error(`strategy does not know "${unknown.join('", "')}"; it takes ${known.join(', ')}`);
}

/** The newest figure. Throws when there is none. */
export function latest(metrics: readonly Metric[]): number {
  const last = metrics.at(-1);
  if (!last) throw new Error('the query gave no figures');
  return last.value;
}

/** The action that leads from one count to another. */
export function toCount(from: number, to: number, reason: string): ScalingAction {
  const direction: ScaleDirection = to > from ? 'up' : to < from ? 'down' : 'none';
  return { count: direction === 'none' ? from : to, direction, reason, error: false, meta: {} };
}

/** Keeps a step within `max_scale_up` and `max_scale_down`, both absent = any step. */
export function clampStep(from: number, to: number, config: Record<string, string>): number {
  const up = numberOf(config, 'max_scale_up') ?? Number.POSITIVE_INFINITY;
  const down = numberOf(config, 'max_scale_down') ?? Number.POSITIVE_INFINITY;
  return Math.max(from - down, Math.min(from + up, to));
}
