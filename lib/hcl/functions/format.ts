import { err, ok, type Result } from '../../util/result.js';
import type { CallResult, HclFunction } from '../context.js';
import { convert } from '../convert.js';
import { bigFloatToString, isInteger, toDouble, truncate } from '../number.js';
import { BOOL, DYNAMIC, listOf, NUMBER, STRING, type Type } from '../types.js';
import { listValue, stringValue, type Value } from '../values.js';
import { any, define, itemsOf, refuse, text, textOf } from './define.js';
import { jsonEncode } from './encoding.js';

const VERB = /%(?<flags>[-+# 0]*)(?<width>\d+)?(?:\.(?<precision>\d*))?(?:\[(?<index>\d+)\])?(?<verb>[\s\S]?)/g;
const WIDTH_MAX = 10_000;

interface Verb {
  readonly text: string;
  readonly flags: string;
  readonly width: number;
  readonly precision: number | null;
  readonly verb: string;
}

type Formatted = Result<string, string>;

/** Go's Printf over values: %v %#v %t %b %d %o %x %X %e %E %f %g %G %s %q %%, flags, width, precision, %[n]d. */
function formatText(template: string, args: readonly Value[]): Formatted {
  let next = 0;
  let used = 0;
  let failure: string | null = null;
  const result = template.replace(VERB, (whole, ...rest) => {
    const groups = rest.at(-1) as Record<string, string | undefined>;
    if (whole === '%%' || failure !== null) return '%';
    const verb = verbOf(whole, groups);
    if (groups['index'] !== undefined) next = Number(groups['index']) - 1;
    const at = next++;
    used = Math.max(used, next);
    const formatted = formatAt(verb, args, at);
    if (!formatted.ok) failure = formatted.error;
    return formatted.ok ? formatted.value : '';
  });
  if (failure !== null) return err(failure);
  if (used >= args.length || /%\[/.test(template)) return ok(result);
  return err(
    used === 0
      ? 'too many arguments; no verbs in format string'
      : `too many arguments; only ${used} used by format string`,
  );
}

function verbOf(whole: string, { flags = '', width, precision, verb = '' }: Record<string, string | undefined>): Verb {
  return {
    text: whole,
    flags,
    width: Math.min(WIDTH_MAX, Number(width ?? 0)),
    precision: precision === undefined ? null : Math.min(100, Number(precision)),
    verb,
  };
}

function formatAt(verb: Verb, args: readonly Value[], at: number): Formatted {
  if (verb.verb === '') return err('unrecognized format sequence at the end of the format string');
  const value = args[at];
  if (!value) return err(`not enough arguments for "${verb.text}": need index ${at} but have ${args.length} total`);
  const body = formatVerb(verb, value);
  if (!body.ok) return err(`unsupported value for "${verb.text}" at ${at}: ${body.error}`);
  return ok(pad(verb, body.value));
}

function pad({ flags, width, verb }: Verb, body: string): string {
  const missing = width - [...body].length;
  if (missing <= 0) return body;
  if (flags.includes('-')) return body + ' '.repeat(missing);
  const sign = /^[+-]/.exec(body)?.[0] ?? '';
  if (flags.includes('0') && !'sqv'.includes(verb)) return sign + '0'.repeat(missing) + body.slice(sign.length);
  return ' '.repeat(missing) + body;
}

function formatVerb(verb: Verb, value: Value): Formatted {
  switch (verb.verb) {
    case 'v':
      if (verb.flags.includes('#')) return ok(jsonEncode(value));
      return ok(plain(value));
    case 't':
      return as(value, BOOL, (converted) => ok(plain(converted)));
    case 'b':
    case 'd':
    case 'o':
    case 'x':
    case 'X':
      return as(value, NUMBER, (converted) => formatInteger(verb, converted));
    case 'e':
    case 'E':
    case 'f':
    case 'F':
    case 'g':
    case 'G':
      return as(value, NUMBER, (converted) => formatFloat(verb, converted));
    case 's':
    case 'q':
      return as(value, STRING, (converted) => formatString(verb, converted));
    default:
      return err(`unsupported format verb "${verb.verb}"`);
  }
}

function as(value: Value, type: Type, format: (converted: Value) => Formatted): Formatted {
  if (value.kind === 'null') return err('null value cannot be formatted');
  const converted = convert(value, type);
  return converted.ok ? format(converted.value) : err(converted.error.message);
}

function plain(value: Value): string {
  return value.kind === 'string' ? value.value : jsonEncode(value);
}

function signed({ flags }: Verb, body: string): string {
  if (body.startsWith('-')) return body;
  return flags.includes('+') ? `+${body}` : flags.includes(' ') ? ` ${body}` : body;
}

const BASES: Record<string, number> = { b: 2, d: 10, o: 8, x: 16, X: 16 };

function formatInteger(verb: Verb, value: Value): Formatted {
  if (value.kind !== 'number') return err('number required');
  if (!isInteger(value.value)) return err('an integer is required');
  const digits = truncate(value.value).toString(BASES[verb.verb] ?? 10);
  return ok(signed(verb, verb.verb === 'X' ? digits.toUpperCase() : digits));
}

function formatFloat(verb: Verb, value: Value): Formatted {
  if (value.kind !== 'number') return err('number required');
  const number = toDouble(value.value);
  const exponent = (text: string): string => text.replace(/e([+-])(\d)$/, 'e$10$2');
  const lower = verb.verb.toLowerCase();
  const body =
    lower === 'f'
      ? number.toFixed(verb.precision ?? 6)
      : lower === 'e'
        ? exponent(number.toExponential(verb.precision ?? 6))
        : verb.precision === null
          ? bigFloatToString(value.value)
          : exponent(String(Number(number.toPrecision(Math.max(1, verb.precision)))));
  return ok(signed(verb, verb.verb === lower ? body : body.toUpperCase()));
}

function formatString(verb: Verb, value: Value): Formatted {
  if (value.kind !== 'string') return err('string required');
  const cut = verb.precision === null ? value.value : [...value.value].slice(0, verb.precision).join('');
  return ok(verb.verb === 'q' ? JSON.stringify(cut) : cut);
}

/** One text for each position of the lists among the arguments; single values go with each of them. */
function formatList(template: string, args: readonly Value[]): CallResult {
  let length: number | null = null;
  for (const [i, argument] of args.entries()) {
    const items = itemsOf(argument);
    if (!items) continue;
    if (length !== null && length !== items.length) {
      return refuse(
        `argument ${i + 1} has length ${items.length}, which is inconsistent with an earlier argument of length ${length}`,
      );
    }
    length = items.length;
  }
  const texts: Value[] = [];
  for (let row = 0; row < (length ?? 1); row++) {
    const formatted = formatText(
      template,
      args.map((argument) => itemsOf(argument)?.[row] ?? argument),
    );
    if (!formatted.ok) return refuse(`error on format iteration ${row}: ${formatted.error}`);
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
      return formatted.ok ? ok(stringValue(formatted.value)) : refuse(formatted.error);
    },
    any('args', true),
  ),
  formatlist: define([text('format')], listOf(STRING), ([template, ...args]) => formatList(textOf(template), args), {
    name: 'args',
    type: DYNAMIC,
    allowNull: true,
  }),
};
