import { numberOf, refuseOthers, type StrategyInput, strategyPlugin, toCount } from '../../lib/plugin/sdk/strategy.js';
import type { ScalingAction } from '../../lib/structs/autoscaling.js';

/** Always the same count: for schedules. It needs no figures. */
export function fixedValue({ config, count }: StrategyInput): ScalingAction {
  refuseOthers(config, ['value']);
  const value = numberOf(config, 'value', 'needed');
  if (!Number.isInteger(value) || value < 0) throw new Error(`"value" must be a whole number from 0, not ${value}`);
  return toCount(count, value, `the policy says ${value}`);
}

export default strategyPlugin('fixed-value', fixedValue);
