/**
 * A binary floating-point number of a stated precision, so that no digit of a job file is lost (HCL reckons with 512
 * bits): value = mantissa · 2^exponent, rounded to nearest, ties to even. The mantissa is odd or zero.
 */
export interface BigFloat {
  readonly mantissa: bigint;
  readonly exponent: number;
  /** Bits of the mantissa that an operation on it keeps: the larger one of its operands counts. */
  readonly precision: number;
  /** A zero that was negated: it is printed with its sign. */
  readonly negativeZero?: true;
}

/** What literals and conversions from text have. */
const PRECISION_LITERAL = 512;
const PRECISION_INTEGER = 64;
const PRECISION_DOUBLE = 53;
/** A decimal exponent beyond this is refused: to print such a number would take a megabyte and more. */
const DECIMAL_EXPONENT_MAX = 20_000;
const EXPONENT_MAX = 80_000;

const bitLength = (x: bigint): number => {
  const hex = (x < 0n ? -x : x).toString(16);
  return hex === '0' ? 0 : (hex.length - 1) * 4 + (32 - Math.clz32(Number.parseInt(hex[0] as string, 16)));
};

/** Rounds and normalizes; `sticky` says that something below the last bit was cut off already. */
function make(mantissa: bigint, exponent: number, precision: number, sticky = false): BigFloat {
  if (mantissa === 0n) return { mantissa: 0n, exponent: 0, precision };
  const negative = mantissa < 0n;
  let m = negative ? -mantissa : mantissa;
  let e = exponent;
  const surplus = bitLength(m) - precision;
  if (surplus > 0) {
    const shift = BigInt(surplus);
    const rest = m & ((1n << shift) - 1n);
    const half = 1n << (shift - 1n);
    m >>= shift;
    e += surplus;
    if (rest > half || (rest === half && (sticky || (m & 1n) === 1n))) m += 1n;
  }
  // One shift by all trailing zeros: bit by bit would be quadratic.
  const low = bitLength(m & -m) - 1;
  if (low > 0) {
    m >>= BigInt(low);
    e += low;
  }
  return { mantissa: negative ? -m : m, exponent: e, precision };
}

/** From a JS integer, double or bigint. Infinity and NaN are bugs of the caller. */
export function bigFloat(x: number | bigint): BigFloat {
  if (typeof x === 'bigint') return make(x, 0, Math.max(PRECISION_INTEGER, bitLength(x)));
  if (Number.isSafeInteger(x)) return make(BigInt(x), 0, PRECISION_INTEGER);
  let exponent = 0;
  let mantissa = x;
  while (!Number.isInteger(mantissa)) {
    mantissa *= 2;
    exponent--;
  }
  return make(BigInt(mantissa), exponent, PRECISION_DOUBLE);
}

const DECIMAL = /^([+-]?)([0-9]*)(?:\.([0-9]*))?(?:[eE]([+-]?[0-9]+))?$/;

/** Reads decimal digits with an optional fraction and exponent; null when it is no number or out of bounds. */
export function parseBigFloat(text: string): BigFloat | null {
  const match = DECIMAL.exec(text);
  if (!match) return null;
  const [, sign, whole = '', fraction = '', power = '0'] = match;
  if (whole === '' && fraction === '') return null;
  const exponent = Number(power) - fraction.length;
  if (Math.abs(Number(power)) > DECIMAL_EXPONENT_MAX || whole.length + fraction.length > DECIMAL_EXPONENT_MAX)
    return null;
  const digits = BigInt(whole + fraction) * (sign === '-' ? -1n : 1n);
  if (digits === 0n && sign === '-') return negate(make(0n, 0, PRECISION_LITERAL));
  if (exponent >= 0) return make(digits * 10n ** BigInt(exponent), 0, PRECISION_LITERAL);
  return quotient(digits, 10n ** BigInt(-exponent), 0, PRECISION_LITERAL);
}

function quotient(a: bigint, b: bigint, exponent: number, precision: number): BigFloat {
  const shift = Math.max(0, precision + 2 + bitLength(b) - bitLength(a));
  const scaled = (a < 0n ? -a : a) << BigInt(shift);
  const divisor = b < 0n ? -b : b;
  const q = scaled / divisor;
  const sticky = scaled % divisor !== 0n;
  return make(a < 0n !== b < 0n ? -q : q, exponent - shift, precision, sticky);
}

const precisionOf = (a: BigFloat, b: BigFloat): number => Math.max(a.precision, b.precision);

export function add(a: BigFloat, b: BigFloat): BigFloat {
  const exponent = Math.min(a.exponent, b.exponent);
  const sum = (a.mantissa << BigInt(a.exponent - exponent)) + (b.mantissa << BigInt(b.exponent - exponent));
  return make(sum, exponent, precisionOf(a, b));
}

