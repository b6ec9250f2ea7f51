import { ok } from '../../util/result.js';
import type { CallResult, HclFunction } from '../context.js';
import { graphemes } from '../graphemes.js';
import { listOf, NUMBER, STRING } from '../types.js';
import { compareStrings, numberValue, stringValue } from '../values.js';
import {
  define,
  integerOf,
  listOfTexts,
  NOT_WHOLE,
  number,
  onText,
  refuse,
  text,
  textOf,
  texts,
  textsOf,
} from './define.js';

/** Letter by letter, as Go does it: a letter whose other case is several letters (ß) stays. */
function eachLetter(value: string, change: (letter: string) => string): string {
  if (/^[\0-\x7f]*$/.test(value)) return change(value);
  let changed = '';
  for (const letter of value) {
    const other = [...change(letter)];
    // U+0130 is the one whose lower case is two code points here and its first one there.
    changed += other.length === 1 || letter === '\u0130' ? other[0] : letter;
  }
  return changed;
}

const upper = (value: string): string => eachLetter(value, (letter) => letter.toUpperCase());
const lower = (value: string): string => eachLetter(value, (letter) => letter.toLowerCase());

/** What ends a word for Go's strings.Title: of ASCII all but letters, digits and _, beyond it only space. */
const WORD_END = /[\0-/:-@[-^`{-\x7f\u0085\u00a0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000]/;

function title(value: string): string {
  let before = ' ';
  let changed = '';
  for (const letter of value) {
    changed += WORD_END.test(before) ? upper(letter) : letter;
    before = letter;
  }
  return changed;
}

/** Of graphemes. An offset below zero counts from the end; a length below zero means: all that follow. */
function substr(value: string, offset: number, length: number): string {
  if (offset >= 0 && length === 0) return '';
  const clusters = graphemes(value);
  const from = Math.max(0, offset < 0 ? clusters.length + offset : offset);
  // A length of 0 behind a negative offset is no limit: so it is there.
  return clusters.slice(from, length <= 0 ? undefined : from + length).join('');
}

/** Takes the characters of a set off both ends. */
function trimSet(value: string, set: string): string {
  const characters = new Set(set);
  const all = [...value];
  let from = 0;
  let to = all.length;
  while (from < to && characters.has(all[from] as string)) from++;
  while (to > from && characters.has(all[to - 1] as string)) to--;
  return all.slice(from, to).join('');
}

const SPACE = '[\\t-\\r \\u0085\\u00a0\\u1680\\u2000-\\u200a\\u2028\\u2029\\u202f\\u205f\\u3000]+';
const SPACE_AHEAD = new RegExp(`^${SPACE}`);
const SPACES = new RegExp(SPACE);

/** From behind by hand: a pattern with $ would look at each run of spaces to its end. */
function trimSpace(value: string): string {
  const start = SPACE_AHEAD.exec(value)?.[0].length ?? 0;
  let end = value.length;
  while (end > start && SPACES.test(value.charAt(end - 1))) end--;
  return value.slice(start, end);
}

function chomp(value: string): string {
  let end = value.length;
  while (end > 0 && (value.charAt(end - 1) === '\n' || value.charAt(end - 1) === '\r')) end--;
  return value.slice(0, end);
}

const REPEAT_MAX = 10_000_000;

function indent(spaces: number | null, value: string): CallResult {
  if (spaces === null) return refuse(NOT_WHOLE);
  if (spaces < 0) return refuse('the number of spaces must not be negative', 0);
  if (value.split('\n').length * spaces > REPEAT_MAX) return refuse('the result would be too long');
  return ok(stringValue(value.replaceAll('\n', `\n${' '.repeat(spaces)}`)));
}

function join([separator, ...lists]: Parameters<HclFunctionCall>[0]): CallResult {
  if (lists.length === 0) return refuse('at least one list is required');
  const all: string[] = [];
  for (const [i, list] of lists.entries()) {
    for (const [at, item] of textsOf(list).entries()) {
      const where = lists.length > 1 ? `element ${at} of list ${i + 1}` : `element ${at}`;
      if (item === null) return refuse(`${where} is null; cannot concatenate null values`, i + 1);
      all.push(item);
    }
  }
  return ok(stringValue(all.join(textOf(separator))));
}

type HclFunctionCall = (HclFunction & { readonly kind: 'values' })['call'];

function sort([list]: Parameters<HclFunctionCall>[0]): CallResult {
  const items = textsOf(list);
  const missing = items.indexOf(null);
  if (missing >= 0) return refuse(`given list element ${missing} is null; a null string cannot be sorted`);
  return listOfTexts((items as string[]).sort(compareStrings));
}

/** At every place where the part occurs; the empty part occurs before each character and at the end. */
function replaceAll(value: string, part: string, by: string): string {
  return part === '' ? ['', ...value, ''].join(by) : value.split(part).join(by);
}

const reverse = onText((value) => graphemes(value).reverse().join(''));

/** The functions over text, except for those with patterns and formats. */
export const STRING_FUNCTIONS: Record<string, HclFunction> = {
  upper: onText(upper),
  lower: onText(lower),
  title: onText(title),
  strrev: reverse,
  reverse,
  chomp: onText(chomp),
  trimspace: onText(trimSpace),
  strlen: define([text('str')], NUMBER, ([value]) => ok(numberValue(graphemes(textOf(value)).length))),
  indent: define([number('spaces'), text('str')], STRING, ([spaces, value]) =>
    indent(integerOf(spaces), textOf(value)),
  ),
  trim: define([text('str'), text('cutset')], STRING, ([value, set]) =>
    ok(stringValue(trimSet(textOf(value), textOf(set)))),
  ),
  trimprefix: define([text('str'), text('prefix')], STRING, ([value, prefix]) => {
    const [all, start] = [textOf(value), textOf(prefix)];
    return ok(stringValue(all.startsWith(start) ? all.slice(start.length) : all));
  }),
  trimsuffix: define([text('str'), text('suffix')], STRING, ([value, suffix]) => {
    const [all, end] = [textOf(value), textOf(suffix)];
    return ok(stringValue(end !== '' && all.endsWith(end) ? all.slice(0, -end.length) : all));
  }),
  substr: define([text('str'), number('offset'), number('length')], STRING, ([value, offset, length]) => {
    const [from, count] = [integerOf(offset), integerOf(length)];
    if (from === null || count === null) return refuse(NOT_WHOLE);
    return ok(stringValue(substr(textOf(value), from, count)));
  }),
  split: define([text('separator'), text('str')], listOf(STRING), ([separator, value]) => {
    const [by, all] = [textOf(separator), textOf(value)];
    return listOfTexts(by === '' ? [...all] : all.split(by));
  }),
  join: define([text('separator')], STRING, join, texts('lists')),
  sort: define([texts('list')], listOf(STRING), sort),
  replace: define([text('str'), text('substr'), text('replace')], STRING, ([value, part, by]) =>
    ok(stringValue(replaceAll(textOf(value), textOf(part), textOf(by)))),
  ),
};
