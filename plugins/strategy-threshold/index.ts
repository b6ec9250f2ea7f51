import { numberOf, refuseOthers, type StrategyInput, strategyPlugin, toCount } from '../../lib/plugin/sdk/strategy.js';
import type { ScalingAction } from '../../lib/structs/autoscaling.js';

const TRIGGER_DEFAULT = 5;
const KEYS = ['lower_bound', 'upper_bound', 'within_bounds_trigger', 'delta', 'percentage', 'value'];

/**
 * Acts when enough of the figures lie within bounds (lower ≤ figure < upper): by `delta`, by `percentage` (rounded up) or to
 * `value`; never below 0.
 */
export function threshold({ config, metrics, count }: StrategyInput): ScalingAction {
  refuseOthers(config, KEYS);
  const lower = numberOf(config, 'lower_bound') ?? Number.NEGATIVE_INFINITY;
  const upper = numberOf(config, 'upper_bound') ?? Number.POSITIVE_INFINITY;
  if (config['lower_bound'] === undefined && config['upper_bound'] === undefined) {
    throw new Error('strategy needs "lower_bound" or "upper_bound"');
  }
  if (lower >= upper) throw new Error(`"lower_bound" (${lower}) must be below "upper_bound" (${upper})`);
  const wanted = Math.max(0, step(config, count));
  const trigger = numberOf(config, 'within_bounds_trigger') ?? TRIGGER_DEFAULT;
  const within = metrics.filter(({ value }) => value >= lower && value < upper).length;
  const why = `${within} of ${metrics.length} figures within [${lower}, ${upper})`;
  if (within < trigger) return toCount(count, count, `${why}: fewer than ${trigger}`);
  return toCount(count, wanted, `scaling because of ${why}`);
}

function step(config: Record<string, string>, count: number): number {
  const given = ['delta', 'percentage', 'value'].filter((key) => config[key] !== undefined);
  if (given.length !== 1)
    throw new Error(`strategy needs exactly one of "delta", "percentage" and "value", not ${given.length}`);
  const amount = numberOf(config, given[0] as string, 'needed');
  if (given[0] === 'delta') return count + Math.trunc(amount);
  if (given[0] === 'percentage') return Math.ceil(count * (1 + amount / 100));
  return Math.trunc(amount);
}

export default strategyPlugin('threshold', threshold);
