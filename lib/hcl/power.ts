/**
 * `value` to the power of `exponent`, by squaring: the whole part of the exponent bit by bit, the rest through the logarithm. The
 * engine's own operator differs from Go's in the last digits, and the digits of job files are to be those that Nomad prints. What
 * no double holds is NaN or infinite, as for the operator.
 */
export function power64(value: number, exponent: number): number {
  const positive = Math.abs(exponent);
  const isPlain = Number.isFinite(value) && value !== 0 && value !== 1 && positive < 2 ** 53;
  if (!isPlain || exponent === 0 || exponent === 1) return value ** exponent;
  if (positive === 0.5) return exponent > 0 ? Math.sqrt(value) : 1 / Math.sqrt(value);
  let whole = Math.trunc(positive);
  let rest = positive - whole;
  if (rest !== 0 && value < 0) return Number.NaN;
  let product = 1;
  if (rest !== 0) {
    // Nearer to the whole number above than to the one below.
    if (rest > 0.5) {
      rest--;
      whole++;
    }
    product = Math.exp(rest * Math.log(value));
  }
  let scale = 0;
  let [factor, factorScale] = fraction(value);
  for (; whole > 0; whole = Math.floor(whole / 2)) {
    // Beyond any double already.
    if (Math.abs(factorScale) > 4096) return value ** exponent;
    if (whole % 2 === 1) {
      product *= factor;
      scale += factorScale;
    }
    factor *= factor;
    factorScale *= 2;
    if (factor < 0.5) {
      factor *= 2;
      factorScale--;
    }
  }
  return exponent < 0 ? scaled(1 / product, -scale) : scaled(product, scale);
}

/** A number as a fraction from 0.5 up to 1 (with its sign) and a power of two. */
function fraction(value: number): [number, number] {
  let scale = Math.floor(Math.log2(Math.abs(value))) + 1;
  let part = scaled(value, -scale);
  for (; Math.abs(part) >= 1; scale++) part /= 2;
  for (; Math.abs(part) < 0.5; scale--) part *= 2;
  return [part, scale];
}

/** In halves: one factor alone may be beyond a double where the product is not. */
function scaled(value: number, scale: number): number {
  const half = Math.trunc(scale / 2);
  return value * 2 ** half * 2 ** (scale - half);
}
