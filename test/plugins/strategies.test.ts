import t, { type Test } from 'tap';
import type { StrategyInput } from '../../lib/plugin/sdk/strategy.js';
import type { ScalingAction } from '../../lib/structs/autoscaling.js';
import { fixedValue } from '../../plugins/strategy-fixed-value/index.js';
import { passThrough } from '../../plugins/strategy-pass-through/index.js';
import { targetValue } from '../../plugins/strategy-target-value/index.js';
import { threshold } from '../../plugins/strategy-threshold/index.js';

type Formula = (input: StrategyInput) => ScalingAction;
type Row = [config: Record<string, string>, values: number[], count: number, expected: string | RegExp];

const metricsOf = (values: number[]) => values.map((value, i) => ({ timestampMs: i, value }));

function table(t: Test, formula: Formula, rows: Row[]): void {
  for (const [config, values, count, expected] of rows) {
    const name = `${JSON.stringify(config)} ${values} at ${count}`;
    const run = () => formula({ config, metrics: metricsOf(values), count });
    if (expected instanceof RegExp) {
      t.throws(run, { message: expected }, name);
      continue;
    }
    const action = run();
    t.equal(`${action.direction} ${action.count}`, expected, name);
  }
}

t.test('target-value', async (t) => {
  table(t, targetValue, [
    [{ target: '70' }, [140], 2, 'up 4'],
    [{ target: '70' }, [35], 4, 'down 2'],
    [{ target: '70' }, [70.5], 4, 'none 4'],
    [{ target: '70' }, [71], 4, 'up 5'],
    [{ target: '70' }, [10, 140], 1, 'up 2'],
    [{ target: '70', threshold: '0.5' }, [100], 4, 'none 4'],
    [{ target: '10' }, [35], 0, 'up 4'],
    [{ target: '0' }, [3], 2, 'up 6'],
    [{ target: '10' }, [0], 5, 'down 0'],
    [{ target: '1', max_scale_up: '2' }, [10], 3, 'up 5'],
    [{ target: '10', max_scale_down: '1' }, [0], 5, 'down 4'],
    [{ target: '70' }, [], 4, /no figures/],
    [{}, [1], 4, /needs "target"/],
    [{ target: 'x' }, [1], 4, /no number/],
    [{ target: '1', tagret: '2' }, [1], 4, /does not know "tagret"/],
  ]);
});

t.test('threshold', async (t) => {
  const high = { lower_bound: '80' };
  const five = [90, 90, 90, 90, 90];
  table(t, threshold, [
    [{ ...high, delta: '2' }, five, 3, 'up 5'],
    [{ ...high, delta: '2' }, five.slice(1), 3, 'none 3'],
    [{ ...high, delta: '2', within_bounds_trigger: '1' }, [90], 3, 'up 5'],
    [{ upper_bound: '20', delta: '-1' }, [1, 1, 1, 1, 1], 3, 'down 2'],
    [{ upper_bound: '20', delta: '-9' }, [1, 1, 1, 1, 1], 3, 'down 0'],
    [{ ...high, percentage: '20' }, five, 3, 'up 4'],
    [{ ...high, percentage: '-50' }, five, 3, 'down 2'],
    [{ ...high, value: '7' }, five, 3, 'up 7'],
    [{ ...high, upper_bound: '90', value: '7' }, five, 3, 'none 3'],
    [{ ...high }, five, 3, /exactly one/],
    [{ ...high, delta: '1', value: '2' }, five, 3, /exactly one/],
    [{ delta: '1' }, five, 3, /lower_bound/],
    [{ lower_bound: '5', upper_bound: '5', delta: '1' }, five, 3, /must be below/],
  ]);
});

t.test('pass-through and fixed-value', async (t) => {
  table(t, passThrough, [
    [{}, [1, 5.9], 3, 'up 5'],
    [{}, [-4], 3, 'down 0'],
    [{ max_scale_up: '1' }, [9], 3, 'up 4'],
    [{ max_scale_down: '1' }, [0], 3, 'down 2'],
    [{}, [], 3, /no figures/],
  ]);
  table(t, fixedValue, [
    [{ value: '4' }, [], 3, 'up 4'],
    [{ value: '3' }, [], 3, 'none 3'],
    [{ value: '1.5' }, [], 3, /whole number/],
    [{}, [], 3, /needs "value"/],
  ]);
});
