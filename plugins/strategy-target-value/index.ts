import {
  clampStep,
  latest,
  numberOf,
  refuseOthers,
  type StrategyInput,
  strategyPlugin,
  toCount,
} from '../../lib/plugin/sdk/strategy.js';
import type { ScalingAction } from '../../lib/structs/autoscaling.js';

const THRESHOLD_DEFAULT = 0.01;
const KEYS = ['target', 'threshold', 'max_scale_up', 'max_scale_down'];

/**
 * Keeps a figure at its target: count × figure / target, rounded up; nothing within `threshold` (a part of one) of it. A
 * target of 0 takes the figure itself as the factor; a count of 0 counts as one.
 */
export function targetValue({ config, metrics, count }: StrategyInput): ScalingAction {
  refuseOthers(config, KEYS);
  const target = numberOf(config, 'target', 'needed');
  const threshold = numberOf(config, 'threshold') ?? THRESHOLD_DEFAULT;
  const metric = latest(metrics);
  const factor = target === 0 ? metric : metric / target;
  const why = `factor ${factor.toFixed(3)}: ${metric} against a target of ${target}`;
  if (Math.abs(1 - factor) <= threshold) return toCount(count, count, `within ${threshold} of the target (${why})`);
  const wanted = Math.max(0, Math.ceil(count === 0 ? factor : count * factor));
  const to = clampStep(count, wanted, config);
  return toCount(
    count,
    to,
    `${to === count ? 'count stays' : `scaling ${to > count ? 'up' : 'down'}`} because of ${why}`,
  );
}

export default strategyPlugin('target-value', targetValue);
