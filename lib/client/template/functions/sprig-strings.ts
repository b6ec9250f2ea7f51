import { fn, quote, type TemplateFunction } from '../../../template/index.js';
import { checkSize, intOf, textOf } from './arguments.js';
import { camelCase, joinedCase } from './sprig-case.js';
import { isNothing, many, numbered, shown, text, textsOf } from './sprig-values.js';
import { lower, replaceAll, trim, trimPrefix, trimSpace, trimSuffix, upper } from './text.js';

const indent = (spaces: number, value: string): string => {
  if (spaces < 0) throw new Error('negative Repeat count');
  checkSize(spaces * (value.split('\n').length + 1), 'text');
  return ' '.repeat(spaces) + value.replaceAll('\n', `\n${' '.repeat(spaces)}`);
};
const trimAll = text(2, (cut = '', value = '') => trim(value, cut, true, true));

/** Sprig's functions over texts. Places and lengths are in bytes, as in Go. */
export const STRING_FUNCTIONS: Readonly<Record<string, TemplateFunction>> = {
  abbrev: fn(2, (width, value) => abbreviate(textOf(value), 0, intOf(width))),
  abbrevboth: fn(3, (left, right, value) => {
    const isTooShort = intOf(right) < 4 || (intOf(left) > 0 && intOf(right) < 7);
    return isTooShort ? textOf(value) : abbreviate(textOf(value), intOf(left), intOf(right));
  }),
  camelcase: text(1, (value = '') => camelCase(value)),
  cat: many(0, (...args) =>
    args
      .filter((arg) => !isNothing(arg))
      .map(shown)
      .join(' '),
  ),
  contains: text(2, (part = '', whole = '') => whole.includes(part)),
  hasPrefix: text(2, (part = '', whole = '') => whole.startsWith(part)),
  hasSuffix: text(2, (part = '', whole = '') => whole.endsWith(part)),
  indent: fn(2, (spaces, value) => indent(intOf(spaces), textOf(value))),
  initials: text(1, (value = '') => (value.match(/(?<!\S)\S/gu) ?? []).join('')),
  join: fn(2, (separator, list) => textsOf(list).join(textOf(separator))),
  kebabcase: text(1, (value = '') => joinedCase(value, '-')),
  lower: text(1, (value = '') => lower(value)),
  nindent: fn(2, (spaces, value) => `\n${indent(intOf(spaces), textOf(value))}`),
  nospace: text(1, (value = '') => value.replace(/\s/g, '')),
  plural: fn(3, (one, several, count) => (intOf(count) === 1 ? textOf(one) : textOf(several))),
  quote: many(0, (...args) =>
    args
      .filter((arg) => !isNothing(arg))
      .map((arg) => quote(shown(arg)))
      .join(' '),
  ),
  repeat: fn(2, (count, value) => repeat(textOf(value), intOf(count))),
  replace: text(3, (old = '', by = '', value = '') => replaceAll(value, old, by)),
  snakecase: text(1, (value = '') => joinedCase(value, '_')),
  split: text(2, (separator = '', value = '') => numbered(parts(value, separator))),
  splitList: text(2, (separator = '', value = '') => parts(value, separator)),
  splitn: fn(3, (separator, count, value) => numbered(parts(textOf(value), textOf(separator), intOf(count)))),
  squote: many(0, (...args) =>
    args
      .filter((arg) => !isNothing(arg))
      .map((arg) => `'${shown(arg)}'`)
      .join(' '),
  ),
  substr: fn(3, (start, end, value) => substring(textOf(value), intOf(start), intOf(end))),
  swapcase: text(1, (value = '') =>
    value.replace(/\p{L}/gu, (char) => (char === upper(char) ? lower(char) : upper(char))),
  ),
  title: text(1, (value = '') => title(value)),
  toString: fn(1, shown),
  toStrings: fn(1, textsOf),
  trim: text(1, (value = '') => trimSpace(value)),
  trimAll,
  trimall: trimAll,
  trimPrefix: text(2, (prefix = '', value = '') => trimPrefix(value, prefix)),
  trimSuffix: text(2, (suffix = '', value = '') => trimSuffix(value, suffix)),
  trunc: fn(2, (count, value) => truncate(textOf(value), intOf(count))),
  untitle: text(1, (value = '') => value.replace(/(?<!\S)\S/gu, lower)),
  upper: text(1, (value = '') => upper(value)),
  wrap: fn(2, (width, value) => wrap(textOf(value), intOf(width), '\n', false)),
  wrapWith: fn(3, (width, separator, value) => wrap(textOf(value), intOf(width), textOf(separator), true)),
};

