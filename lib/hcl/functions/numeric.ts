import { ok } from '../../util/result.js';
import type { CallResult, HclFunction } from '../context.js';
import { type BigFloat, bigFloat, compare, isInteger, negate, toDouble, truncate } from '../number.js';
import { power64 } from '../power.js';
import { NUMBER, typeName } from '../types.js';
import { numberValue, typeOf, type Value } from '../values.js';
import { any, define, integerOf, NOT_WHOLE, number, refuse } from './define.js';

function exactOf(value: Value | undefined): BigFloat {
  return value?.kind === 'number' ? value.value : bigFloat(0);
}

/** A double as a value; what is none (infinite, not a number) is refused. */
function finite(result: number): CallResult {
  if (Object.is(result, -0)) return ok(numberValue(negate(bigFloat(0))));
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

const DIGITS_MAX = 10_000;
const DIGITS = '0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ';

/** Up to base 36 the case of a digit does not matter; beyond it, capitals are the larger digits. */
function parseInteger(value: Value | undefined, base: number | null): CallResult {
  if (value?.kind !== 'string')
    return refuse(`first argument must be a string, not ${value ? typeName(typeOf(value)) : 'nothing'}`, 0);
  if (base === null) return refuse(NOT_WHOLE, 1);
  if (base < 2 || base > 62) return refuse('base must be a whole number between 2 and 62 inclusive', 1);
  const digits = value.value;
  const bad = (): CallResult => refuse(`cannot parse ${JSON.stringify(digits)} as a base ${base} integer`, 0);
  const match = /^([+-]?)([0-9a-zA-Z]+)$/.exec(digits);
  if (!match || digits.length > DIGITS_MAX) return bad();
  let total = 0n;
  for (const digit of base <= 36 ? (match[2] as string).toLowerCase() : (match[2] as string)) {
    const worth = DIGITS.indexOf(digit);
    if (worth >= base) return bad();
    total = total * BigInt(base) + BigInt(worth);
  }
  return ok(numberValue(match[1] === '-' ? -total : total));
}

/** The functions over numbers. */
export const NUMERIC_FUNCTIONS: Record<string, HclFunction> = {
  abs: define([number('num')], NUMBER, ([value]) => {
    const exact = exactOf(value);
    return ok(numberValue(exact.mantissa < 0n || exact.negativeZero ? negate(exact) : exact));
  }),
  ceil: define([number('num')], NUMBER, ([value]) => ok(numberValue(-floor(negate(exactOf(value)))))),
  floor: define([number('num')], NUMBER, ([value]) => ok(numberValue(floor(exactOf(value))))),
  signum: define([number('num')], NUMBER, ([value]) => {
    const whole = integerOf(value);
    return whole === null ? refuse(NOT_WHOLE) : ok(numberValue(Math.sign(whole)));
  }),
  max: extreme(1),
  min: extreme(-1),
  log: define([number('num'), number('base')], NUMBER, ([value, base]) =>
    finite(Math.log(toDouble(exactOf(value))) / Math.log(toDouble(exactOf(base)))),
  ),
  pow: define([number('num'), number('power')], NUMBER, ([value, power]) =>
    finite(power64(toDouble(exactOf(value)), toDouble(exactOf(power)))),
  ),
  parseint: define([any('number'), number('base')], NUMBER, ([digits, base]) => parseInteger(digits, integerOf(base))),
};
