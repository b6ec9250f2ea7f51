import { float, fn, kindOf, type TemplateFunction, type Value } from '../../../template/index.js';
import { numberOf } from './arguments.js';

/**
 * Arithmetic. The second argument comes first, as in Consul Template, so that pipelines read well:
 * `{{ 10 | subtract 2 }}` is 8. Of ints an int comes, else a float.
 */
export const MATH_FUNCTIONS: Readonly<Record<string, TemplateFunction>> = {
  add: fn(2, (b, a) => arithmetic(a, b, (x, y) => x + y)),
  divide: fn(2, (b, a) => divide(a, b)),
  maximum: fn(2, (b, a) => arithmetic(a, b, Math.max)),
  minimum: fn(2, (b, a) => arithmetic(a, b, Math.min)),
  modulo: fn(2, (b, a) => modulo(a, b)),
  multiply: fn(2, (b, a) => arithmetic(a, b, (x, y) => x * y)),
  subtract: fn(2, (b, a) => arithmetic(a, b, (x, y) => x - y)),
};

function arithmetic(a: Value, b: Value, of: (x: number, y: number) => number): Value {
  const result = of(numberOf(a), numberOf(b));
  return bothInts(a, b) ? result : float(result);
}

function divide(a: Value, b: Value): Value {
  if (numberOf(b) === 0 && bothInts(a, b)) throw new Error('divide: division by zero');
  const result = numberOf(a) / numberOf(b);
  return bothInts(a, b) ? Math.trunc(result) : float(result);
}

function modulo(a: Value, b: Value): Value {
  if (!bothInts(a, b)) throw new Error('modulo: takes whole numbers only');
  if (numberOf(b) === 0) throw new Error('modulo: division by zero');
  return numberOf(a) % numberOf(b);
}

function bothInts(a: Value, b: Value): boolean {
  return kindOf(a) === 'int' && kindOf(b) === 'int';
}