/** Go's strings.Split and SplitN: 0 is none, below 0 all. */
function parts(value: string, separator: string, count = -1): string[] {
  const all = separator === '' ? [...value] : value.split(separator);
  if (count < 0 || all.length <= count) return all;
  return count === 0 ? [] : [...all.slice(0, count - 1), all.slice(count - 1).join(separator)];
}

/** Go's strings.Title: a capital behind everything that is no letter, digit or `_`, but outside ASCII only behind space. */
function title(value: string): string {
  let before = ' ';
  return value.replace(/./gsu, (char) => {
    const isStart = /[\x00-\x7f]/.test(before)
      ? /[^A-Za-z0-9_]/.test(before)
      : /[^\p{L}\p{N}]/u.test(before) && /\s/.test(before);
    before = char;
    return isStart ? upper(char) : char;
  });
}

function bytesOf(value: string): Buffer {
  return Buffer.from(value, 'utf8');
}

function abbreviate(value: string, offset: number, width: number): string {
  const bytes = bytesOf(value);
  if (width < 4 || bytes.length <= width) return value;
  const room = width - 3;
  const from = Math.min(offset, bytes.length - room);
  if (from <= 4) return `${bytes.subarray(0, room).toString()}...`;
  if (width < 7) return '';
  if (from + room >= bytes.length) return `...${bytes.subarray(bytes.length - room).toString()}`;
  return `...${abbreviate(bytes.subarray(from).toString(), 0, room)}`;
}

function repeat(value: string, count: number): string {
  if (count < 0) throw new Error('negative Repeat count');
  checkSize(value.length * count, 'text');
  return value.repeat(count);
}

function substring(value: string, start: number, end: number): string {
  const bytes = bytesOf(value);
  const last = start >= 0 && (end < 0 || end > bytes.length) ? bytes.length : end;
  if (last < 0 || last > bytes.length || start > last) throw new Error('slice bounds out of range');
  return bytes.subarray(Math.max(0, start), last).toString();
}

function truncate(value: string, count: number): string {
  const bytes = bytesOf(value);
  if (bytes.length <= Math.abs(count)) return value;
  return (count < 0 ? bytes.subarray(bytes.length + count) : bytes.subarray(0, count)).toString();
}

/** Breaks at blanks; words longer than a line are cut where `cutsWords` is set. */
function wrap(value: string, width: number, separator: string, cutsWords: boolean): string {
  const lineMax = Math.max(1, width);
  const lines: string[] = [];
  let rest = value;
  while (rest.length > lineMax) {
    if (rest.startsWith(' ')) {
      rest = rest.slice(1);
      continue;
    }
    const blank = rest.slice(0, lineMax + 1).lastIndexOf(' ');
    const next = rest.indexOf(' ', lineMax);
    const end = blank >= 0 ? blank : cutsWords ? lineMax : next < 0 ? rest.length : next;
    lines.push(rest.slice(0, end));
    rest = rest.slice(blank < 0 && cutsWords ? end : end + 1);
    if (next < 0 && blank < 0 && !cutsWords) return lines.join(separator || '\n');
  }
  return [...lines, rest].join(separator || '\n');
}
