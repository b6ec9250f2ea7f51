import { parseDuration } from '../../util/duration.js';
import { err, ok, type Result } from '../../util/result.js';
import type { CallResult, HclFunction } from '../context.js';
import { STRING } from '../types.js';
import { stringValue } from '../values.js';
import { define, refuse, text, textOf } from './define.js';

/** A moment as its timestamp writes it; `offsetMinutes` is its distance from UTC, null for Z itself. */
interface Timestamp {
  readonly year: number;
  readonly month: number;
  readonly day: number;
  readonly hour: number;
  readonly minute: number;
  readonly second: number;
  readonly nanosecond: number;
  readonly offsetMinutes: number | null;
}

const MONTHS = [
  'January',
  'February',
  'March',
  'April',
  'May',
  'June',
  'July',
  'August',
  'September',
  'October',
  'November',
  'December',
];
const DAYS = ['Sunday', 'Monday', 'Tuesday', 'Wednesday', 'Thursday', 'Friday', 'Saturday'];

/** Days since 1970-01-01, by the Gregorian calendar at all times. */
function daysOf(year: number, month: number, day: number): number {
  const y = month <= 2 ? year - 1 : year;
  const era = Math.floor(y / 400);
  const yearOfEra = y - era * 400;
  const dayOfYear = Math.floor((153 * ((month + 9) % 12) + 2) / 5) + day - 1;
  const dayOfEra = yearOfEra * 365 + Math.floor(yearOfEra / 4) - Math.floor(yearOfEra / 100) + dayOfYear;
  return era * 146_097 + dayOfEra - 719_468;
}

function dateOf(days: number): { year: number; month: number; day: number } {
  const shifted = days + 719_468;
  const era = Math.floor(shifted / 146_097);
  const dayOfEra = shifted - era * 146_097;
  const leaps = Math.floor(dayOfEra / 1460) - Math.floor(dayOfEra / 36_524) + Math.floor(dayOfEra / 146_096);
  const yearOfEra = Math.floor((dayOfEra - leaps) / 365);
  const dayOfYear = dayOfEra - (365 * yearOfEra + Math.floor(yearOfEra / 4) - Math.floor(yearOfEra / 100));
  const fromMarch = Math.floor((5 * dayOfYear + 2) / 153);
  const month = ((fromMarch + 2) % 12) + 1;
  const day = dayOfYear - Math.floor((153 * fromMarch + 2) / 5) + 1;
  return { year: yearOfEra + era * 400 + (month <= 2 ? 1 : 0), month, day };
}

function daysIn(year: number, month: number): number {
  return daysOf(month === 12 ? year + 1 : year, (month % 12) + 1, 1) - daysOf(year, month, 1);
}

/** The parts of a timestamp in order, each with what precedes it. */
const PARTS = [
  ['', 'year', 4],
  ['-', 'month', 2],
  ['-', 'day of month', 2],
  ['T', 'hour', 2],
  [':', 'minute', 2],
  [':', 'second', 2],
] as const;

/** RFC 3339, strictly: `T` and `Z` in capitals, two digits each. */
function parseTimestamp(source: string): Result<Timestamp, string> {
  const bad = (why: string): Result<Timestamp, string> => err(`not a valid RFC3339 timestamp: ${why}`);
  const numbers: number[] = [];
  let at = 0;
  for (const [before, what, length] of PARTS) {
    const found = source.slice(at, at + before.length);
    if (found !== before) {
      if (before === 'T') return bad("missing required time introducer 'T'");
      return bad(
        found === ''
          ? `end of string where "${before}" is expected`
          : `found ${JSON.stringify(source.slice(at))} where "${before}" is expected`,
      );
    }
    at += before.length;
    const digits = source.slice(at, at + length);
    if (digits === '') return bad(`end of string before ${what}`);
    if (!/^[0-9]+$/.test(digits) || digits.length < length) {
      if (/^[0-9]/.test(digits) && (what === 'hour' || what === 'minute'))
        return bad(`${what} must have exactly two digits`);
      return bad(`cannot use ${JSON.stringify(source.slice(at))} as ${what}`);
    }
    numbers.push(Number(digits));
    at += length;
  }
  const [year = 0, month = 0, day = 0, hour = 0, minute = 0, second = 0] = numbers;
  if (month < 1 || month > 12) return err('not a valid RFC3339 timestamp: month out of range');
  if (day < 1 || day > daysIn(year, month)) return err('not a valid RFC3339 timestamp: day out of range');
  if (hour > 23) return bad('hour must be between 0 and 23 inclusive');
  if (minute > 59) return bad('minute out of range');
  if (second > 59) return bad('second out of range');
  const rest = /^(?:\.([0-9]+))?(?:Z|([+-])([0-9]{2}):([0-9]{2}))$/.exec(source.slice(at));
  if (!rest) {
    const zone = source.slice(at).replace(/^\.[0-9]+/, '');
    return bad(zone === '' ? 'end of string before UTC offset' : `cannot use ${JSON.stringify(zone)} as UTC offset`);
  }
  const [, fraction = '', sign, hours, minutes] = rest;
  if (Number(hours ?? 0) > 23 || Number(minutes ?? 0) > 59) return bad('UTC offset out of range');
  const offset = (Number(hours) * 60 + Number(minutes)) * (sign === '-' ? -1 : 1);
  const nanosecond = Number(fraction.slice(0, 9).padEnd(9, '0'));
  return ok({ year, month, day, hour, minute, second, nanosecond, offsetMinutes: sign === undefined ? null : offset });
}

const digits = (value: number, count: number): string => String(value).padStart(count, '0');

