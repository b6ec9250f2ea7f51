import { kindOf, type Value } from '../../../template/index.js';
import { parseDuration } from '../../../util/duration.js';

const UNITS: readonly [name: string, seconds: number][] = [
  ['y', 365 * 86_400],
  ['mo', 30 * 86_400],
  ['d', 86_400],
  ['h', 3_600],
  ['m', 60],
  ['s', 1],
];

/** So many seconds, in a text or from parseInt, as `1h2m3s`. */
export function durationText(value: Value): string {
  const isWhole = typeof value === 'string' ? /^[+-]?\d+$/.test(value) : kindOf(value) === 'int';
  const seconds = isWhole ? BigInt(value as number | string) : 0n;
  const size = seconds < 0n ? -seconds : seconds;
  const [hours, minutes, rest] = [size / 3_600n, (size / 60n) % 60n, size % 60n];
  const text = hours > 0n ? `${hours}h${minutes}m${rest}s` : minutes > 0n ? `${minutes}m${rest}s` : `${rest}s`;
  return seconds < 0n ? `-${text}` : text;
}

/** A duration (`2h45m`, or nanoseconds) in its largest unit: `2h`. */
export function roundedDuration(value: Value): string {
  const parsed = typeof value === 'string' ? parseDuration(value) : null;
  const ns = parsed ? (parsed.ok ? parsed.value : 0) : kindOf(value) === 'int' ? Number(value) : 0;
  const seconds = Math.abs(ns) / 1e9;
  const [name, size] = UNITS.find((unit) => seconds > unit[1]) ?? ['s', 0];
  return size === 0 ? '0s' : `${Math.floor(seconds / size)}${name}`;
}
