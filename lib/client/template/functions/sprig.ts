import { posix } from 'node:path';
import {
  compareText,
  entriesOf,
  float,
  fn,
  kindOf,
  NO_VALUE,
  type TemplateFunction,
  truth,
  typeName,
  type Value,
} from '../../../template/index.js';
import { findMatch, replaceMatches } from '../../../util/regex/machine.js';
import { checkSize, intOf, listOf, mapOf, numberOf, regexOf, sameValue, textOf } from './arguments.js';
import { hash } from './encode.js';
import { jsonText, parseJson } from './json.js';
import { replaceAll, shown, toTitle, trim, trimPrefix, trimSuffix } from './text.js';

// The functions of the Sprig library that templates use, by Sprig's names. What makes keys, passwords or certificates
// is left out: a template is rendered again and again, and would come out different each time.

const text = (count: number, of: (...args: string[]) => Value): TemplateFunction =>
  fn(count, (...args) => of(...args.map(textOf)));
const many = (least: number, of: (...args: Value[]) => Value): TemplateFunction => fn([least, Infinity], of);

/** A number, also one written as a text; 0 for anything else, as Sprig has it. */
function loose(value: Value): number {
  if (typeof value === 'string') return Number(value) || 0;
  if (typeof value === 'boolean') return value ? 1 : 0;
  return kindOf(value) === 'int' || kindOf(value) === 'float' ? numberOf(value) : 0;
}

const whole = (value: Value): number => Math.trunc(loose(value));

const STRINGS: Readonly<Record<string, TemplateFunction>> = {
  abbrev: fn(2, (width, value) => abbreviate(textOf(value), intOf(width))),
  cat: many(0, (...args) => args.map(shown).join(' ')),
  contains: text(2, (part = '', whole = '') => whole.includes(part)),
  hasPrefix: text(2, (part = '', whole = '') => whole.startsWith(part)),
  hasSuffix: text(2, (part = '', whole = '') => whole.endsWith(part)),
  indent: fn(2, (spaces, value) => indentAll(intOf(spaces), textOf(value))),
  join: fn(2, (separator, list) => (Array.isArray(list) ? list.map(shown).join(textOf(separator)) : shown(list))),
  kebabcase: text(1, (value = '') => words(value).join('-').toLowerCase()),
  lower: text(1, (value = '') => value.toLowerCase()),
  nindent: fn(2, (spaces, value) => `\n${indentAll(intOf(spaces), textOf(value))}`),
  nospace: text(1, (value = '') => value.replace(/\s/g, '')),
  plural: fn(3, (one, several, count) => (intOf(count) === 1 ? one : several)),
  quote: many(0, (...args) =>
    args
      .filter(isSomething)
      .map((arg) => JSON.stringify(shown(arg)))
      .join(' '),
  ),
  repeat: fn(2, (count, value) => repeat(textOf(value), intOf(count))),
  replace: text(3, (old = '', by = '', value = '') => replaceAll(value, old, by)),
  snakecase: text(1, (value = '') => words(value).join('_').toLowerCase()),
  splitList: text(2, (separator = '', value = '') => value.split(separator)),
  squote: many(0, (...args) =>
    args
      .filter(isSomething)
      .map((arg) => `'${shown(arg)}'`)
      .join(' '),
  ),
  substr: fn(3, (start, end, value) => substring(textOf(value), intOf(start), intOf(end))),
  title: text(1, (value = '') => toTitle(value)),
  toString: fn(1, shown),
  toStrings: fn(1, (list) => listOf(list).map(shown)),
  trim: text(1, (value = '') => value.trim()),
  trimAll: text(2, (cut = '', value = '') => trim(value, cut, true, true)),
  trimPrefix: text(2, (prefix = '', value = '') => trimPrefix(value, prefix)),
  trimSuffix: text(2, (suffix = '', value = '') => trimSuffix(value, suffix)),
  trunc: fn(2, (count, value) => truncate(textOf(value), intOf(count))),
  untitle: text(1, (value = '') => value.replace(/(^|\s)(\p{L})/gu, (all) => all.toLowerCase())),
  upper: text(1, (value = '') => value.toUpperCase()),
};

