import { ok } from '../../util/result.js';
import type { CallResult, HclFunction } from '../context.js';
import { graphemes } from '../graphemes.js';
import { BOOL, listOf, NUMBER, STRING } from '../types.js';
import { boolValue, listValue, numberValue, stringValue } from '../values.js';
import { define, integerOf, listOfTexts, number, refuse, text, textOf, texts, textsOf } from './define.js';

function onText(change: (value: string) => string): HclFunction {
  return define([text('str')], STRING, ([value]) => ok(stringValue(change(textOf(value)))));
}

function substr(value: string, offset: number, length: number): string {
  const clusters = graphemes(value);
  const from = offset < 0 ? Math.max(0, clusters.length + offset) : offset;
  return clusters.slice(from, length < 0 ? undefined : from + length).join('');
}

/** Each word's first letter in upper case, as Go's strings.Title finds words. */
function title(value: string): string {
  return value.replace(
    /(^|[^\p{L}\p{N}_'’])(\p{L})/gu,
    (_, before: string, letter: string) => before + letter.toUpperCase(),
  );
}

function indent(spaces: number, value: string): string {
  return value.replaceAll('\n', `\n${' '.repeat(spaces)}`);
}

/** Takes the characters of a set off an end; with the pattern of one end, the other stays. */
function trimSet(value: string, set: string, ends: 'start' | 'end' | 'both'): string {
  const characters = new Set(set);
  const all = [...value];
  let from = 0;
  let to = all.length;
  if (ends !== 'end') while (from < to && characters.has(all[from] as string)) from++;
  if (ends !== 'start') while (to > from && characters.has(all[to - 1] as string)) to--;
  return all.slice(from, to).join('');
}

const REPEAT_MAX = 1_000_000;

function indentCall(spaces: number | null, value: string): CallResult {
  if (spaces === null || spaces < 0 || spaces > 1000) return refuse('a whole number from 0 to 1000 is required', 0);
  const lines = value.split('\n').length;
  if (lines * spaces > REPEAT_MAX) return refuse('the result would be too long');
  return ok(stringValue(indent(spaces, value)));
}

/** The functions over text, except for those with patterns and formats. */
export const STRING_FUNCTIONS: Record<string, HclFunction> = {
  upper: onText((value) => value.toUpperCase()),
  lower: onText((value) => value.toLowerCase()),
  title: onText(title),
  strrev: onText((value) => graphemes(value).reverse().join('')),
  chomp: onText((value) => value.replace(/(?:\r\n|[\r\n])+$/, '')),
  trimspace: onText((value) => value.trim()),
  strlen: define([text('str')], NUMBER, ([value]) => ok(numberValue(graphemes(textOf(value)).length))),
  indent: define([number('spaces'), text('str')], STRING, ([spaces, value]) =>
    indentCall(integerOf(spaces), textOf(value)),
  ),
  trim: define([text('str'), text('cutset')], STRING, ([value, set]) =>
    ok(stringValue(trimSet(textOf(value), textOf(set), 'both'))),
  ),
  trimprefix: define([text('str'), text('prefix')], STRING, ([value, prefix]) => {
    const [all, start] = [textOf(value), textOf(prefix)];
    return ok(stringValue(all.startsWith(start) ? all.slice(start.length) : all));
  }),
  trimsuffix: define([text('str'), text('suffix')], STRING, ([value, suffix]) => {
    const [all, end] = [textOf(value), textOf(suffix)];
    return ok(stringValue(end !== '' && all.endsWith(end) ? all.slice(0, -end.length) : all));
  }),
  startswith: define([text('str'), text('prefix')], BOOL, ([value, prefix]) =>
    ok(boolValue(textOf(value).startsWith(textOf(prefix)))),
  ),
  endswith: define([text('str'), text('suffix')], BOOL, ([value, suffix]) =>
    ok(boolValue(textOf(value).endsWith(textOf(suffix)))),
  ),
  strcontains: define([text('str'), text('substr')], BOOL, ([value, part]) =>
    ok(boolValue(textOf(value).includes(textOf(part)))),
  ),
  substr: define([text('str'), number('offset'), number('length')], STRING, ([value, offset, length]) => {
    const [from, count] = [integerOf(offset), integerOf(length)];
    if (from === null) return refuse('a whole number is required', 1);
    if (count === null) return refuse('a whole number is required', 2);
    return ok(stringValue(substr(textOf(value), from, count)));
  }),
  split: define([text('separator'), text('str')], listOf(STRING), ([separator, value]) => {
    const all = textOf(value);
    if (all === '') return ok(listValue(STRING, [stringValue('')]));
    return listOfTexts(all.split(textOf(separator)).map(stringValue));
  }),
  join: define(
    [text('separator')],
    STRING,
    ([separator, ...lists]) => {
      if (lists.length === 0) return refuse('at least one list is required');
      return ok(stringValue(lists.flatMap(textsOf).join(textOf(separator))));
    },
    texts('lists'),
  ),
  sort: define([texts('list')], listOf(STRING), ([list]) => listOfTexts(sorted(textsOf(list)).map(stringValue))),
};

function sorted(items: string[]): string[] {
  return items.sort((a, b) => (a < b ? -1 : a > b ? 1 : 0));
}
