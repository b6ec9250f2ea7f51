import type { NumberConstant } from './ast.js';
import { unquote } from './quote.js';

const INT_MIN = -(2n ** 63n);
const INT_MAX = 2n ** 63n - 1n;
const UINT_MAX = 2n ** 64n - 1n;

/** What a number of a template means, null when it is none: Go's literals, without complex ones. */
export function parseNumber(text: string): NumberConstant | null {
  if (text.startsWith("'")) {
    const char = unquote(text);
    const code = char === null ? undefined : char.codePointAt(0);
    if (char === null || code === undefined || [...char].length !== 1) return null;
    return { type: 'int', value: BigInt(code) };
  }
  const parts = /^([+-]?)(.*)$/s.exec(text);
  const [sign, body] = [parts?.[1] === '-' ? -1n : 1n, withoutUnderscores(parts?.[2] ?? '')];
  if (body === null) return null;
  const integer = parseInteger(body);
  if (integer !== null) {
    const value = sign * integer;
    if (value < INT_MIN || value > UINT_MAX) return { type: 'too large' };
    return value > INT_MAX ? { type: 'overflow' } : { type: 'int', value };
  }
  if (/^\d+$/.test(body)) return { type: 'too large' };
  const float = /^(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?$/.test(body) ? Number(body) : hexFloat(body);
  return float === null || !Number.isFinite(float) ? null : { type: 'float', value: Number(sign) * float };
}

function parseInteger(body: string): bigint | null {
  if (/^0[xX][0-9a-fA-F]+$/.test(body) || /^0[oO][0-7]+$/.test(body) || /^0[bB][01]+$/.test(body)) {
    return BigInt(body.toLowerCase());
  }
  if (/^0[0-7]+$/.test(body)) return BigInt(`0o${body.slice(1)}`);
  return /^(0|[1-9]\d*)$/.test(body) ? BigInt(body) : null;
}

function hexFloat(body: string): number | null {
  const parts = /^0[xX]([0-9a-fA-F]*)(?:\.([0-9a-fA-F]*))?[pP]([+-]?\d+)$/.exec(body);
  if (!parts) return null;
  const [, whole = '', fraction = '', exponent = '0'] = parts;
  if (whole + fraction === '') return null;
  return Number(BigInt(`0x${whole}${fraction}`)) * 2 ** (Number(exponent) - 4 * fraction.length);
}

/** Underscores stand between digits, or between the prefix of a base and a digit. */
function withoutUnderscores(body: string): string | null {
  if (!body.includes('_')) return body;
  const based = /^0[xXoObB]/.test(body);
  if (!based && !/^0_|^[1-9]/.test(body)) return null;
  return /(^|[^0-9a-fA-FxXoObB])_|_(?![0-9a-fA-F])/.test(body) ? null : body.replaceAll('_', '');
}
