import type { Millis } from './clock.js';
import { err, ok, type Result } from './result.js';

// Cron expressions as Nomad's job files have them: five fields (minute hour day month weekday), six (and a year), seven
// (seconds first), and the names @yearly … @hourly. In the fields for days also L, W and #.

/** How far the local time of a zone is ahead of UTC at a moment. */
export type ZoneOffset = (at: Millis) => Millis;

type Days = (year: number, month: number) => ReadonlySet<number>;

export interface Cron {
  readonly seconds: readonly number[];
  readonly minutes: readonly number[];
  readonly hours: readonly number[];
  readonly months: ReadonlySet<number>;
  readonly years: { readonly min: number; readonly has: (year: number) => boolean };
  /** The days of a month on which it is due. */
  readonly days: Days;
}

const NAMED: Record<string, string> = {
  '@yearly': '0 0 0 1 1 * *',
  '@annually': '0 0 0 1 1 * *',
  '@monthly': '0 0 0 1 * * *',
  '@weekly': '0 0 0 * * 0 *',
  '@daily': '0 0 0 * * * *',
  '@midnight': '0 0 0 * * * *',
  '@hourly': '0 0 * * * * *',
};

const MONTHS = 'january february march april may june july august september october november december'.split(' ');
const WEEKDAYS = 'sunday monday tuesday wednesday thursday friday saturday'.split(' ');
const YEAR_MIN = 1970;
const YEAR_MAX = 2099;
const SECOND_MS = 1_000;
const DAY_MS = 86_400_000;

interface Field {
  name: string;
  min: number;
  max: number;
  /** Words that stand for numbers: the first is `wordsFrom`; three letters are enough. */
  words?: readonly string[];
  wordsFrom?: number;
}

const FIELDS = {
  second: { name: 'second', min: 0, max: 59 },
  minute: { name: 'minute', min: 0, max: 59 },
  hour: { name: 'hour', min: 0, max: 23 },
  day: { name: 'day of month', min: 1, max: 31 },
  month: { name: 'month', min: 1, max: 12, words: MONTHS, wordsFrom: 1 },
  weekday: { name: 'day of week', min: 0, max: 7, words: WEEKDAYS, wordsFrom: 0 },
  year: { name: 'year', min: YEAR_MIN, max: YEAR_MAX },
} satisfies Record<string, Field>;

/** Reads an expression; the error says which field is wrong and why. */
export function parseCron(text: string): Result<Cron, string> {
  const words = (NAMED[text.trim().toLowerCase()] ?? text).trim().split(/\s+/);
  if (words.length < 5 || words.length > 7) {
    return err(`${words[0] === '' ? 0 : words.length} fields: write 5 (minute hour day month weekday), 6 or 7`);
  }
  // Five and six fields have no seconds; a missing year is any.
  const [second, minute, hour, day, month, weekday, year] = (
    words.length === 7 ? words : ['0', ...words, ...(words.length === 5 ? ['*'] : [])]
  ) as [string, string, string, string, string, string, string];
  try {
    const years = numbers(year, FIELDS.year);
    return ok({
      seconds: [...numbers(second, FIELDS.second)].sort(ascending),
      minutes: [...numbers(minute, FIELDS.minute)].sort(ascending),
      hours: [...numbers(hour, FIELDS.hour)].sort(ascending),
      months: numbers(month, FIELDS.month),
      years: { min: Math.min(...years), has: (value) => years.has(value) },
      days: daysOf(day, weekday),
    });
  } catch (error) {
    if (error instanceof FieldError) return err(error.message);
    throw error;
  }
}

class FieldError extends Error {}

const ascending = (a: number, b: number): number => a - b;
const isAny = (text: string): boolean => text === '*' || text === '?';

function numbers(text: string, field: Field): Set<number> {
  const set = new Set<number>();
  for (const part of text.split(',')) for (const value of range(part, field)) set.add(value);
  return set;
}

function* range(part: string, field: Field): Generator<number> {
  const [span = '', step, ...more] = part.split('/');
  const by = step === undefined ? 1 : Number(/^\d{1,4}$/.test(step) ? step : Number.NaN);
  if (more.length > 0 || !(by >= 1)) throw refuse(part, field);
  const [from, to] = bounds(span, step !== undefined, field);
  if (from > to) throw new FieldError(`${field.name} ${JSON.stringify(part)} ends before it begins`);
  for (let value = from; value <= to; value += by) yield value;
}

