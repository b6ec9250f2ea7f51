// Floats as Go prints them: correctly rounded from their exact value, ties to even.

/** `value` = `mantissa` · 2^`exponent`, exactly. */
function exact(value: number): { mantissa: bigint; exponent: number } {
  const view = new DataView(new ArrayBuffer(8));
  view.setFloat64(0, Math.abs(value));
  const bits = view.getBigUint64(0);
  const raw = Number(bits >> 52n);
  const fraction = bits & ((1n << 52n) - 1n);
  return raw === 0
    ? { mantissa: fraction, exponent: -1074 }
    : { mantissa: fraction | (1n << 52n), exponent: raw - 1075 };
}

/** |value| · 10^power as a whole number. */
function scaled(value: number, power: number): bigint {
  const { mantissa, exponent } = exact(value);
  let numerator = mantissa;
  let denominator = 1n;
  if (exponent >= 0) numerator <<= BigInt(exponent);
  else denominator <<= BigInt(-exponent);
  if (power >= 0) numerator *= 10n ** BigInt(power);
  else denominator *= 10n ** BigInt(-power);
  const whole = numerator / denominator;
  const twice = (numerator % denominator) * 2n;
  const up = twice > denominator || (twice === denominator && whole % 2n === 1n);
  return up ? whole + 1n : whole;
}

function special(value: number): string | null {
  if (Number.isNaN(value)) return 'NaN';
  return Number.isFinite(value) ? null : value > 0 ? '+Inf' : '-Inf';
}

function signOf(value: number): string {
  return value < 0 || Object.is(value, -0) ? '-' : '';
}

/** `%.<precision>f`. */
function fixedText(value: number, precision: number): string {
  const digits = scaled(value, precision)
    .toString()
    .padStart(precision + 1, '0');
  const point = digits.length - precision;
  return signOf(value) + digits.slice(0, point) + (precision > 0 ? `.${digits.slice(point)}` : '');
}

/** `%.<precision>e`. */
function exponentText(value: number, precision: number): string {
  const { digits, exponent } = rounded(value, precision + 1);
  return signOf(value) + withExponent(digits, exponent);
}

/** `%g`: as short as is exact where `precision` is null. */
function generalText(value: number, precision: number | null, sharp = false): string {
  const told = special(value);
  if (told !== null) return told;
  const shortest = shortestDigits(value);
  const { digits, exponent } = precision === null ? shortest : rounded(value, Math.max(precision, 1));
  const kept = sharp ? digits : digits.replace(/0+$/, '') || '0';
  // As Go chooses between the forms: six digits count for the shortest one, else as many as were asked for.
  const limit = precision === null ? 6 : Math.max(precision, 1);
  const long = precision !== null && limit > kept.length && kept.length > exponent ? kept.length : limit;
  if (exponent < -4 || exponent >= long) return signOf(value) + withExponent(kept, exponent);
  if (exponent < 0) return `${signOf(value)}0.${'0'.repeat(-exponent - 1)}${kept}`;
  const whole = kept.slice(0, exponent + 1).padEnd(exponent + 1, '0');
  const rest = kept.slice(exponent + 1);
  return signOf(value) + whole + (rest === '' ? '' : `.${rest}`);
}

function withExponent(digits: string, exponent: number): string {
  const rest = digits.length > 1 ? `.${digits.slice(1)}` : '';
  const size = Math.abs(exponent).toString().padStart(2, '0');
  return `${digits[0]}${rest}e${exponent < 0 ? '-' : '+'}${size}`;
}

function shortestDigits(value: number): { digits: string; exponent: number } {
  const [mantissa = '0', exponent = '0'] = Math.abs(value).toExponential().split('e');
  return { digits: mantissa.replace('.', ''), exponent: Number(exponent) };
}

/** `count` significant digits, and the power of ten of the first one. */
function rounded(value: number, count: number): { digits: string; exponent: number } {
  if (value === 0) return { digits: '0'.repeat(count), exponent: 0 };
  const { exponent } = shortestDigits(value);
  const digits = scaled(value, count - 1 - exponent).toString();
  // Rounding up may have made one digit more.
  return digits.length > count ? { digits: digits.slice(0, count), exponent: exponent + 1 } : { digits, exponent };
}

/** `%x`: the mantissa in hexadecimal, as short as is exact. */
function hexText(value: number, precision: number | null): string {
  if (value === 0) return `0x0${precision ? `.${'0'.repeat(precision)}` : ''}p+00`;
  let { mantissa, exponent } = exact(value);
  // Normalised to one bit before the point.
  while (mantissa < 1n << 52n) {
    mantissa <<= 1n;
    exponent--;
  }
  exponent += 52;
  const dropped = precision === null || precision >= 13 ? 0n : BigInt(4 * (13 - precision));
  if (dropped > 0n) {
    const half = 1n << (dropped - 1n);
    const rest = mantissa & ((1n << dropped) - 1n);
    mantissa >>= dropped;
    if (rest > half || (rest === half && mantissa % 2n === 1n)) mantissa++;
    mantissa <<= dropped;
    if (mantissa >= 1n << 53n) {
      mantissa >>= 1n;
      exponent++;
    }
  }
  const all = (mantissa - (1n << 52n)).toString(16).padStart(13, '0');
  const digits = precision === null ? all.replace(/0+$/, '') : all.slice(0, precision).padEnd(precision, '0');
  const power = Math.abs(exponent).toString().padStart(2, '0');
  return `0x1${digits === '' ? '' : `.${digits}`}p${exponent < 0 ? '-' : '+'}${power}`;
}

/** `%b`: the mantissa as a whole number, and the power of two. */
function binaryText(value: number): string {
  const { mantissa, exponent } = exact(value);
  return `${mantissa}p${exponent < 0 ? '' : '+'}${exponent}`;
}

/** A float, which is not negative, for one of the verbs b, e, f, g, x and their capitals. */
export function floatText(value: number, verb: string, precision: number | null, sharp: boolean): string {
  const told = special(value);
  if (told !== null) return told;
  switch (verb) {
    case 'e':
    case 'E':
      return exponentText(value, precision ?? 6);
    case 'b':
      return binaryText(value);
    case 'x':
    case 'X':
      return hexText(value, precision);
    case 'f':
    case 'F':
      return fixedText(value, precision ?? 6);
    default:
      return generalText(value, precision, sharp);
  }
}
