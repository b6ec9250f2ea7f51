import {
  clampStep,
  latest,
  refuseOthers,
  type StrategyInput,
  strategyPlugin,
  toCount,
} from '../../lib/plugin/sdk/strategy.js';
import type { ScalingAction } from '../../lib/structs/autoscaling.js';

/** The newest figure, without its fraction, is the count. */
export function passThrough({ config, metrics, count }: StrategyInput): ScalingAction {
  refuseOthers(config, ['max_scale_up', 'max_scale_down']);
  const wanted = Math.max(0, Math.trunc(latest(metrics)));
  return toCount(count, clampStep(count, wanted, config), `the query says ${wanted}`);
}

export default strategyPlugin('pass-through', passThrough);
