import { equalsAny, isLess } from './compare.js';
import { escapeHtml, escapeJs, escapeQuery } from './escape.js';
import { printValue, sprint, sprintf } from './printf.js';
import {
  entryOf,
  fn,
  kindOf,
  NO_VALUE,
  sizeOf,
  type TemplateFunction,
  TypedMap,
  truth,
  typeName,
  type Value,
} from './values.js';

/** The functions that every template has; `and` and `or` are done by the executor: they stop early. */
export const BUILTINS: Readonly<Record<string, TemplateFunction>> = {
  call: fn([1, Infinity], callFunction),
  eq: fn([1, Infinity], (first, ...others) => equalsAny(first, others)),
  ge: fn(2, (a, b) => !isLess(a, b)),
  gt: fn(2, (a, b) => !isLessOrEqual(a, b)),
  html: fn([0, Infinity], (...args) => escapeHtml(plain(args))),
  index: fn([1, Infinity], indexInto),
  js: fn([0, Infinity], (...args) => escapeJs(plain(args))),
  le: fn(2, isLessOrEqual),
  len: fn(1, lengthOf),
  lt: fn(2, isLess),
  ne: fn(2, (a, b) => !equalsAny(a, [b])),
  not: fn(1, (value) => !truth(known(value))),
  print: fn([0, Infinity], (...args) => sprint(args.map(known))),
  printf: fn([1, Infinity], (format, ...args) => sprintf(textOf(format), args.map(known))),
  println: fn([0, Infinity], (...args) => `${args.map(known).map(printValue).join(' ')}\n`),
  slice: fn([1, Infinity], sliceOf),
  urlquery: fn([0, Infinity], (...args) => escapeQuery(plain(args))),
};

function known(value: Value): Value {
  return value === NO_VALUE ? null : value;
}

function textOf(value: Value): string {
  if (typeof value === 'string') return value;
  throw new Error(`wrong type for value; expected string; got ${typeName(known(value))}`);
}

/** The arguments as text; what a map lacks shows as it does in the output. */
function plain(args: readonly Value[]): string {
  return sprint(args.map((value) => (value === NO_VALUE || value === null ? '<no value>' : value)));
}

function isLessOrEqual(a: Value, b: Value): boolean {
  return isLess(a, b) || equalsAny(a, [b]);
}

function isNothing(value: Value): boolean {
  return value === NO_VALUE || value === null || value === undefined;
}

function lengthOf(value: Value): number {
  if (value === NO_VALUE) throw new Error('reflect: call of reflect.Value.Type on zero Value');
  if (isNothing(value)) throw new Error('len of nil pointer');
  switch (kindOf(value)) {
    case 'string':
      return new TextEncoder().encode(value as string).length;
    case 'list':
      return (value as Value[]).length;
    case 'map':
      return sizeOf(value as object);
    default:
      throw new Error(`len of type ${typeName(value)}`);
  }
}

function indexInto(item: Value, ...keys: Value[]): Value {
  if (isNothing(item)) throw new Error('index of untyped nil');
  return keys.reduce(indexOne, item);
}

function indexOne(item: Value, key: Value): Value {
  if (isNothing(item)) throw new Error('index of nil pointer');
  switch (kindOf(item)) {
    case 'list':
    case 'string': {
      const list = typeof item === 'string' ? new TextEncoder().encode(item) : (item as Value[]);
      const at = indexOf(key, list.length);
      if (at === list.length)
        throw new Error(`reflect: ${typeof item === 'string' ? 'string' : 'slice'} index out of range`);
      return list[at];
    }
    case 'map': {
      if (isNothing(key)) throw new Error('value is nil; should be of type string');
      if (typeof key !== 'string') throw new Error(`value has type ${typeName(key)}; should be string`);
      return known(itemOf(item as object, key));
    }
    default:
      throw new Error(`can't index item of type ${typeName(item)}`);
  }
}

function itemOf(map: object, key: string): Value {
  const item = entryOf(map, key);
  return item === NO_VALUE && map instanceof TypedMap ? map.zero : item;
}

function indexOf(key: Value, size: number): number {
  if (isNothing(key)) throw new Error('cannot index slice/array with nil');
  if (kindOf(key) !== 'int') throw new Error(`cannot index slice/array with type ${typeName(key)}`);
  const at = Number(key);
  if (at < 0 || at > size) throw new Error(`index out of range: ${String(key)}`);
  return at;
}

function sliceOf(item: Value, ...indexes: Value[]): Value {
  if (isNothing(item)) throw new Error('slice of untyped nil');
  if (indexes.length > 3) throw new Error(`too many slice indexes: ${indexes.length}`);
  if (typeof item === 'string' && indexes.length === 3) throw new Error('cannot 3-index slice a string');
  if (typeof item !== 'string' && !Array.isArray(item)) throw new Error(`can't slice item of type ${typeName(item)}`);
  const list = typeof item === 'string' ? new TextEncoder().encode(item) : (item as Value[]);
  const [from = 0, to = list.length, most] = indexes.map((index) => indexOf(index, list.length));
  if (from > to) throw new Error(`invalid slice index: ${from} > ${to}`);
  if (most !== undefined && to > most) throw new Error(`invalid slice index: ${to} > ${most}`);
  const part = list.slice(from, to);
  return part instanceof Uint8Array ? new TextDecoder().decode(part) : part;
}

function callFunction(target: Value, ...args: Value[]): Value {
  if (isNothing(target)) throw new Error('call of nil');
  if (kindOf(target) !== 'func') throw new Error(`non-function of type ${typeName(target)}`);
  const { min, max, call } = target as TemplateFunction;
  if (args.length < min || args.length > max) {
    throw new Error(`wrong number of args: got ${args.length} want ${max === Infinity ? 'at least ' : ''}${min}`);
  }
  return call(args.map(known));
}
