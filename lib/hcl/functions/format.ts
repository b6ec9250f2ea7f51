import { err, ok, type Result } from '../../util/result.js';
import type { CallFailure, CallResult, HclFunction } from '../context.js';
import { convert } from '../convert.js';
import { graphemes } from '../graphemes.js';
import { isInteger, truncate } from '../number.js';
import { BOOL, listOf, NUMBER, STRING, type Type } from '../types.js';
import { listValue, stringValue, type Value } from '../values.js';
import { any, define, itemsOf, refuse, text, textOf } from './define.js';
import { jsonEncode, jsonString } from './json.js';
import { formatDecimal, signed } from './number-format.js';

const VERB = /%(?:%|([-+# 0]*)([1-9][0-9]*)?(\.[0-9]*)?(?:\[([1-9][0-9]*)\])?([A-Za-z]))/y;
const VERB_START = /%[-+# 0]*(?:[1-9][0-9]*)?(?:\.[0-9]*)?(?:\[(?:[1-9][0-9]*\]?)?)?/y;
const WIDTH_MAX = 10_000;
const PRECISION_MAX = 1000;

/** One verb of a format string, such as `%-5.2[1]f`. */
export interface Verb {
  readonly text: string;
  readonly flags: string;
  /** 0: none. */
  readonly width: number;
  readonly precision: number | null;
  readonly mode: string;
}

type Formatted = Result<string, CallFailure>;

const failed = (message: string): Formatted => err({ message });

/**
 * Go's Printf over values: %v %#v %t %b %d %o %x %X %e %E %f %g %G %s %q %%, flags, width, precision, %[n]d. The
 * argument of a failure counts the values only.
 */
function formatText(template: string, args: readonly Value[]): Formatted {
  let result = '';
  let next = 1;
  let used = 0;
  for (let at = 0; at < template.length; ) {
    const percent = template.indexOf('%', at);
    result += template.slice(at, percent < 0 ? undefined : percent);
    if (percent < 0) break;
    VERB.lastIndex = percent;
    const match = VERB.exec(template);
    if (!match) return failed(brokenVerb(template, percent));
    at = VERB.lastIndex;
    const [whole, flags = '', width = '0', precision, index, mode] = match;
    if (mode === undefined) {
      result += '%';
      continue;
    }
    const number = index === undefined ? next : Number(index);
    next = number + 1;
    used = Math.max(used, number);
    const verb: Verb = {
      text: whole,
      flags,
      width: Number(width),
      precision: precision === undefined ? null : Number(precision.slice(1)),
      mode,
    };
    const formatted = formatAt(verb, byteOffset(template, percent), args, number);
    if (!formatted.ok) return formatted;
    result += formatted.value;
  }
  if (used >= args.length) return ok(result);
  const why = used === 0 ? 'no verbs in format string' : `only ${used} used by format string`;
  return err({ message: `too many arguments; ${why}`, argument: used });
}

function byteOffset(template: string, index: number): number {
  return new TextEncoder().encode(template.slice(0, index)).length;
}

function brokenVerb(template: string, percent: number): string {
  VERB_START.lastIndex = percent;
  VERB_START.exec(template);
  const offset = byteOffset(template, VERB_START.lastIndex);
  const next = template.codePointAt(VERB_START.lastIndex);
  return next === undefined
    ? `invalid format string starting at offset ${offset}`
    : `unrecognized format character '${String.fromCodePoint(next)}' at offset ${offset}`;
}

function formatAt(verb: Verb, offset: number, args: readonly Value[], number: number): Formatted {
  const quoted = JSON.stringify(verb.text);
  const value = args[number - 1];
  if (!value)
    return failed(
      `not enough arguments for ${quoted} at ${offset}: need index ${number} but have ${args.length} total`,
    );
  if (verb.width > WIDTH_MAX || (verb.precision ?? 0) > PRECISION_MAX)
    return failed(`the width or precision of ${quoted} at ${offset} is too large`);
  const refused = (why: string): Formatted => failed(`unsupported value for ${quoted} at ${offset}: ${why}`);
  if (verb.mode !== 'v' && value.kind === 'null') return refused('null value cannot be formatted');
  const as = (type: Type, format: (converted: Value) => Result<string, string>): Formatted => {
    const converted = convert(value, type);
    if (!converted.ok) return refused(converted.error.message);
    const formatted = format(converted.value);
    return formatted.ok ? formatted : refused(formatted.error);
  };
  switch (verb.mode) {
    case 'v':
      return ok(padText(verb, asIs(verb, value)));
    case 't':
      return as(BOOL, (converted) => ok(jsonEncode(converted)));
    case 'b':
    case 'd':
    case 'o':
    case 'x':
    case 'X':
      return as(NUMBER, (converted) => formatInteger(verb, converted));
    case 'e':
    case 'E':
    case 'f':
    case 'g':
    case 'G':
      return as(NUMBER, (converted) =>
        ok(converted.kind === 'number' ? padNumber(verb, formatDecimal(converted.value, verb)) : ''),
      );
    case 's':
    case 'q':
      return as(STRING, (converted) => ok(padText(verb, formatString(verb, converted))));
    default:
      return failed(`unsupported format verb '${verb.mode}' in ${quoted} at offset ${offset}`);
  }
}

function asIs(verb: Verb, value: Value): string {
  if (verb.flags.includes('#')) return jsonEncode(value);
  if (value.kind === 'string') return value.value;
  if (value.kind === 'number') return formatDecimal(value.value, { mode: 'g', precision: null, flags: '' });
  return jsonEncode(value);
}

/** By graphemes; with the flag 0 even a text is filled with zeros. */
function padText({ flags, width }: Verb, body: string): string {
  const missing = width - graphemes(body).length;
  if (missing <= 0) return body;
  const filling = (flags.includes('0') ? '0' : ' ').repeat(missing);
  return flags.includes('-') ? body + filling : filling + body;
}

/** Zeros go behind the sign. */
function padNumber({ flags, width }: Verb, body: string): string {
  const missing = width - body.length;
  if (missing <= 0) return body;
  if (flags.includes('-')) return body + ' '.repeat(missing);
  if (!flags.includes('0')) return ' '.repeat(missing) + body;
  const sign = /^[-+ ]?/.exec(body)?.[0] ?? '';
  return sign + '0'.repeat(missing) + body.slice(sign.length);
}

const BASES: Record<string, number> = { b: 2, d: 10, o: 8, x: 16, X: 16 };
const PREFIXES: Record<string, string> = { b: '0b', d: '', o: '0', x: '0x', X: '0X' };

function formatInteger(verb: Verb, value: Value): Result<string, string> {
  if (value.kind !== 'number' || !isInteger(value.value)) return err('an integer is required');
  const { flags, mode, precision, width } = verb;
  const whole = truncate(value.value);
  const sign = signed(flags, whole < 0n);
  const prefix = flags.includes('#') ? (PREFIXES[mode] ?? '') : '';
  let digits = (whole < 0n ? -whole : whole).toString(BASES[mode] ?? 10);
  if (mode === 'X') digits = digits.toUpperCase();
  if (precision === 0 && digits === '0') return ok('');
  if (precision !== null) digits = digits.padStart(precision, '0');
  else if (flags.includes('0') && !flags.includes('-'))
    digits = digits.padStart(width - sign.length - prefix.length, '0');
  const body = sign + prefix + digits;
  return ok(flags.includes('-') ? body.padEnd(width) : body.padStart(width));
}

function formatString({ precision, mode }: Verb, value: Value): string {
  const whole = value.kind === 'string' ? value.value : '';
  // A precision of zero is none.
  const cut = precision ? graphemes(whole).slice(0, precision).join('') : whole;
  return mode === 'q' ? jsonString(cut) : cut;
}

const TEXT_LENGTH_MAX = 10_000_000;

/** One text for each position of the lists among the arguments; single values go with each of them. */
function formatList(template: string, args: readonly Value[]): CallResult {
  let length: number | null = null;
  let chooser = 0;
  for (const [i, argument] of args.entries()) {
    const items = itemsOf(argument);
    if (!items) continue;
    if (length !== null && length !== items.length) {
      const lengths = `argument ${i + 1} has length ${items.length}, which is inconsistent with argument ${chooser}`;
      return refuse(`${lengths} of length ${length}`, i + 1);
    }
    if (length === null) chooser = i + 1;
    length = items.length;
  }
  const texts: Value[] = [];
  let size = 0;
  for (let row = 0; row < (length ?? 1); row++) {
    const formatted = formatText(
      template,
      args.map((argument) => itemsOf(argument)?.[row] ?? argument),
    );
    if (!formatted.ok && args.length === 0) return refuse(formatted.error.message);
    if (!formatted.ok) return refuse(`error on format iteration ${row}: ${formatted.error.message}`);
    size += formatted.value.length;
    if (size > TEXT_LENGTH_MAX) return refuse('the result would be too long');
    texts.push(stringValue(formatted.value));
  }
  return ok(listValue(STRING, texts));
}

/** `format` and `formatlist`. */
export const FORMAT_FUNCTIONS: Record<string, HclFunction> = {
  format: define(
    [text('format')],
    STRING,
    ([template, ...args]) => {
      const formatted = formatText(textOf(template), args);
      if (formatted.ok) return ok(stringValue(formatted.value));
      const { message, argument } = formatted.error;
      return refuse(message, argument === undefined ? undefined : argument + 1);
    },
    any('args', true),
  ),
  formatlist: define(
    [text('format')],
    listOf(STRING),
    ([template, ...args]) => formatList(textOf(template), args),
    any('args', true),
  ),
};
