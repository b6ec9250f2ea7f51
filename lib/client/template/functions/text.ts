import { fn, type TemplateFunction, TypedMap, type Value } from '../../../template/index.js';
import { findMatch, replaceMatches } from '../../../util/regex/machine.js';
import { checkSize, intOf, listOf, regexEffort, regexOf, textOf } from './arguments.js';

/** Functions over texts. What a pipeline hands on comes last. */
export const TEXT_FUNCTIONS: Readonly<Record<string, TemplateFunction>> = {
  indent: fn(2, (spaces, text) => indent(intOf(spaces), textOf(text))),
  join: fn(2, (separator, list) => listOf(list).map(textOf).join(textOf(separator))),
  regexMatch: {
    ...fn(2, (pattern, text) => findMatch(regexOf(pattern, textOf(text)), textOf(text), 0) !== null),
    effort: regexEffort,
  },
  regexReplaceAll: {
    ...fn(3, (pattern, by, text) => replaceMatches(regexOf(pattern, textOf(text)), textOf(text), textOf(by))),
    effort: regexEffort,
  },
  replaceAll: fn(3, (old, by, text) => replaceAll(textOf(text), textOf(old), textOf(by))),
  split: fn(2, (separator, text) => split(textOf(text), textOf(separator))),
  splitToMap: fn(3, (pairSeparator, keySeparator, text) =>
    splitToMap(textOf(text), textOf(pairSeparator), textOf(keySeparator)),
  ),
  toLower: fn(1, (text) => lower(textOf(text))),
  toTitle: fn(1, (text) => toTitle(textOf(text))),
  toUpper: fn(1, (text) => upper(textOf(text))),
  trim: fn(2, (cut, text) => trim(textOf(text), textOf(cut), true, true)),
  trimPrefix: fn(2, (prefix, text) => trimPrefix(textOf(text), textOf(prefix))),
  trimSpace: fn(1, (text) => trimSpace(textOf(text))),
  trimSuffix: fn(2, (suffix, text) => trimSuffix(textOf(text), textOf(suffix))),
};

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

/** As Go's strings.Split, but without the space around, and nothing comes of an empty text. */
function split(padded: string, separator: string): string[] {
  const text = trimSpace(padded);
  if (text === '') return [];
  return separator === '' ? [...text] : text.split(separator);
}

/** What has no key is left out. */
function splitToMap(text: string, pairSeparator: string, keySeparator: string): TypedMap {
  const pairs = split(text, pairSeparator).flatMap((pair): [string, Value][] => {
    const at = pair.indexOf(keySeparator);
    return at < 0 ? [] : [[pair.slice(0, at), pair.slice(at + keySeparator.length)]];
  });
  return new TypedMap('map[string]string', pairs, { zero: '' });
}

/** Without the space around, as Unicode has it: a byte order mark is none. */
export function trimSpace(text: string): string {
  let [from, to] = [0, text.length];
  while (from < to && isSpace(text.charAt(from))) from++;
  while (to > from && isSpace(text.charAt(to - 1))) to--;
  return text.slice(from, to);
}

function isSpace(char: string): boolean {
  return /[\s\u0085]/.test(char) && char !== '\ufeff';
}

/** In capitals, letter by letter: what has no capital of one letter (ß) stays. */
export function upper(text: string): string {
  return text
    .replace(/[^\x00-\x7f]/gu, (char) => (oneLetter(char.toUpperCase()) ? char.toUpperCase() : char))
    .replace(/[a-z]+/g, (part) => part.toUpperCase());
}

/** In small letters, letter by letter. */
export function lower(text: string): string {
  return text
    .replace(/[^\x00-\x7f]/gu, (char) => (oneLetter(char.toLowerCase()) ? char.toLowerCase() : char))
    .replace(/[A-Z]+/g, (part) => part.toLowerCase());
}

function oneLetter(text: string): boolean {
  return [...text].length === 1;
}

/** The first letter of each word is a capital; letters joined by `'`, `.`, `:` or `_` are one word, as Unicode has it. */
function toTitle(text: string): string {
  return text.replace(/[\p{L}\p{N}\p{M}_]+(?:['.:\u00b7\u2019](?=\p{L})[\p{L}\p{N}\p{M}_]+)*/gu, (word) =>
    word.replace(/\p{L}/u, upper),
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
