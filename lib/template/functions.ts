import { format, printValue } from './printf.js';

/** A value inside a template: JSON's, and what functions may add. */
export type Value = unknown;

/** A function of a template. What it throws becomes a TemplateError at its place. */
export type TemplateFunction = (...args: Value[]) => Value;

/** Go's truth: false, 0, "", nil, and empty lists and maps are false. */
export function truth(value: Value): boolean {
  if (Array.isArray(value)) return value.length > 0;
  if (typeof value === 'object' && value !== null) return Object.keys(value).length > 0;
  return Boolean(value);
}

function lengthOf(value: Value): number {
  if (typeof value === 'string') return new TextEncoder().encode(value).length;
  if (Array.isArray(value)) return value.length;
  if (typeof value === 'object' && value !== null) return Object.keys(value).length;
  throw new Error(`len of ${printValue(value)}: it has no length`);
}

function indexInto(value: Value, ...keys: Value[]): Value {
  let here = value;
  for (const key of keys) {
    if (Array.isArray(here) || typeof here === 'string') {
      if (typeof key !== 'number' || !Number.isInteger(key))
        throw new Error(`cannot index a list with ${printValue(key)}`);
      if (key < 0 || key >= here.length) throw new Error(`index out of range: ${key}`);
      here = here[key];
    } else if (typeof here === 'object' && here !== null) {
      const name = String(key);
      here = Object.hasOwn(here, name) ? (here as Record<string, Value>)[name] : '';
    } else throw new Error(`cannot index ${printValue(here)}`);
  }
  return here;
}

function sliceOf(value: Value, from: Value = 0, to?: Value): Value {
  if (typeof value !== 'string' && !Array.isArray(value)) throw new Error(`cannot slice ${printValue(value)}`);
  const start = Number(from);
  const end = to === undefined ? value.length : Number(to);
  if (start < 0 || end > value.length || start > end) throw new Error(`slice out of range: ${start}:${end}`);
  return value.slice(start, end);
}

function compare(a: Value, b: Value): number {
  if (typeof a === 'number' && typeof b === 'number') return a - b;
  if (typeof a === 'string' && typeof b === 'string') return a < b ? -1 : a > b ? 1 : 0;
  throw new Error(`incompatible types for comparison: ${printValue(a)} and ${printValue(b)}`);
}

function equal(a: Value, ...others: Value[]): boolean {
  if (others.length === 0) throw new Error('eq needs two arguments at least');
  return others.some((b) => {
    if (a !== null && b !== null && typeof a !== typeof b)
      throw new Error(`incompatible types for comparison: ${printValue(a)} and ${printValue(b)}`);
    return a === b;
  });
}

const HTML: Record<string, string> = { '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&#34;', "'": '&#39;' };

/** The functions that every template has (Go's text/template); `and` and `or` are done by the executor: they stop early. */
export const BUILTINS: Readonly<Record<string, TemplateFunction>> = {
  eq: equal,
  ne: (a, b) => !equal(a, b),
  lt: (a, b) => compare(a, b) < 0,
  le: (a, b) => compare(a, b) <= 0,
  gt: (a, b) => compare(a, b) > 0,
  ge: (a, b) => compare(a, b) >= 0,
  not: (value) => !truth(value),
  len: lengthOf,
  index: indexInto,
  slice: sliceOf,
  print: (...args) => spaced(args),
  println: (...args) => `${args.map(printValue).join(' ')}\n`,
  printf: (pattern, ...args) => format(String(pattern), args),
  urlquery: (...args) => encodeURIComponent(spaced(args)).replaceAll('%20', '+'),
  html: (...args) => spaced(args).replace(/[&<>"']/g, (char) => HTML[char] ?? char),
  js: (...args) => JSON.stringify(spaced(args)).slice(1, -1).replaceAll("'", "\\'"),
};

// fmt.Sprint: blanks between operands when neither is a string.
function spaced(args: Value[]): string {
  return args
    .map((arg, i) => (i > 0 && typeof arg !== 'string' && typeof args[i - 1] !== 'string' ? ' ' : '') + printValue(arg))
    .join('');
}
