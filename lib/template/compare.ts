import { printValue, sprintf } from './printf.js';
import { compareText, type Float, floatOf, type Kind, kindOf, NO_VALUE, typeName, type Value } from './values.js';

// Go's comparisons in templates: of basic values of one kind; anything may be compared with nil by eq and ne.

const BASIC = new Set<Kind>(['bool', 'int', 'float', 'string']);

/** `eq a b c`: whether a equals one of the others. Throws what Go says of values that cannot be compared. */
export function equalsAny(first: Value, others: readonly Value[]): boolean {
  if (others.length === 0) throw new Error('missing argument for comparison');
  return others.some((other) => equals(first, other));
}

function equals(a: Value, b: Value): boolean {
  const [left, right] = [kind(a), kind(b)];
  if (BASIC.has(left) || BASIC.has(right)) {
    if (left === right) return order(a, b, left) === 0;
    if (left === 'nil' || right === 'nil') return false;
    throw incompatible(a, b);
  }
  if (left === 'nil' || right === 'nil') return left === right;
  if (left !== right) {
    throw new Error(`non-comparable types ${shown(a)}: ${typeName(a)}, ${typeName(b)}: ${printValue(b)}`);
  }
  throw new Error(`non-comparable type ${shown(b)}: ${typeName(b)}`);
}

/** `lt`: whether a comes before b. */
export function isLess(a: Value, b: Value): boolean {
  const [left, right] = [kind(a), kind(b)];
  if (!BASIC.has(left) || !BASIC.has(right)) throw new Error('invalid type for comparison');
  if (left !== right) throw incompatible(a, b);
  if (left === 'bool') throw new Error('invalid type for comparison');
  return order(a, b, left) < 0;
}

function incompatible(a: Value, b: Value): Error {
  return new Error(`incompatible types for comparison: ${typeName(a)} and ${typeName(b)}`);
}

function kind(value: Value): Kind {
  return value === NO_VALUE ? 'nil' : kindOf(value);
}

function shown(value: Value): string {
  return sprintf('%s', [value]);
}

function order(a: Value, b: Value, kind: Kind): number {
  switch (kind) {
    case 'string':
      return compareText(a as string, b as string);
    case 'float':
      return sign(floatOf(a as number | Float), floatOf(b as number | Float));
    case 'int':
      return sign(BigInt(a as number | bigint), BigInt(b as number | bigint));
    default:
      return a === b ? 0 : 1;
  }
}

/** What is no number equals nothing and comes before nothing. */
function sign<T extends number | bigint>(a: T, b: T): number {
  if (a === b) return 0;
  return a < b ? -1 : 1;
}
