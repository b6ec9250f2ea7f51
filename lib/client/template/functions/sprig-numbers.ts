import { float, fn, printValue, type TemplateFunction, type Value } from '../../../template/index.js';
import { checkSize, int64, intOf } from './arguments.js';
import { countOf, floatFrom, many, text, wholeOf } from './sprig-values.js';

const whole = (of: (a: bigint, b: bigint) => bigint): TemplateFunction =>
  fn(2, (a, b) => int64(of(wholeOf(a), wholeOf(b))));

const fold = (least: number, from: bigint | null, of: (a: bigint, b: bigint) => bigint): TemplateFunction =>
  many(least, (...args) => {
    const numbers = args.map(wholeOf);
    return int64(from === null ? numbers.reduce(of) : numbers.reduce(of, from));
  });

/** Sprig's functions over numbers: whole ones of 64 bits, and those whose name ends with f over floats. */
export const NUMBER_FUNCTIONS: Readonly<Record<string, TemplateFunction>> = {
  add: fold(0, 0n, (a, b) => a + b),
  add1: fn(1, (value) => int64(wholeOf(value) + 1n)),
  add1f: fn(1, (value) => decimals([value, 1], (a, b) => a + b)),
  addf: many(0, (...args) => decimals([0, ...args], (a, b) => a + b)),
  atoi: text(1, (value = '') => (/^[+-]?\d+$/.test(value) ? int64(BigInt(value.replace('+', ''))) : 0)),
  biggest: fold(1, null, (a, b) => (b > a ? b : a)),
  ceil: fn(1, (value) => float(Math.ceil(floatFrom(value)))),
  div: whole((a, b) => a / notZero(b)),
  divf: many(1, (...args) => float(args.map(floatFrom).reduce((a, b) => quotient(a, b)))),
  float64: fn(1, (value) => float(floatFrom(value))),
  floor: fn(1, (value) => float(Math.floor(floatFrom(value)))),
  int: fn(1, (value) => int64(wholeOf(value))),
  int64: fn(1, (value) => int64(wholeOf(value))),
  max: fold(1, null, (a, b) => (b > a ? b : a)),
  maxf: many(1, (...args) => float(Math.max(...args.map(floatFrom)))),
  min: fold(1, null, (a, b) => (b < a ? b : a)),
  minf: many(1, (...args) => float(Math.min(...args.map(floatFrom)))),
  mod: whole((a, b) => a % notZero(b)),
  mul: fold(1, null, (a, b) => a * b),
  mulf: many(1, (...args) => decimals(args, (a, b) => a * b, true)),
  round: fn([2, 3], (value, places, on) => float(round(floatFrom(value), intOf(places), on))),
  seq: fn([0, 3], (...args) => sequence(args.map(intOf)).join(' ')),
  sub: whole((a, b) => a - b),
  subf: many(1, (...args) => decimals(args, (a, b) => a - b)),
  toDecimal: fn(1, (value) => octal(printValue(value))),
  until: fn(1, (count) => steps(0, countOf(count), countOf(count) < 0 ? -1 : 1)),
  untilStep: fn(3, (from, to, step) => steps(intOf(from), intOf(to), intOf(step))),
};

function notZero(value: bigint): bigint {
  if (value === 0n) throw new Error('division by zero');
  return value;
}

/** A sum or product of decimals, which has no digits that floats would make up: 0.1 and 0.2 are 0.3. */
function decimals(args: readonly Value[], of: (a: bigint, b: bigint) => bigint, isProduct = false): Value {
  const numbers = args.map(floatFrom);
  if (!numbers.every((number) => Number.isFinite(number))) throw new Error('cannot calculate with what is no number');
  const parts = numbers.map(decimal);
  const scale = Math.max(...parts.map((part) => part.scale));
  if (isProduct) {
    const digits = parts.map((part) => part.digits).reduce(of);
    return float(Number(`${digits}e-${parts.reduce((sum, part) => sum + part.scale, 0)}`));
  }
  return float(Number(`${parts.map((part) => part.digits * 10n ** BigInt(scale - part.scale)).reduce(of)}e-${scale}`));
}

/** A number as `digits · 10^-scale`. */
function decimal(value: number): { digits: bigint; scale: number } {
  const [mantissa = '0', exponent = '0'] = value.toString().split('e');
  const [whole = '0', fraction = ''] = mantissa.split('.');
  const scale = fraction.length - Number(exponent);
  const digits = BigInt(whole + fraction);
  return scale < 0 ? { digits: digits * 10n ** BigInt(-scale), scale: 0 } : { digits, scale };
}

/** With at most 16 digits behind the point. */
function quotient(a: number, b: number): number {
  if (b === 0) throw new Error('decimal division by 0');
  const [x, y] = [decimal(a), decimal(b)];
  const shift = 17 + y.scale - x.scale;
  const raised = shift >= 0 ? x.digits * 10n ** BigInt(shift) : x.digits / 10n ** BigInt(-shift);
  const long = raised / y.digits;
  const up = (long < 0n ? -long : long) % 10n >= 5n ? (long < 0n ? -1n : 1n) : 0n;
  return Number(`${long / 10n + up}e-16`);
}

/** Up from a fraction of `on`, one half unless it is said; what is below zero goes down, as Sprig has it. */
function round(value: number, places: number, on: Value): number {
  const power = 10 ** places;
  const shifted = power * value;
  const fraction = shifted - Math.trunc(shifted);
  return (fraction >= (on === undefined ? 0.5 : floatFrom(on)) ? Math.ceil(shifted) : Math.floor(shifted)) / power;
}

/** `seq 3`, `seq 2 4`, `seq 0 2 10`: as the program of that name, its end is among them. */
function sequence(args: readonly number[]): number[] {
  if (args.length === 0) return [];
  const [from, to] = args.length === 1 ? [1, args[0] as number] : [args[0] as number, args.at(-1) as number];
  const direction = to < from ? -1 : 1;
  const step = args.length === 3 ? (args[1] as number) : direction;
  return direction < 0 && step > 0 ? [] : steps(from, to + direction, step);
}

function octal(value: string): Value {
  return /^[+-]?[0-7]+$/.test(value) ? Number.parseInt(value, 8) : 0;
}

function steps(from: number, to: number, step: number): number[] {
  if (to < from ? step >= 0 : step <= 0) return [];
  const count = Math.ceil((to - from) / step);
  checkSize(count, 'list');
  return Array.from({ length: count }, (_, i) => from + i * step);
}
