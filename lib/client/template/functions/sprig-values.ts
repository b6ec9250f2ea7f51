import {
  fn,
  kindOf,
  NO_VALUE,
  printValue,
  type TemplateFunction,
  TypedMap,
  truth,
  type Value,
} from '../../../template/index.js';
import { numberOf, textOf } from './arguments.js';
import { floatFromText } from './encode.js';

// What the functions of Sprig take values for: they are generous where Consul Template's own are strict.

/** A function of texts. */
export const text = (count: number, of: (...args: string[]) => Value): TemplateFunction =>
  fn(count, (...args) => of(...args.map(textOf)));

/** A function of at least so many values. */
export const many = (least: number, of: (...args: Value[]) => Value): TemplateFunction => fn([least, Infinity], of);

/** The same function under two names: the second one fails with an error in Go where the first one panics. */
export function withMust(functions: Readonly<Record<string, TemplateFunction>>): Record<string, TemplateFunction> {
  const named = Object.entries(functions).map(([name, of]) => [
    `must${name.charAt(0).toUpperCase()}${name.slice(1)}`,
    of,
  ]);
  return { ...functions, ...(Object.fromEntries(named) as Record<string, TemplateFunction>) };
}

/** Nothing at all, or nil. */
export function isNothing(value: Value): boolean {
  return value === null || value === undefined || value === NO_VALUE;
}

/** Not false, 0, nil or empty. */
export function isFilled(value: Value): boolean {
  return !isNothing(value) && truth(value);
}

/** As text. */
export function shown(value: Value): string {
  return isNothing(value) ? '<nil>' : printValue(value);
}

/** Whatever is given as a list of texts, without what is nothing. */
export function textsOf(value: Value): string[] {
  if (isNothing(value)) return [];
  return Array.isArray(value) ? value.filter((item) => !isNothing(item)).map(shown) : [shown(value)];
}

/** Texts under `_0`, `_1`, …. */
export function numbered(parts: readonly string[]): TypedMap {
  return new TypedMap(
    'map[string]string',
    parts.map((part, i): [string, Value] => [`_${i}`, part]),
    { zero: '' },
  );
}

/** A whole number of 64 bits: of texts too, also with `0x`, `0b` or a leading 0 for octal; 0 for what is none. */
export function wholeOf(value: Value): bigint {
  if (typeof value === 'string') return wholeFromText(value);
  if (typeof value === 'boolean') return value ? 1n : 0n;
  const kind = kindOf(value);
  if (kind === 'int') return BigInt(value as number | bigint);
  if (kind !== 'float') return 0n;
  const number = Math.trunc(numberOf(value));
  return Number.isFinite(number) ? BigInt.asIntN(64, BigInt(number)) : 0n;
}

function wholeFromText(value: string): bigint {
  if (value.length > 100) return 0n;
  const [, sign = '', body = ''] = /^([+-]?)(.*)$/s.exec(value.replace(/\.0*$/, '')) ?? [];
  const digits = /^0[0-7_]*[0-7]$/.test(body) ? body.replace(/^0_?/, '0o') : body;
  if (!/^(0x_?[\da-f]+(_[\da-f]+)*|0o[0-7]+(_[0-7]+)*|0b_?[01]+(_[01]+)*|0|[1-9]\d*(_\d+)*)$/i.test(digits)) return 0n;
  const number = BigInt(digits.replaceAll('_', '')) * (sign === '-' ? -1n : 1n);
  return number >= -(2n ** 63n) && number < 2n ** 63n ? number : 0n;
}

/** A float: of texts too; 0 for what is none. */
export function floatFrom(value: Value): number {
  if (typeof value === 'string') return floatFromText(value) ?? 0;
  if (typeof value === 'boolean') return value ? 1 : 0;
  return kindOf(value) === 'int' || kindOf(value) === 'float' ? numberOf(value) : 0;
}

/** A number that counts things here. */
export function countOf(value: Value): number {
  return Number(wholeOf(value));
}