const NUMBERS: Readonly<Record<string, TemplateFunction>> = {
  add: many(0, (...args) => args.reduce<number>((sum, arg) => sum + whole(arg), 0)),
  add1: fn(1, (value) => whole(value) + 1),
  atoi: text(1, (value = '') => (/^[+-]?\d+$/.test(value) ? Number(value) : 0)),
  ceil: fn(1, (value) => float(Math.ceil(loose(value)))),
  div: fn(2, (a, b) => divide(whole(a), whole(b), Math.trunc)),
  float64: fn(1, (value) => float(loose(value))),
  floor: fn(1, (value) => float(Math.floor(loose(value)))),
  int: fn(1, whole),
  int64: fn(1, whole),
  max: many(1, (...args) => Math.max(...args.map(whole))),
  min: many(1, (...args) => Math.min(...args.map(whole))),
  mod: fn(2, (a, b) => modulo(whole(a), whole(b))),
  mul: many(1, (...args) => args.reduce<number>((product, arg) => product * whole(arg), 1)),
  round: fn(2, (value, places) => float(Number(loose(value).toFixed(Math.min(100, Math.max(0, intOf(places))))))),
  sub: fn(2, (a, b) => whole(a) - whole(b)),
  until: fn(1, (count) => steps(0, whole(count), whole(count) < 0 ? -1 : 1)),
  untilStep: fn(3, (from, to, step) => steps(whole(from), whole(to), whole(step))),
};

const LISTS: Readonly<Record<string, TemplateFunction>> = {
  append: fn(2, (list, item) => [...listOf(list), item]),
  compact: fn(1, (list) => listOf(list).filter((item) => truth(item))),
  concat: many(0, (...lists) => lists.flatMap(listOf)),
  first: fn(1, (list) => listOf(list)[0] ?? null),
  has: fn(2, (item, list) => listOf(list).some((other) => sameValue(other, item))),
  initial: fn(1, (list) => listOf(list).slice(0, -1)),
  last: fn(1, (list) => listOf(list).at(-1) ?? null),
  list: many(0, (...items) => items),
  prepend: fn(2, (list, item) => [item, ...listOf(list)]),
  rest: fn(1, (list) => listOf(list).slice(1)),
  reverse: fn(1, (list) => [...listOf(list)].reverse()),
  sortAlpha: fn(1, (list) => (Array.isArray(list) ? list.map(shown).sort(compareText) : [shown(list)])),
  uniq: fn(1, (list) => unique(listOf(list))),
  without: many(1, (list, ...out) => listOf(list).filter((item) => !out.some((other) => sameValue(other, item)))),
};

const MAPS: Readonly<Record<string, TemplateFunction>> = {
  dict: many(0, (...pairs) => dict(pairs)),
  get: fn(2, (map, key) => new Map(entriesOf(mapOf(map))).get(textOf(key)) ?? ''),
  hasKey: fn(2, (map, key) => new Map(entriesOf(mapOf(map))).has(textOf(key))),
  keys: many(0, (...maps) => maps.flatMap((map) => entriesOf(mapOf(map)).map(([key]) => key))),
  merge: many(1, (...maps) => new Map([...maps].reverse().flatMap((map) => entriesOf(mapOf(map))))),
  omit: many(1, (map, ...keys) => new Map(entriesOf(mapOf(map)).filter(([key]) => !keys.includes(key)))),
  pick: many(1, (map, ...keys) => new Map(entriesOf(mapOf(map)).filter(([key]) => keys.includes(key)))),
  pluck: many(1, (key, ...maps) =>
    maps.flatMap((map) =>
      entriesOf(mapOf(map))
        .filter(([name]) => name === key)
        .map(([, v]) => v),
    ),
  ),
  set: fn(3, (map, key, value) => new Map([...entriesOf(mapOf(map)), [textOf(key), value]])),
  values: many(0, (...maps) => maps.flatMap((map) => entriesOf(mapOf(map)).map(([, value]) => value))),
};

