import type { Result } from './result.js';
import { err, ok } from './result.js';

const UNIT_NS: Record<string, number> = {
  ns: 1,
  us: 1e3,
  µs: 1e3,
  μs: 1e3,
  ms: 1e6,
  s: 1e9,
  m: 60e9,
  h: 3600e9,
};

/** Parses a duration as Go's time.ParseDuration does ("1h30m", "250ms", "-1.5s", "0") into nanoseconds. */
export function parseDuration(text: string): Result<number, string> {
  const invalid = (why: string): Result<number, string> =>
    err(`invalid duration ${JSON.stringify(text)}: ${why}; write a number with a unit, such as "30s", "5m" or "1h30m"`);
  let rest = text;
  let sign = 1;
  if (rest.startsWith('-') || rest.startsWith('+')) {
    sign = rest.startsWith('-') ? -1 : 1;
    rest = rest.slice(1);
  }
  if (rest === '0') return ok(0);
  if (rest === '') return invalid('it is empty');
  let total = 0;
  while (rest !== '') {
    const match = /^(\d+\.?\d*|\.\d+)([a-zµμ]*)/.exec(rest);
    if (!match) return invalid(`${JSON.stringify(rest)} is not a number`);
    const [whole, digits = '', unit = ''] = match;
    if (unit === '') return invalid('a unit is missing');
    const scale = UNIT_NS[unit];
    if (scale === undefined) return invalid(`unknown unit ${JSON.stringify(unit)}`);
    total += Number(digits) * scale;
    rest = rest.slice(whole.length);
  }
  // Go's limit: an int64 of nanoseconds, about 292 years.
  if (total > 2 ** 63) return invalid('it is too long');
  return ok(sign * Math.round(total));
}

/** Prints nanoseconds as Go does: "1h30m0s", "250ms", "0s". */
export function formatDuration(ns: number): string {
  if (ns === 0) return '0s';
  const sign = ns < 0 ? '-' : '';
  const abs = Math.abs(ns);
  if (abs < 1e3) return `${sign}${abs}ns`;
  if (abs < 1e6) return `${sign}${trim(abs / 1e3)}µs`;
  if (abs < 1e9) return `${sign}${trim(abs / 1e6)}ms`;
  const hours = Math.floor(abs / 3600e9);
  const minutes = Math.floor((abs % 3600e9) / 60e9);
  const seconds = trim((abs % 60e9) / 1e9);
  if (hours > 0) return `${sign}${hours}h${minutes}m${seconds}s`;
  if (minutes > 0) return `${sign}${minutes}m${seconds}s`;
  return `${sign}${seconds}s`;
}

function trim(value: number): string {
  return value.toFixed(9).replace(/\.?0+$/, '');
}
