import { err, ok, type Result } from '../util/result.js';
import type { BinaryOperator } from './ast.js';
import { add, type BigFloat, compare, divide, isOutOfBounds, modulo, multiply, subtract } from './number.js';
import { BOOL, DYNAMIC, NUMBER, type Type } from './types.js';
import { boolValue, isWhollyKnown, numberValue, unknownValue, type Value, valuesEqual } from './values.js';

interface OperatorRule {
  readonly operands: Type;
  readonly result: Type;
  readonly apply: (a: Value, b: Value) => Result<Value, string>;
}

function arithmetic(compute: (a: BigFloat, b: BigFloat) => BigFloat | string): OperatorRule {
  return {
    operands: NUMBER,
    result: NUMBER,
    apply: (a, b) => {
      if (a.kind !== 'number' || b.kind !== 'number') return err('number required');
      const result = compute(a.value, b.value);
      if (typeof result === 'string') return err(result);
      return isOutOfBounds(result) ? err('the result is out of the range of numbers') : ok(numberValue(result));
    },
  };
}

function comparison(holds: (order: number) => boolean): OperatorRule {
  return {
    operands: NUMBER,
    result: BOOL,
    apply: (a, b) =>
      a.kind === 'number' && b.kind === 'number'
        ? ok(boolValue(holds(compare(a.value, b.value))))
        : err('number required'),
  };
}

function logic(holds: (a: boolean, b: boolean) => boolean): OperatorRule {
  return {
    operands: BOOL,
    result: BOOL,
    apply: (a, b) =>
      a.kind === 'bool' && b.kind === 'bool' ? ok(boolValue(holds(a.value, b.value))) : err('bool required'),
  };
}

function equality(expected: boolean): OperatorRule {
  return { operands: DYNAMIC, result: BOOL, apply: (a, b) => ok(boolValue(valuesEqual(a, b) === expected)) };
}

const nonZero =
  (compute: (a: BigFloat, b: BigFloat) => BigFloat) =>
  (a: BigFloat, b: BigFloat): BigFloat | string =>
    b.mantissa === 0n ? 'division by zero' : compute(a, b);

const RULES: Record<BinaryOperator, OperatorRule> = {
  '+': arithmetic(add),
  '-': arithmetic(subtract),
  '*': arithmetic(multiply),
  '/': arithmetic(nonZero(divide)),
  // Of a division by zero all is left over.
  '%': arithmetic((a, b) => (b.mantissa === 0n ? a : modulo(a, b))),
  '<': comparison((order) => order < 0),
  '<=': comparison((order) => order <= 0),
  '>': comparison((order) => order > 0),
  '>=': comparison((order) => order >= 0),
  '&&': logic((a, b) => a && b),
  '||': logic((a, b) => a || b),
  '==': equality(true),
  '!=': equality(false),
};

/** The type to which the operands of an operator are converted first, and the type of what it gives. */
export function operatorTypes(operator: BinaryOperator): { readonly operands: Type; readonly result: Type } {
  return RULES[operator];
}

/** Applies an operator to operands of its type; the error is what went wrong, in a few words. */
export function applyOperator(operator: BinaryOperator, a: Value, b: Value): Result<Value, string> {
  const { operands, result, apply } = RULES[operator];
  if (operands.kind !== 'dynamic' && (a.kind === 'null' || b.kind === 'null')) return err('argument must not be null');
  if (!isWhollyKnown(a) || !isWhollyKnown(b)) return ok(unknownValue(result));
  return apply(a, b);
}
