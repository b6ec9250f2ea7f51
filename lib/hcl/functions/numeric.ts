import { ok } from '../../util/result.js';
import type { CallResult, HclFunction } from '../context.js';
import { type BigFloat, bigFloat, compare, isInteger, negate, toDouble, truncate } from '../number.js';
import { NUMBER } from '../types.js';
import { numberValue, type Value } from '../values.js';
import { define, integerOf, number, refuse, text, textOf } from './define.js';

function exactOf(value: Value | undefined): BigFloat {
  return value?.kind === 'number' ? value.value : bigFloat(0);
}

/** A double as a value; what is none (infinite, not a number) is refused. */
function finite(result: number): CallResult {
  return Number.isFinite(result) ? ok(numberValue(result)) : refuse('the result is no finite number');
}

function floor(value: BigFloat): bigint {
  const whole = truncate(value);
  return isInteger(value) || value.mantissa >= 0n ? whole : whole - 1n;
}

function extreme(sign: 1 | -1): HclFunction {
  const call = (values: readonly Value[]): CallResult => {
    if (values.length === 0) return refuse('must pass at least one number');
    return ok(values.reduce((best, value) => (compare(exactOf(value), exactOf(best)) * sign > 0 ? value : best)));
  };
  return define([], NUMBER, call, number('numbers'));
}

function parseInteger(digits: string, base: number): CallResult {
  const bad = (): CallResult => refuse(`cannot parse "${digits}" as a base ${base} integer`);
  const match = /^([+-]?)([0-9a-zA-Z]+)$/.exec(digits);
  if (!match || digits.length > 10_000) return bad();
  let total = 0n;
  for (const digit of (match[2] as string).toLowerCase()) {
    const value = Number.parseInt(digit, 36);
    if (value >= base) return bad();
    total = total * BigInt(base) + BigInt(value);
  }
  return ok(numberValue(match[1] === '-' ? -total : total));
}

/** The functions over numbers. */
export const NUMERIC_FUNCTIONS: Record<string, HclFunction> = {
  abs: define([number('num')], NUMBER, ([value]) => {
    const exact = exactOf(value);
    return ok(numberValue(exact.mantissa < 0n ? negate(exact) : exact));
  }),
  ceil: define([number('num')], NUMBER, ([value]) => ok(numberValue(-floor(negate(exactOf(value)))))),
  floor: define([number('num')], NUMBER, ([value]) => ok(numberValue(floor(exactOf(value))))),
  signum: define([number('num')], NUMBER, ([value]) => {
    const { mantissa } = exactOf(value);
    return ok(numberValue(mantissa < 0n ? -1 : mantissa > 0n ? 1 : 0));
  }),
  max: extreme(1),
  min: extreme(-1),
  log: define([number('num'), number('base')], NUMBER, ([value, base]) =>
    finite(Math.log(toDouble(exactOf(value))) / Math.log(toDouble(exactOf(base)))),
  ),
  pow: define([number('num'), number('power')], NUMBER, ([value, power]) =>
    finite(toDouble(exactOf(value)) ** toDouble(exactOf(power))),
  ),
  parseint: define([text('number'), number('base')], NUMBER, ([digits, base]) => {
    const radix = integerOf(base);
    if (radix === null || radix < 2 || radix > 36) return refuse('base must be a whole number between 2 and 36', 1);
    return parseInteger(textOf(digits), radix);
  }),
};