const OTHERS: Readonly<Record<string, TemplateFunction>> = {
  b64dec: text(1, (value = '') => Buffer.from(value, 'base64').toString('utf8')),
  b64enc: text(1, (value = '') => Buffer.from(value).toString('base64')),
  base: text(1, (path = '') => posix.basename(path) || '.'),
  clean: text(1, (path = '') => posix.normalize(path)),
  coalesce: many(0, (...values) => values.find(isTrue) ?? null),
  default: fn([1, 2], (other, value) => (isTrue(value) ? value : other)),
  dir: text(1, (path = '') => posix.dirname(path)),
  empty: fn(1, (value) => !isTrue(value)),
  ext: text(1, (path = '') => posix.extname(path)),
  fail: text(1, (message = '') => {
    throw new Error(message);
  }),
  fromJson: text(1, (value = '') => parseJson(value)),
  isAbs: text(1, (path = '') => path.startsWith('/')),
  kindIs: fn(2, (kind, value) => goKind(value) === kind),
  kindOf: fn(1, goKind),
  regexFind: text(2, (pattern = '', value = '') => matches(pattern, value, 1)[0] ?? ''),
  regexFindAll: fn(3, (pattern, value, count) => matches(textOf(pattern), textOf(value), intOf(count))),
  regexMatch: text(2, (pattern = '', value = '') => findMatch(regexOf(pattern, value), value, 0) !== null),
  regexReplaceAll: text(3, (pattern = '', value = '', by = '') => replaceMatches(regexOf(pattern, value), value, by)),
  sha1sum: text(1, (value = '') => hash('sha1', value)),
  sha256sum: text(1, (value = '') => hash('sha256', value)),
  sha512sum: text(1, (value = '') => hash('sha512', value)),
  ternary: fn(3, (yes, no, test) => (test === true ? yes : no)),
  toJson: fn(1, (value) => jsonText(value, { pretty: false, escapeHtml: true })),
  toPrettyJson: fn(1, (value) => jsonText(value, { pretty: true, escapeHtml: true })),
  toRawJson: fn(1, (value) => jsonText(value, { pretty: false, escapeHtml: false })),
  typeOf: fn(1, (value) => typeName(value)),
};

/** All of them, as templates call them: `sprig_default`. */
export const SPRIG_FUNCTIONS: Readonly<Record<string, TemplateFunction>> = Object.fromEntries(
  Object.entries({ ...STRINGS, ...NUMBERS, ...LISTS, ...MAPS, ...OTHERS }).map(([name, value]) => [
    `sprig_${name}`,
    value,
  ]),
);

function isSomething(value: Value): boolean {
  return value !== null && value !== undefined && value !== NO_VALUE;
}

function isTrue(value: Value): boolean {
  return value !== NO_VALUE && truth(value);
}

function indentAll(spaces: number, value: string): string {
  checkSize(spaces * (value.split('\n').length + 1), 'text');
  return value.replace(/^/gm, ' '.repeat(Math.max(0, spaces)));
}

function abbreviate(value: string, width: number): string {
  return width < 4 || value.length <= width ? value : `${value.slice(0, width - 3)}...`;
}

function repeat(value: string, count: number): string {
  checkSize(value.length * count, 'text');
  return value.repeat(Math.max(0, count));
}

function substring(value: string, start: number, end: number): string {
  if (start < 0) return value.slice(0, end < 0 ? undefined : end);
  return end < 0 || end > value.length ? value.slice(start) : value.slice(start, Math.max(start, end));
}

function truncate(value: string, count: number): string {
  return count < 0 ? value.slice(count) : value.slice(0, count);
}

function words(value: string): string[] {
  return value
    .replace(/([\p{Ll}\p{N}])(\p{Lu})/gu, '$1 $2')
    .split(/[\s_-]+/)
    .filter((word) => word !== '');
}

function divide(a: number, b: number, round: (value: number) => number): number {
  if (b === 0) throw new Error('division by zero');
  return round(a / b);
}

function modulo(a: number, b: number): number {
  if (b === 0) throw new Error('division by zero');
  return a % b;
}

function steps(from: number, to: number, step: number): number[] {
  if (step === 0 || (to > from && step < 0) || (to < from && step > 0)) return [];
  const count = Math.ceil((to - from) / step);
  checkSize(count, 'list');
  return Array.from({ length: count }, (_, i) => from + i * step);
}

function unique(list: readonly Value[]): Value[] {
  checkSize(list.length ** 2 / 1000, 'list');
  return list.filter((item, i) => list.findIndex((other) => sameValue(other, item)) === i);
}

function dict(pairs: readonly Value[]): Map<string, Value> {
  const map = new Map<string, Value>();
  for (let i = 0; i < pairs.length; i += 2) map.set(shown(pairs[i]), pairs[i + 1] ?? '');
  return map;
}

/** Go's reflect.Kind, by name. */
function goKind(value: Value): string {
  const kind = kindOf(value);
  const names: Partial<Record<typeof kind, string>> = {
    nil: 'invalid',
    float: 'float64',
    list: 'slice',
    struct: 'ptr',
  };
  return names[kind] ?? kind;
}

function matches(pattern: string, value: string, count: number): string[] {
  const regex = regexOf(pattern, value);
  const found: string[] = [];
  for (let at = 0; at <= value.length && (count < 0 || found.length < count); ) {
    const match = findMatch(regex, value, at);
    if (!match) break;
    const [start = 0, end = 0] = match;
    found.push(value.slice(start, end));
    at = end > start ? end : end + 1;
  }
  return found;
}
