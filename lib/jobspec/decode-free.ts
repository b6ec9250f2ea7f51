import type { Block, Body, Diagnostic, Expression } from '../hcl/index.js';
import { hasErrors, isWhollyKnown, toJs } from '../hcl/index.js';
import type { Decoding } from './decode.js';
import { decodeAttribute, unsuitable } from './decode-attribute.js';
import { expandDynamic, type ScopedItem } from './dynamic-blocks.js';
import { evaluateIn, type Scope } from './interpolation.js';
import type { Raw } from './schema/field.js';

/** The inside of a block whose keys are the user's: strings (env, meta), lists of them (header), or anything (config). */
export function decodeFree(of: 'string' | 'strings' | 'any', body: Body, scope: Scope, out: Decoding): Raw {
  const items = expandDynamic(body.items, scope, out.diagnostics);
  if (of === 'any') return decodeAny(items, out.diagnostics);
  const pairs: [string, unknown][] = [];
  const keys = new Map<string, Body['range']>();
  for (const { item, scope: inner } of items) {
    if (item.kind === 'attribute') {
      const value = decodeAttribute(of, null, item.expression, inner, out.diagnostics);
      if (value === null && !hasErrors(out.diagnostics)) {
        out.diagnostics.push(unsuitable(item.expression, 'value must not be null'));
      }
      pairs.push([item.name, value]);
      keys.set(item.name, item.range);
    } else {
      const wanted = of === 'string' ? 'string' : 'list of string';
      const place: Expression = { kind: 'invalid', range: item.headerRange };
      out.diagnostics.push(unsuitable(place, `${wanted} required, not a block`));
    }
  }
  const raw = Object.fromEntries(pairs);
  out.places.set(raw, { range: body.range, keys });
  return raw;
}

/**
 * A driver's configuration, whose schema is the driver's. Blocks and objects come out alike, as lists of objects, and
 * labels as further levels: what Nomad's drivers are used to.
 */
function decodeAny(items: readonly ScopedItem[], diagnostics: Diagnostic[]): Raw {
  const values = new Map<string, unknown>();
  for (const { item, scope } of items) {
    if (item.kind === 'attribute') {
      values.set(item.name, anyValue(item.expression, scope, diagnostics));
      continue;
    }
    const before = values.get(item.type);
    const made = blockValue(item, scope, diagnostics);
    values.set(item.type, Array.isArray(before) ? [...before, made] : [made]);
  }
  return Object.fromEntries(values);
}

function blockValue(block: Block, scope: Scope, diagnostics: Diagnostic[]): Raw {
  const inside = decodeAny(expandDynamic(block.body.items, scope, diagnostics), diagnostics);
  return block.labels.reduceRight<Raw>((value, label) => Object.fromEntries([[label.value, [value]]]), inside);
}

function anyValue(expression: Expression, scope: Scope, diagnostics: Diagnostic[]): unknown {
  const { value, diagnostics: found } = evaluateIn(expression, scope);
  diagnostics.push(...found);
  if (hasErrors(found)) return null;
  if (!isWhollyKnown(value)) {
    diagnostics.push(unsuitable(expression, 'value is not known'));
    return null;
  }
  const given = toJs(value);
  const lost = lostInteger(given);
  if (lost !== null) {
    diagnostics.push(unsuitable(expression, `${lost} has more digits than a number in JSON keeps; write "${lost}"`));
    return null;
  }
  const plain = plainJson(given);
  return expression.kind === 'object' ? [plain] : plain;
}

const INT64_MAX = 2n ** 63n - 1n;

/** An integer of 64 bits that JSON's readers would round; beyond those Nomad rounds too. */
function lostInteger(value: unknown): bigint | null {
  if (typeof value === 'bigint') {
    const fits = value <= INT64_MAX && value >= -INT64_MAX - 1n;
    return fits && BigInt(Number(value)) !== value ? value : null;
  }
  if (typeof value !== 'object' || value === null) return null;
  for (const item of Object.values(value)) {
    const lost = lostInteger(item);
    if (lost !== null) return lost;
  }
  return null;
}

/** JSON has no bigint, and objects get a prototype, as what is read from JSON has. */
function plainJson(value: unknown): unknown {
  if (typeof value === 'bigint') return Number(value);
  if (Array.isArray(value)) return value.map(plainJson);
  if (typeof value === 'object' && value !== null) {
    return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, plainJson(item)]));
  }
  return value;
}
