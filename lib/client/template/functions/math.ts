import { float, fn, kindOf, type TemplateFunction, type Value } from '../../../template/index.js';
import { int64, numberOf } from './arguments.js';

/**
 * Arithmetic. The second argument comes first, as in Consul Template, so that pipelines read well:
 * `{{ 10 | subtract 2 }}` is 8. Of ints an int of 64 bits comes, else a float.
 */
export const MATH_FUNCTIONS: Readonly<Record<string, TemplateFunction>> = {
  add: fn(2, (b, a) =>
    arithmetic(
      a,
      b,
      (x, y) => x + y,
      (x, y) => x + y,
    ),
  ),
  divide: fn(2, (b, a) => arithmetic(a, b, (x, y) => x / y, quotient)),
  maximum: fn(2, (b, a) => (numberOf(a) > numberOf(b) ? a : b)),
  minimum: fn(2, (b, a) => (numberOf(a) < numberOf(b) ? a : b)),
  modulo: fn(2, (b, a) => modulo(a, b)),
  multiply: fn(2, (b, a) =>
    arithmetic(
      a,
      b,
      (x, y) => x * y,
      (x, y) => x * y,
    ),
  ),
  subtract: fn(2, (b, a) =>
    arithmetic(
      a,
      b,
      (x, y) => x - y,
      (x, y) => x - y,
    ),
  ),
};

function arithmetic(
  a: Value,
  b: Value,
  ofFloats: (x: number, y: number) => number,
  ofInts: (x: bigint, y: bigint) => bigint,
): Value {
  const [x, y] = [numberOf(a), numberOf(b)];
  if (!bothInts(a, b)) return float(ofFloats(x, y));
  return int64(ofInts(BigInt(a as number | bigint), BigInt(b as number | bigint)));
}

function quotient(x: bigint, y: bigint): bigint {
  if (y === 0n) throw new Error('divide: division by zero');
  return x / y;
}

function modulo(a: Value, b: Value): Value {
  if (!bothInts(a, b)) throw new Error('modulo: takes whole numbers only');
  if (numberOf(b) === 0) throw new Error('modulo: division by zero');
  return int64(BigInt(a as number | bigint) % BigInt(b as number | bigint));
}

function bothInts(a: Value, b: Value): boolean {
  return kindOf(a) === 'int' && kindOf(b) === 'int';
}
