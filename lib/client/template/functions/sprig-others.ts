import { posix } from 'node:path';
import { fn, kindOf, type TemplateFunction, TextStruct, typeName, type Value } from '../../../template/index.js';
import { findMatch, replaceMatches } from '../../../util/regex/machine.js';
import { intOf, regexEffort, regexOf, sameValue, textOf } from './arguments.js';
import { decode32, decode64, encode32, hash } from './encode.js';
import { jsonText, parseJson } from './json.js';
import { durationText, roundedDuration } from './sprig-time.js';
import { joinUrl, parseUrl } from './sprig-url.js';
import { isFilled, many, text, withMust } from './sprig-values.js';
import { compareVersion, versionOf } from './sprig-version.js';

const base = text(1, (path = '') => (path === '' ? '.' : posix.basename(path) || '/'));
const clean = text(1, (path = '') => cleanPath(path));
const dir = text(1, (path = '') => cleanPath(path.slice(0, path.lastIndexOf('/') + 1)));
const ext = text(1, (path = '') => /\.[^./]*$/.exec(path)?.[0] ?? '');
const isAbs = text(1, (path = '') => path.startsWith('/'));

/** Searches, which take longer than their arguments are long. */
const REGEX: Readonly<Record<string, TemplateFunction>> = {
  regexFind: text(2, (pattern = '', value = '') => matches(pattern, value, 1)[0] ?? ''),
  regexFindAll: fn(3, (pattern, value, count) => matches(textOf(pattern), textOf(value), intOf(count))),
  regexMatch: text(2, (pattern = '', value = '') => findMatch(regexOf(pattern, value), value, 0) !== null),
  regexReplaceAll: text(3, (pattern = '', value = '', by = '') => replaceMatches(regexOf(pattern, value), value, by)),
  regexReplaceAllLiteral: text(3, (pattern = '', value = '', by = '') =>
    replaceMatches(regexOf(pattern, value), value, by.replaceAll('$', '$$$$')),
  ),
  regexSplit: fn(3, (pattern, value, count) => split(textOf(pattern), textOf(value), intOf(count))),
};

/** Sprig's functions over bytes, paths, addresses, patterns, versions and types. */
export const OTHER_FUNCTIONS: Readonly<Record<string, TemplateFunction>> = {
  adler32sum: text(1, (value = '') => adler32(value)),
  all: many(0, (...values) => values.every(isFilled)),
  any: many(0, (...values) => values.some(isFilled)),
  b32dec: text(1, (value = '') => decode32(value)),
  b32enc: text(1, (value = '') => encode32(value)),
  b64dec: text(1, (value = '') => lenient(() => decode64(value, 'base64'), 'illegal base64 data')),
  b64enc: text(1, (value = '') => Buffer.from(value).toString('base64')),
  base,
  clean,
  coalesce: many(0, (...values) => values.find(isFilled) ?? null),
  deepEqual: fn(2, sameValue),
  default: fn([1, 2], (other, value) => (isFilled(value) ? value : other)),
  dir,
  duration: fn(1, durationText),
  durationRound: fn(1, roundedDuration),
  empty: fn(1, (value) => !isFilled(value)),
  ext,
  fail: text(1, (message = '') => {
    throw new Error(message);
  }),
  hello: fn(0, () => 'Hello!'),
  isAbs,
  kindIs: fn(2, (kind, value) => goKind(value) === kind),
  kindOf: fn(1, goKind),
  osBase: base,
  osClean: clean,
  osDir: dir,
  osExt: ext,
  osIsAbs: isAbs,
  regexQuoteMeta: text(1, (value = '') => value.replace(/[\\.+*?()|[\]{}^$]/g, '\\$&')),
  semver: text(1, (value = '') => versionOf(value)),
  semverCompare: text(2, (constraint = '', value = '') => compareVersion(constraint, value)),
  sha1sum: text(1, (value = '') => hash('sha1', value)),
  sha256sum: text(1, (value = '') => hash('sha256', value)),
  sha512sum: text(1, (value = '') => hash('sha512', value)),
  ternary: fn(3, (yes, no, test) => (test === true ? yes : no)),
  typeIs: fn(2, (type, value) => typeName(value) === type),
  typeIsLike: fn(2, (type, value) => typeName(value) === type || typeName(value) === `*${textOf(type)}`),
  typeOf: fn(1, typeName),
  urlJoin: fn(1, joinUrl),
  urlParse: text(1, (value = '') => parseUrl(value)),
  fromJson: text(1, (value = '') => lenient(() => parseJson(value), null)),
  mustFromJson: text(1, (value = '') => parseJson(value)),
  ...withMust({
    ...Object.fromEntries(Object.entries(REGEX).map(([name, of]) => [name, { ...of, effort: regexEffort }])),
    toJson: fn(1, (value) => jsonText(value, { pretty: false, escapeHtml: true })),
    toPrettyJson: fn(1, (value) => jsonText(value, { pretty: true, escapeHtml: true })),
    toRawJson: fn(1, (value) => jsonText(value, { pretty: false, escapeHtml: false })),
  }),
};

/** What comes of it, or another thing where Go's error is passed over. */
function lenient(of: () => Value, other: Value): Value {
  try {
    return of();
  } catch {
    return other;
  }
}

/** Go's path.Clean: without a slash at the end. */
function cleanPath(path: string): string {
  if (path === '') return '.';
  const normal = posix.normalize(path);
  return normal.length > 1 ? normal.replace(/\/$/, '') : normal;
}

function adler32(value: string): string {
  let [a, b] = [1, 0];
  for (const byte of Buffer.from(value)) {
    a = (a + byte) % 65_521;
    b = (b + a) % 65_521;
  }
  return String(b * 65_536 + a);
}

/** Go's reflect.Kind, by name. */
function goKind(value: Value): string {
  if (value instanceof TextStruct) return 'struct';
  const kind = kindOf(value);
  const names: Partial<Record<typeof kind, string>> = {
    nil: 'invalid',
    float: 'float64',
    list: 'slice',
    struct: 'ptr',
  };
  return names[kind] ?? kind;
}

/** Where a pattern is found, as Go's FindAllString has it: an empty match right behind another one is none. */
function places(pattern: string, value: string, count: number): [start: number, end: number][] {
  const regex = regexOf(pattern, value);
  const found: [number, number][] = [];
  let before = -1;
  for (let at = 0; at <= value.length && (count < 0 || found.length < count); ) {
    const match = findMatch(regex, value, at);
    if (!match) break;
    const [start = 0, end = 0] = match;
    if (end > start || start !== before) found.push([start, end]);
    before = end;
    at = end > start ? end : end + ((value.codePointAt(end) ?? 0) > 0xffff ? 2 : 1);
  }
  return found;
}

function matches(pattern: string, value: string, count: number): string[] {
  return places(pattern, value, count).map(([start, end]) => value.slice(start, end));
}

/** Go's Regexp.Split. */
function split(pattern: string, value: string, count: number): string[] {
  if (count === 0) return [];
  if (pattern !== '' && value === '') return [''];
  const parts: string[] = [];
  let [from, end] = [0, 0];
  for (const [start, stop] of places(pattern, value, count)) {
    if (count > 0 && parts.length === count - 1) break;
    end = start;
    if (stop !== 0) parts.push(value.slice(from, end));
    from = stop;
  }
  return end === value.length ? parts : [...parts, value.slice(from)];
}