function bounds(span: string, stepped: boolean, field: Field): [number, number] {
  if (isAny(span)) return [field.min, field === FIELDS.weekday ? 6 : field.max];
  const ends = span.split('-');
  if (ends.length > 2) throw refuse(span, field);
  const [from, to] = ends.map((end) => one(end, field)) as [number, number | undefined];
  return [from, to ?? (stepped ? field.max : from)];
}

function one(text: string, field: Field): number {
  const word = text.toLowerCase();
  const index = field.words?.findIndex((name) => name === word || name.slice(0, 3) === word) ?? -1;
  const value = index >= 0 ? index + (field.wordsFrom ?? 0) : Number(/^\d{1,4}$/.test(text) ? text : Number.NaN);
  if (!(value >= field.min && value <= field.max)) throw refuse(text, field);
  return value;
}

function refuse(text: string, field: Field): FieldError {
  return new FieldError(`${field.name} ${JSON.stringify(text)} is none: ${field.min} to ${field.max}, *, a-b, */n`);
}

/** As in every cron: with both fields given, a day is due when it fits one of them. */
function daysOf(day: string, weekday: string): Days {
  const all: Days = (year, month) => new Set(Array.from({ length: monthLength(year, month) }, (_, i) => i + 1));
  const parts: Days[] = [];
  if (!isAny(day)) for (const part of day.split(',')) parts.push(dayPart(part));
  if (!isAny(weekday)) for (const part of weekday.split(',')) parts.push(weekdayPart(part));
  if (parts.length === 0) return all;
  return (year, month) => new Set(parts.flatMap((part) => [...part(year, month)]));
}

function dayPart(part: string): Days {
  const text = part.toUpperCase();
  if (text === 'L') return (year, month) => new Set([monthLength(year, month)]);
  if (text === 'LW' || text === 'WL') return (year, month) => new Set([workday(year, month, monthLength(year, month))]);
  const near = /^(\d{1,2})W$/.exec(text);
  if (near) {
    const day = one(near[1] as string, FIELDS.day);
    return (year, month) => (day > monthLength(year, month) ? new Set() : new Set([workday(year, month, day)]));
  }
  const set = numbers(part, FIELDS.day);
  return (year, month) => new Set([...set].filter((value) => value <= monthLength(year, month)));
}

function weekdayPart(part: string): Days {
  const text = part.toUpperCase();
  if (text === 'L') return (year, month) => new Set(weekdays(year, month, 6));
  const last = /^(\w+)L$/.exec(text);
  if (last) {
    const day = one(last[1] as string, FIELDS.weekday) % 7;
    return (year, month) => new Set(weekdays(year, month, day).slice(-1));
  }
  const nth = /^(\w+)#([1-5])$/.exec(text);
  if (nth) {
    const day = one(nth[1] as string, FIELDS.weekday) % 7;
    return (year, month) => new Set(weekdays(year, month, day).slice(Number(nth[2]) - 1, Number(nth[2])));
  }
  const set = new Set([...numbers(part, FIELDS.weekday)].map((day) => day % 7));
  return (year, month) => new Set([...set].flatMap((day) => weekdays(year, month, day)));
}

/** The days of a month that are a weekday (0 = Sunday), first to last. */
function weekdays(year: number, month: number, weekday: number): number[] {
  const first = weekdayOf(year, month, 1);
  const days: number[] = [];
  for (let day = 1 + ((weekday - first + 7) % 7); day <= monthLength(year, month); day += 7) days.push(day);
  return days;
}

/** The day from Monday to Friday that is nearest to a day, in the same month. */
function workday(year: number, month: number, day: number): number {
  const weekday = weekdayOf(year, month, day);
  if (weekday === 6) return day === 1 ? 3 : day - 1;
  if (weekday === 0) return day === monthLength(year, month) ? day - 2 : day + 1;
  return day;
}

const weekdayOf = (year: number, month: number, day: number): number => (4 + dayNumber(year, month, day)) % 7;

function monthLength(year: number, month: number): number {
  if (month === 2) return year % 4 === 0 && (year % 100 !== 0 || year % 400 === 0) ? 29 : 28;
  return month === 4 || month === 6 || month === 9 || month === 11 ? 30 : 31;
}

