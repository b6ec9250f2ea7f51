import { type BigFloat, bigFloatToString } from '../number.js';

/** What Go's fmt puts before a number. */
export function signed(flags: string, negative: boolean): string {
  return negative ? '-' : flags.includes('+') ? '+' : flags.includes(' ') ? ' ' : '';
}

/** Significant decimal digits without zeros at either end, and the place of the point: value = 0.DIGITS · 10^point. */
interface Decimal {
  readonly digits: string;
  readonly point: number;
}

function decimalOf(text: string): Decimal {
  const [whole = '', fraction = ''] = text.split('.');
  const all = whole + fraction;
  const leading = /^0*/.exec(all)?.[0].length ?? 0;
  return { digits: all.slice(leading).replace(/0+$/, ''), point: leading === all.length ? 0 : whole.length - leading };
}

/** All digits of the exact binary value. */
function exactDecimal(a: BigFloat): Decimal {
  const mantissa = a.mantissa < 0n ? -a.mantissa : a.mantissa;
  if (a.exponent >= 0) return decimalOf((mantissa << BigInt(a.exponent)).toString());
  const places = -a.exponent;
  const digits = (mantissa * 5n ** BigInt(places)).toString().padStart(places + 1, '0');
  return decimalOf(`${digits.slice(0, -places)}.${digits.slice(-places)}`);
}

/** To so many digits, nearest, ties to even. */
function rounded({ digits, point }: Decimal, count: number): Decimal {
  if (count >= digits.length) return { digits, point };
  if (count < 0) return { digits: '', point: 0 };
  const kept = digits.slice(0, count);
  const rest = digits.slice(count);
  const half = `5${'0'.repeat(rest.length - 1)}`;
  const up = rest > half || (rest === half && Number(kept.at(-1) ?? 0) % 2 === 1);
  if (!up) return { digits: kept.replace(/0+$/, ''), point };
  const sum = (BigInt(kept === '' ? '0' : kept) + 1n).toString().padStart(count, '0');
  return { digits: sum.replace(/0+$/, ''), point: point + sum.length - Math.max(count, 0) };
}

function withExponent({ digits, point }: Decimal, precision: number): string {
  const exponent = digits === '' ? 0 : point - 1;
  const fraction = digits.slice(1).padEnd(precision, '0').slice(0, precision);
  const size = String(Math.abs(exponent)).padStart(2, '0');
  return `${digits.charAt(0) || '0'}${fraction === '' ? '' : `.${fraction}`}e${exponent < 0 ? '-' : '+'}${size}`;
}

function withPoint({ digits, point }: Decimal, precision: number): string {
  const whole = point > 0 ? digits.slice(0, point).padEnd(point, '0') : '0';
  const behind = point > 0 ? digits.slice(point) : '0'.repeat(-point) + digits;
  const fraction = behind.padEnd(precision, '0').slice(0, precision);
  return fraction === '' ? whole : `${whole}.${fraction}`;
}

/** Significant digits from which %g without a precision takes an exponent. */
const SHORTEST_DIGITS = 6;

/** `%e`, `%f` and `%g` of Go's big.Float: every digit is that of the exact value. */
export function formatDecimal(
  a: BigFloat,
  { mode, precision, flags }: { readonly mode: string; readonly precision: number | null; readonly flags: string },
): string {
  const sign = signed(flags, a.mantissa < 0n);
  const body = unsigned(a, mode.toLowerCase(), precision);
  return sign + (mode === mode.toLowerCase() ? body : body.toUpperCase());
}

function unsigned(a: BigFloat, mode: string, precision: number | null): string {
  const exact = exactDecimal(a);
  if (mode === 'f') return withPoint(rounded(exact, exact.point + (precision ?? 6)), precision ?? 6);
  if (mode === 'e') return withExponent(rounded(exact, (precision ?? 6) + 1), precision ?? 6);
  const count = precision === 0 ? 1 : precision;
  const decimal =
    count === null
      ? decimalOf(bigFloatToString({ ...a, mantissa: a.mantissa < 0n ? -a.mantissa : a.mantissa }))
      : rounded(exact, count);
  const { digits, point } = decimal;
  let limit = count ?? SHORTEST_DIGITS;
  if (count !== null && count > digits.length && digits.length >= point) limit = digits.length;
  const exponent = digits === '' ? -1 : point - 1;
  if (exponent < -4 || exponent >= limit) return withExponent(decimal, Math.max(0, digits.length - 1));
  return withPoint(decimal, Math.max(digits.length - point, 0));
}
