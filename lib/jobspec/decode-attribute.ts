import type { Diagnostic, Expression, Type, Value } from '../hcl/index.js';
import {
  BOOL,
  convert,
  errorAt,
  hasErrors,
  isInteger,
  isWhollyKnown,
  listOf,
  mapOf,
  NUMBER,
  STRING,
  toJs,
  typeName,
  typeOf,
} from '../hcl/index.js';
import { startRange } from '../hcl/start-range.js';
import { parseDuration } from '../util/duration.js';
import { evaluateIn, type Scope } from './interpolation.js';
import type { AttributeType, Unit, Zero } from './schema/field.js';

const TYPES: Record<Exclude<AttributeType, 'duration'>, Type> = {
  string: STRING,
  int: NUMBER,
  bool: BOOL,
  strings: listOf(STRING),
  ints: listOf(NUMBER),
  'string-map': mapOf(STRING),
};

const NULL_REFUSED = 'null value is not allowed; leave the argument out where it has no value';

/** The value of `name = expression` as the JSON of its type; `zero` when it is null or wrong (a diagnostic says so). */
export function decodeAttribute(
  type: AttributeType,
  zero: Zero,
  expression: Expression,
  scope: Scope,
  diagnostics: Diagnostic[],
  { max, unit }: { max?: number; unit?: Unit } = {},
): unknown {
  const { value, diagnostics: found } = evaluateIn(expression, scope);
  diagnostics.push(...found);
  if (hasErrors(found)) return zero;
  const decoded = type === 'duration' ? durationOf(value) : convertTo(value, type, zero, max);
  if (decoded.ok) return decoded.value;
  diagnostics.push(unsuitable(expression, decoded.why + countHint(value, unit)));
  return zero;
}

const FACTORS: Readonly<Record<Unit, Readonly<Record<string, number>>>> = {
  MB: { '': 1 / 2 ** 20, k: 1 / 2 ** 10, m: 1, g: 2 ** 10, t: 2 ** 20 },
  MHz: { '': 1e-6, k: 1e-3, m: 1, g: 1e3 },
};

/** "1GB" where a number of MB is wanted: what to write instead. */
function countHint(value: Value, unit: Unit | undefined): string {
  if (!unit || value.kind !== 'string') return '';
  const [, number = '', prefix = ''] = /^\s*(\d+(?:\.\d+)?)\s*([kmgt]?)(?:i?b|hz)?\s*$/i.exec(value.value) ?? [];
  const factor = FACTORS[unit][prefix.toLowerCase()];
  if (number === '' || factor === undefined) return `; it is a number of ${unit}`;
  const count = Math.max(1, Math.ceil(Number(number) * factor));
  return `; it is a number of ${unit} without its unit: write ${count}`;
}

/** `meta = { … }`: any object of which every value can be a string. */
export function decodeMapAttribute(expression: Expression, scope: Scope, diagnostics: Diagnostic[]): unknown {
  return decodeAttribute('string-map', null, expression, scope, diagnostics);
}

/** "This value does not fit", at the first token of an expression. */
export function unsuitable(expression: Expression, why: string): Diagnostic {
  return errorAt(startRange(expression), 'Unsuitable value type', `Unsuitable value: ${why}`, expression.range);
}

type Decoded = { ok: true; value: unknown } | { ok: false; why: string };

/** Converts by HCL's rules: 3 is as good as "3" for a string, and the other way round. */
function convertTo(value: Value, type: Exclude<AttributeType, 'duration'>, zero: Zero, max?: number): Decoded {
  // What is never absent in the API cannot be null in the file either.
  if (value.kind === 'null') return zero === null ? { ok: true, value: zero } : { ok: false, why: NULL_REFUSED };
  const converted = convert(value, TYPES[type]);
  if (!converted.ok)
    return { ok: false, why: `${converted.error.path}${converted.error.path && ': '}${converted.error.message}` };
  if (!isWhollyKnown(converted.value)) return { ok: false, why: 'value must be known' };
  if (type === 'int' || type === 'ints') {
    const numbers = 'items' in converted.value ? converted.value.items : [converted.value];
    if (!numbers.every((n) => isNumberUpTo(n, max))) {
      return {
        ok: false,
        why: `value must be a whole number${max === undefined ? ` up to ${Number.MAX_SAFE_INTEGER}` : `, between 0 and ${max} inclusive`}`,
      };
    }
  }
  const js = toJs(converted.value);
  if (type === 'string-map') return mapOfStrings(js as Record<string, string | null>);
  if (type === 'strings' && (js as unknown[]).includes(null)) return { ok: false, why: 'element must not be null' };
  return { ok: true, value: js };
}

function isNumberUpTo(value: Value, max: number | undefined): boolean {
  if (value.kind !== 'number' || !isInteger(value.value)) return false;
  const number = Number(toJs(value));
  return Number.isSafeInteger(number) && (max === undefined || (number >= 0 && number <= max));
}

function mapOfStrings(js: Record<string, string | null>): Decoded {
  const empty = Object.entries(js).find(([, value]) => value === null);
  if (empty) return { ok: false, why: `element ${JSON.stringify(empty[0])} must not be null` };
  return { ok: true, value: Object.fromEntries(Object.entries(js)) };
}

function durationOf(value: Value): Decoded {
  if (value.kind === 'null') return { ok: false, why: 'a duration must not be null' };
  if (value.kind === 'unknown') return { ok: false, why: 'value must be known' };
  if (value.kind === 'string') {
    const parsed = parseDuration(value.value);
    return parsed.ok ? parsed : { ok: false, why: parsed.error };
  }
  if (value.kind === 'number') {
    return isInteger(value.value)
      ? { ok: true, value: Number(toJs(value)) }
      : { ok: false, why: 'value must be a whole number of nanoseconds' };
  }
  return { ok: false, why: `expected a string such as "30s" but found ${typeName(typeOf(value))}` };
}