/** Days since 1970-01-01 of a day of the Gregorian calendar. */
function dayNumber(year: number, month: number, day: number): number {
  // The year begins in March, so that the leap day is its last.
  const y = month <= 2 ? year - 1 : year;
  const dayOfYear = Math.floor((153 * ((month + 9) % 12) + 2) / 5) + day - 1;
  return y * 365 + Math.floor(y / 4) - Math.floor(y / 100) + Math.floor(y / 400) + dayOfYear - 719_468;
}

interface Wall {
  year: number;
  month: number;
  day: number;
  /** Seconds since midnight. */
  second: number;
}

function toWall(ms: Millis): Wall {
  const days = Math.floor(ms / DAY_MS);
  let year = 1970 + Math.floor(days / 365.2425);
  while (dayNumber(year, 1, 1) > days) year--;
  while (dayNumber(year + 1, 1, 1) <= days) year++;
  let month = 1;
  while (month < 12 && dayNumber(year, month + 1, 1) <= days) month++;
  return { year, month, day: days - dayNumber(year, month, 1) + 1, second: Math.floor((ms - days * DAY_MS) / 1000) };
}

/** The first wall-clock time, at or after one, that the expression names, counted as if it were UTC. */
function nextWall(cron: Cron, from: Millis): Millis | undefined {
  const start = toWall(from);
  for (let year = Math.max(start.year, cron.years.min); year <= YEAR_MAX; year++) {
    if (!cron.years.has(year)) continue;
    for (let month = year === start.year ? start.month : 1; month <= 12; month++) {
      if (!cron.months.has(month)) continue;
      const sameMonth = year === start.year && month === start.month;
      for (const day of [...cron.days(year, month)].sort(ascending)) {
        if (sameMonth && day < start.day) continue;
        const second = nextSecond(cron, sameMonth && day === start.day ? start.second : 0);
        if (second !== undefined) return dayNumber(year, month, day) * DAY_MS + second * 1000;
      }
    }
  }
  return undefined;
}

function nextSecond(cron: Cron, from: number): number | undefined {
  for (const hour of cron.hours) {
    if (hour * 3600 + 3599 < from) continue;
    for (const minute of cron.minutes) {
      const start = hour * 3600 + minute * 60;
      if (start + 59 < from) continue;
      for (const second of cron.seconds) if (start + second >= from) return start + second;
    }
  }
  return undefined;
}

/** The moment between two with different offsets at which the clocks are changed. */
function changeBetween(offset: ZoneOffset, before: Millis, after: Millis): Millis {
  let [low, high] = [before, after];
  const first = offset(low);
  while (high - low > SECOND_MS) {
    const middle = Math.floor((low + high) / 2 / SECOND_MS) * SECOND_MS;
    if (offset(middle) === first) low = middle;
    else high = middle;
  }
  return high;
}

/** The first change of the clocks in (from, to], if there is one. No zone changes twice within a day. */
function firstChange(offset: ZoneOffset, from: Millis, to: Millis): Millis | undefined {
  const first = offset(from);
  for (let at = from; at < to; at += DAY_MS) {
    const end = Math.min(to, at + DAY_MS);
    if (offset(end) !== first) return changeBetween(offset, at, end);
  }
  return undefined;
}

/**
 * The first moment after `after` at which the expression is due; undefined when there is none before the year 2100.
 * When clocks are put forward, a time that does not exist that day is due at the change itself; when they are put back,
 * a time that occurs twice is due the first time only. Expressions for every hour go on with the hours that really pass.
 */
export function nextLaunch(cron: Cron, after: Millis, offset: ZoneOffset): Millis | undefined {
  const everyHour = cron.hours.length === 24;
  let at = Math.floor(after / SECOND_MS) * SECOND_MS + SECOND_MS;
  let wall = at + offset(at);
  const yesterday = at - DAY_MS;
  if (!everyHour && offset(yesterday) > offset(at)) {
    const change = changeBetween(offset, yesterday, at);
    wall = Math.max(wall, change + offset(yesterday));
  }
  for (;;) {
    const due = nextWall(cron, wall);
    if (due === undefined) return undefined;
    const before = offset(at);
    const moment = due - before;
    const change = firstChange(offset, at, moment);
    if (change === undefined) return moment;
    const later = offset(change);
    // A time in the gap is none of an hourly expression's: it has the hours on both sides.
    if (later > before && !everyHour && due < change + later) return change;
    wall = later < before && !everyHour ? change + before : change + later;
    at = change;
  }
}
