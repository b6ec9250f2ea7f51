import { fn, printValue, type TemplateFunction, type Value } from '../../../template/index.js';
import { findMatch, replaceMatches } from '../../../util/regex/machine.js';
import { checkSize, intOf, listOf, regexOf, textOf } from './arguments.js';

/** Functions over texts. What a pipeline hands on comes last. */
export const TEXT_FUNCTIONS: Readonly<Record<string, TemplateFunction>> = {
  contains: fn(2, (item, list) => includes(list, item)),
  indent: fn(2, (spaces, text) => indent(intOf(spaces), textOf(text))),
  join: fn(2, (separator, list) => listOf(list).map(textOf).join(textOf(separator))),
  regexMatch: fn(2, (pattern, text) => findMatch(regexOf(pattern, textOf(text)), textOf(text), 0) !== null),
  regexReplaceAll: fn(3, (pattern, by, text) =>
    replaceMatches(regexOf(pattern, textOf(text)), textOf(text), textOf(by)),
  ),
  replaceAll: fn(3, (old, by, text) => replaceAll(textOf(text), textOf(old), textOf(by))),
  split: fn(2, (separator, text) => split(textOf(text), textOf(separator))),
  splitToMap: fn(3, (pairSeparator, keySeparator, text) =>
    splitToMap(textOf(text), textOf(pairSeparator), textOf(keySeparator)),
  ),
  toLower: fn(1, (text) => textOf(text).toLowerCase()),
  toTitle: fn(1, (text) => toTitle(textOf(text))),
  toUpper: fn(1, (text) => textOf(text).toUpperCase()),
  trim: fn(2, (cut, text) => trim(textOf(text), textOf(cut), true, true)),
  trimPrefix: fn(2, (prefix, text) => trimPrefix(textOf(text), textOf(prefix))),
  trimSpace: fn(1, (text) => textOf(text).trim()),
  trimSuffix: fn(2, (suffix, text) => trimSuffix(textOf(text), textOf(suffix))),
};

function includes(list: Value, item: Value): boolean {
  return typeof list === 'string' ? list.includes(textOf(item)) : listOf(list).includes(item);
}

/** Every line that is not empty gets that many blanks in front. */
function indent(spaces: number, text: string): string {
  if (spaces < 0) throw new Error('indent value must be a positive integer');
  checkSize(spaces * (text.split('\n').length + 1), 'text');
  return text.replace(/^(?=.)/gm, ' '.repeat(spaces));
}

export function replaceAll(text: string, old: string, by: string): string {
  const count = old === '' ? text.length + 1 : text.split(old).length - 1;
  checkSize(text.length + count * by.length, 'text');
  return old === '' ? by + [...text].map((char) => char + by).join('') : text.replaceAll(old, () => by);
}

/** As Go's strings.Split, but nothing comes of an empty text. */
function split(text: string, separator: string): string[] {
  if (text === '') return [];
  return separator === '' ? [...text] : text.split(separator);
}

function splitToMap(text: string, pairSeparator: string, keySeparator: string): Map<string, Value> {
  const pairs = split(text, pairSeparator).map((pair): [string, Value] => {
    const at = pair.indexOf(keySeparator);
    return at < 0 ? [pair, ''] : [pair.slice(0, at), pair.slice(at + keySeparator.length)];
  });
  return new Map(pairs);
}

/** The first letter of each word is a capital. */
export function toTitle(text: string): string {
  return text.replace(
    /(^|[^\p{L}\p{N}_'])(\p{L})/gu,
    (_, before: string, letter: string) => before + letter.toUpperCase(),
  );
}

/** Takes the characters of `cut` off the ends. */
export function trim(text: string, cut: string, left: boolean, right: boolean): string {
  const [chars, set] = [[...text], new Set(cut)];
  let [from, to] = [0, chars.length];
  while (left && from < to && set.has(chars[from] as string)) from++;
  while (right && to > from && set.has(chars[to - 1] as string)) to--;
  return chars.slice(from, to).join('');
}

export function trimPrefix(text: string, prefix: string): string {
  return text.startsWith(prefix) ? text.slice(prefix.length) : text;
}

export function trimSuffix(text: string, suffix: string): string {
  return suffix !== '' && text.endsWith(suffix) ? text.slice(0, -suffix.length) : text;
}

/** A value as Go's fmt.Sprint shows it; nothing for nil. */
export function shown(value: Value): string {
  return value === null || value === undefined ? '' : printValue(value);
}