export function negate(a: BigFloat): BigFloat {
  if (a.mantissa !== 0n) return { ...a, mantissa: -a.mantissa };
  const { negativeZero, ...zero } = a;
  return negativeZero ? zero : { ...zero, negativeZero: true };
}

export function subtract(a: BigFloat, b: BigFloat): BigFloat {
  return add(a, negate(b));
}

export function multiply(a: BigFloat, b: BigFloat): BigFloat {
  return make(a.mantissa * b.mantissa, a.exponent + b.exponent, precisionOf(a, b));
}

/** The caller has refused a zero divisor. */
export function divide(a: BigFloat, b: BigFloat): BigFloat {
  return quotient(a.mantissa, b.mantissa, a.exponent - b.exponent, precisionOf(a, b));
}

/** a − b · trunc(a / b), as HCL has it: the sign is that of a. */
export function modulo(a: BigFloat, b: BigFloat): BigFloat {
  const whole = make(truncate(divide(a, b)), 0, precisionOf(a, b));
  return subtract(a, multiply(b, whole));
}

/** Towards zero. */
export function truncate(a: BigFloat): bigint {
  if (a.exponent >= 0) return a.mantissa << BigInt(a.exponent);
  const shift = BigInt(-a.exponent);
  return a.mantissa < 0n ? -(-a.mantissa >> shift) : a.mantissa >> shift;
}

/** Negative, zero or positive, as a is smaller than, equal to or larger than b. */
export function compare(a: BigFloat, b: BigFloat): number {
  const difference = subtract({ ...a, precision: 1 }, { ...b, precision: 1 });
  return difference.mantissa < 0n ? -1 : difference.mantissa > 0n ? 1 : 0;
}

export function isInteger(a: BigFloat): boolean {
  return a.exponent >= 0;
}

/** Whether the number is too far from 1 to be reckoned with or printed in reasonable time. */
export function isOutOfBounds(a: BigFloat): boolean {
  return Math.abs(a.exponent + bitLength(a.mantissa)) > EXPONENT_MAX;
}

/** The nearest double. */
export function toDouble(a: BigFloat): number {
  if (a.exponent >= 0 && a.exponent + bitLength(a.mantissa) <= 53) return Number(a.mantissa << BigInt(a.exponent));
  return Number(bigFloatToString(a));
}

/** The shortest decimal digits that read back as the same number at its precision, without an exponent. */
export function bigFloatToString(a: BigFloat): string {
  if (a.mantissa === 0n) return a.negativeZero ? '-0' : '0';
  const sign = a.mantissa < 0n ? '-' : '';
  const m = a.mantissa < 0n ? -a.mantissa : a.mantissa;
  if (a.exponent >= 0 && a.exponent + bitLength(m) <= a.precision) return sign + (m << BigInt(a.exponent)).toString();
  // Twice the mantissa at full precision: its last bit is half a unit in the last place.
  const widen = Math.max(0, a.precision + 1 - bitLength(m));
  const twice = m << BigInt(widen);
  const exponent = a.exponent - widen;
  const scale = exponent < 0 ? 5n ** BigInt(-exponent) : 1n << BigInt(exponent);
  const places = Math.max(0, -exponent);
  const even = (twice & 2n) === 0n;
  const digits = shortest((twice - 1n) * scale, twice * scale, (twice + 1n) * scale, even);
  const padded = digits.value.toString() + '0'.repeat(digits.zeros);
  if (places === 0) return sign + padded;
  const full = padded.padStart(places + 1, '0');
  const fraction = full.slice(-places).replace(/0+$/, '');
  return sign + full.slice(0, -places) + (fraction === '' ? '' : `.${fraction}`);
}

/** The number with the most trailing zeros between low and high (ends count when `closed`) nearest to `exact`. */
function shortest(low: bigint, exact: bigint, high: bigint, closed: boolean): { value: bigint; zeros: number } {
  const within = (x: bigint): boolean => (closed ? x >= low && x <= high : x > low && x < high);
  const candidate = (zeros: number): bigint | null => {
    const unit = 10n ** BigInt(zeros);
    const down = exact / unit;
    const rest = exact - down * unit;
    const nearer =
      rest * 2n > unit || (rest * 2n === unit && (down & 1n) === 1n) ? [down + 1n, down] : [down, down + 1n];
    return nearer.find((x) => within(x * unit)) ?? null;
  };
  let zeros = Math.max(0, (high - low).toString().length - 1);
  let best = candidate(zeros);
  while (best === null && zeros > 0) best = candidate(--zeros);
  for (let next = candidate(zeros + 1); next !== null && next !== 0n; next = candidate(zeros + 1)) {
    best = next;
    zeros++;
  }
  return { value: best ?? exact, zeros: best === null ? 0 : zeros };
}