function offsetText(minutes: number, colon: string): string {
  const size = Math.abs(minutes);
  return `${minutes < 0 ? '-' : '+'}${digits(Math.floor(size / 60), 2)}${colon}${digits(size % 60, 2)}`;
}

/** `Z` for UTC, else hours and minutes. */
const zoneText = (time: Timestamp): string => (time.offsetMinutes ? offsetText(time.offsetMinutes, ':') : 'Z');

/** Each verb is a letter, so many times; null: there is no such verb of that length. */
const VERBS: Record<string, { wrong: string; give: (time: Timestamp, count: number) => string | null }> = {
  Y: {
    wrong: ': year must either be "YY" or "YYYY"',
    give: ({ year }, count) => (count === 2 ? digits(year % 100, 2) : count === 4 ? digits(year, 4) : null),
  },
  M: {
    wrong: ': month must be "M", "MM", "MMM", or "MMMM"',
    give: ({ month }, count) => {
      const name = MONTHS[month - 1] as string;
      return count > 4 ? null : count === 4 ? name : count === 3 ? name.slice(0, 3) : digits(month, count);
    },
  },
  D: {
    wrong: ': day of month must either be "D" or "DD"',
    give: ({ day }, count) => (count <= 2 ? digits(day, count) : null),
  },
  E: {
    wrong: ': day of week must either be "EEE" or "EEEE"',
    give: ({ year, month, day }, count) => {
      const name = DAYS[(((daysOf(year, month, day) + 4) % 7) + 7) % 7] as string;
      return count === 3 ? name.slice(0, 3) : count === 4 ? name : null;
    },
  },
  h: {
    wrong: ': 24-hour must either be "h" or "hh"',
    give: ({ hour }, count) => (count <= 2 ? digits(hour, count) : null),
  },
  H: {
    wrong: ': 12-hour must either be "H" or "HH"',
    give: ({ hour }, count) => (count <= 2 ? digits(hour % 12 || 12, count) : null),
  },
  A: { wrong: ': must be "AA"', give: ({ hour }, count) => (count === 2 ? (hour < 12 ? 'AM' : 'PM') : null) },
  a: { wrong: ': must be "aa"', give: ({ hour }, count) => (count === 2 ? (hour < 12 ? 'am' : 'pm') : null) },
  m: {
    wrong: ': minute must either be "m" or "mm"',
    give: ({ minute }, count) => (count <= 2 ? digits(minute, count) : null),
  },
  s: {
    wrong: ': second must either be "s" or "ss"',
    give: ({ second }, count) => (count <= 2 ? digits(second, count) : null),
  },
  Z: {
    wrong: ': timezone must be Z, ZZZZ, or ZZZZZ',
    give: (time, count) => {
      const minutes = time.offsetMinutes ?? 0;
      if (count === 1) return zoneText(time);
      if (count === 3 && minutes === 0) return 'UTC';
      return count === 3 || count === 4 ? offsetText(minutes, '') : count === 5 ? offsetText(minutes, ':') : null;
    },
  },
};

function formatDate(format: string, time: Timestamp): CallResult {
  let result = '';
  // A text in quotes (a quote in it is doubled), a letter and its repetitions, or anything else.
  for (const [token, quoted] of format.matchAll(/'((?:[^']|'')*)(?:'|$)|([A-Za-z])\2*|[^A-Za-z']+/g)) {
    const letter = token.charAt(0);
    if (letter === "'") {
      if (token.length === 1 || !token.endsWith("'")) return refuse("unterminated literal '", 0);
      result += token === "''" ? "'" : (quoted ?? '').replaceAll("''", "'");
    } else if (/[A-Za-z]/.test(letter)) {
      const verb = VERBS[letter];
      const given = verb?.give(time, token.length) ?? null;
      if (given === null) return refuse(`invalid date format verb "${token}"${verb?.wrong ?? ''}`, 0);
      result += given;
    } else result += token;
  }
  return ok(stringValue(result));
}

/** In seconds, as the result is written: a fraction is taken into account and then cut off. */
function timeAdd(time: Timestamp, durationNs: number): string {
  const { year, month, day, hour, minute, second, nanosecond } = time;
  const seconds = daysOf(year, month, day) * 86_400 + hour * 3600 + minute * 60 + second;
  const moment = BigInt(seconds) * 1_000_000_000n + BigInt(nanosecond) + BigInt(durationNs);
  const whole = Number(moment / 1_000_000_000n) - (moment < 0n && moment % 1_000_000_000n !== 0n ? 1 : 0);
  const date = dateOf(Math.floor(whole / 86_400));
  const inDay = whole - Math.floor(whole / 86_400) * 86_400;
  const clock = [Math.floor(inDay / 3600), Math.floor(inDay / 60) % 60, inDay % 60].map((part) => digits(part, 2));
  return `${digits(date.year, 4)}-${digits(date.month, 2)}-${digits(date.day, 2)}T${clock.join(':')}${zoneText(time)}`;
}

/** The functions over timestamps; none of them asks what time it is. */
export const DATE_FUNCTIONS: Record<string, HclFunction> = {
  formatdate: define([text('format'), text('time')], STRING, ([format, source]) => {
    const time = parseTimestamp(textOf(source));
    return time.ok ? formatDate(textOf(format), time.value) : refuse(time.error, 1);
  }),
  timeadd: define([text('timestamp'), text('duration')], STRING, ([source, duration]) => {
    const time = parseTimestamp(textOf(source));
    if (!time.ok) return refuse(time.error);
    const added = parseDuration(textOf(duration));
    return added.ok ? ok(stringValue(timeAdd(time.value, added.value))) : refuse(added.error);
  }),
};
