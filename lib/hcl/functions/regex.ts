import { err, ok, type Result } from '../../util/result.js';
import type { CallResult, HclFunction } from '../context.js';
import { DYNAMIC, listOf, STRING } from '../types.js';
import { listValue, nullValue, objectValue, stringValue, tupleValue, typeOf, type Value } from '../values.js';
import { define, refuse, text, textOf } from './define.js';

/**
 * JavaScript's expressions go back and try again where Go's do not: a hostile pattern could take for ever. What a job
 * file needs is far below these.
 */
const PATTERN_LENGTH_MAX = 1000;
const SUBJECT_LENGTH_MAX = 200_000;

const CLASSES: Record<string, string> = {
  alnum: '0-9A-Za-z',
  alpha: 'A-Za-z',
  ascii: '\\x00-\\x7F',
  blank: '\\t ',
  cntrl: '\\x00-\\x1F\\x7F',
  digit: '0-9',
  graph: '!-~',
  lower: 'a-z',
  print: ' -~',
  punct: '!-\\/:-@\\[-`{-~',
  space: '\\t\\n\\v\\f\\r ',
  upper: 'A-Z',
  word: '0-9A-Za-z_',
  xdigit: '0-9A-Fa-f',
};

/** A pattern of Go's syntax as one of JavaScript's: leading flags, named groups, POSIX classes, \A and \z. */
function goRegex(pattern: string, flags: string): Result<RegExp, string> {
  if (pattern.length > PATTERN_LENGTH_MAX) return err(`the pattern is longer than ${PATTERN_LENGTH_MAX} characters`);
  if (/\(\?(?:=|!|<=|<!)/.test(pattern)) return err('look-around groups like (?=…) are not supported');
  const leading = /^\(\?([imsU]+)\)/.exec(pattern);
  const own = leading?.[1] ?? '';
  if (own.includes('U')) return err('the flag U is not supported');
  const body = pattern
    .slice(leading?.[0].length ?? 0)
    .replaceAll('(?P<', '(?<')
    .replace(/\[:(\w+):\]/g, (whole, name: string) => CLASSES[name] ?? whole)
    .replace(/\\A/g, '(?<![\\s\\S])')
    .replace(/\\z/g, '(?![\\s\\S])');
  const all = [...new Set(`${flags}${own}`)].join('');
  try {
    return ok(new RegExp(body, `${all}u`));
  } catch {
    // With the u flag, escapes such as \- or \_ are errors that Go lets pass.
    try {
      return ok(new RegExp(body, all));
    } catch (cause) {
      return err(`invalid regexp pattern: ${(cause as Error).message}`);
    }
  }
}

/** The match as text, or the groups as a tuple or (when they have names) an object. */
function matched(match: RegExpExecArray | RegExpMatchArray): Value {
  const textOrNull = (group: string | undefined): Value =>
    group === undefined ? nullValue(STRING) : stringValue(group);
  if (match.groups)
    return objectValue(Object.entries(match.groups).map(([name, group]) => [name, textOrNull(group)] as const));
  if (match.length > 1) return tupleValue(match.slice(1).map(textOrNull));
  return stringValue(match[0] as string);
}

function withRegex(pattern: string, subject: string, flags: string, use: (regex: RegExp) => CallResult): CallResult {
  if (subject.length > SUBJECT_LENGTH_MAX) return refuse(`the text is longer than ${SUBJECT_LENGTH_MAX} characters`);
  const regex = goRegex(pattern, flags);
  return regex.ok ? use(regex.value) : refuse(regex.error, 0);
}

/** Go writes `$1`, `${1}`, `${name}`; so does JavaScript, except for the braces. */
function replacementOf(template: string): (match: string, ...groups: unknown[]) => string {
  return (_match, ...rest) => {
    const named = rest.at(-1);
    const names = (typeof named === 'object' ? named : {}) as Record<string, string | undefined>;
    const groups = [_match, ...rest];
    return template.replace(/\$\$|\$\{(\w+)\}|\$(\w+)/g, (whole, braced?: string, plain?: string) => {
      if (whole === '$$') return '$';
      const name = braced ?? plain ?? '';
      const group = /^\d+$/.test(name) ? groups[Number(name)] : names[name];
      return typeof group === 'string' ? group : '';
    });
  };
}

/** The functions over patterns. */
export const REGEX_FUNCTIONS: Record<string, HclFunction> = {
  regex: define([text('pattern'), text('string')], DYNAMIC, ([pattern, subject]) =>
    withRegex(textOf(pattern), textOf(subject), '', (regex) => {
      const match = regex.exec(textOf(subject));
      return match ? ok(matched(match)) : refuse('pattern did not match any part of the given string');
    }),
  ),
  regexall: define([text('pattern'), text('string')], listOf(DYNAMIC), ([pattern, subject]) =>
    withRegex(textOf(pattern), textOf(subject), 'g', (regex) => {
      const matches = [...textOf(subject).matchAll(regex)].map(matched);
      return ok(listValue(matches[0] ? typeOf(matches[0]) : STRING, matches));
    }),
  ),
  regex_replace: define([text('string'), text('pattern'), text('replacement')], STRING, ([subject, pattern, by]) =>
    withRegex(textOf(pattern), textOf(subject), 'g', (regex) =>
      ok(stringValue(textOf(subject).replace(regex, replacementOf(textOf(by))))),
    ),
  ),
  replace: define([text('str'), text('substr'), text('replace')], STRING, ([subject, part, by]) => {
    const sought = textOf(part);
    const slashes = sought.length > 1 && sought.startsWith('/') && sought.endsWith('/');
    if (!slashes) return ok(stringValue(textOf(subject).split(sought).join(textOf(by))));
    return withRegex(sought.slice(1, -1), textOf(subject), 'g', (regex) =>
      ok(stringValue(textOf(subject).replace(regex, replacementOf(textOf(by))))),
    );
  }),
};
