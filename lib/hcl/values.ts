import { type BigFloat, bigFloat, bigFloatToString, compare, isInteger, toDouble, truncate } from './number.js';
import { BOOL, DYNAMIC, listOf, mapOf, NUMBER, STRING, sameType, setOf, type Type } from './types.js';

/**
 * A value of HCL, as HashiCorp's cty has them. Brackets in a source give tuples and objects; lists, sets and maps (one
 * type for all elements) come from functions and conversions. Entries are kept in the order of their keys.
 */
export type Value =
  | { readonly kind: 'string'; readonly value: string }
  | { readonly kind: 'number'; readonly value: BigFloat }
  | { readonly kind: 'bool'; readonly value: boolean }
  | { readonly kind: 'null'; readonly type: Type }
  | { readonly kind: 'unknown'; readonly type: Type }
  | { readonly kind: 'list' | 'set'; readonly element: Type; readonly items: readonly Value[] }
  | { readonly kind: 'map'; readonly element: Type; readonly entries: ReadonlyMap<string, Value> }
  | { readonly kind: 'tuple'; readonly items: readonly Value[] }
  | { readonly kind: 'object'; readonly entries: ReadonlyMap<string, Value> };

export const TRUE: Value = { kind: 'bool', value: true };
export const FALSE: Value = { kind: 'bool', value: false };
/** `null` as a source has it: of no type yet. */
export const NULL: Value = { kind: 'null', type: DYNAMIC };
export const UNKNOWN: Value = { kind: 'unknown', type: DYNAMIC };

export function stringValue(value: string): Value {
  return { kind: 'string', value: value.normalize('NFC') };
}

/** From a JS number (finite), a bigint, or the exact number itself. */
export function numberValue(value: number | bigint | BigFloat): Value {
  return { kind: 'number', value: typeof value === 'object' ? value : bigFloat(value) };
}

export function boolValue(value: boolean): Value {
  return value ? TRUE : FALSE;
}

export function nullValue(type: Type): Value {
  return { kind: 'null', type };
}

export function unknownValue(type: Type): Value {
  return { kind: 'unknown', type };
}

export function tupleValue(items: readonly Value[]): Value {
  return { kind: 'tuple', items };
}

export function listValue(element: Type, items: readonly Value[]): Value {
  return { kind: 'list', element, items };
}

/** Equal items are kept once, in the order in which cty walks a set. */
export function setValue(element: Type, items: readonly Value[]): Value {
  const distinct: Value[] = [];
  const seen = new Set<string>();
  for (const item of items) {
    const key = valueKey(item);
    if (!seen.has(key)) distinct.push(item);
    seen.add(key);
  }
  return { kind: 'set', element, items: distinct.sort(compareForSet) };
}

/** A text that is equal for equal values: what sets and `distinct` look values up by. */
export function valueKey(value: Value): string {
  switch (value.kind) {
    case 'string':
      return JSON.stringify(value.value);
    case 'number':
      return value.value.mantissa === 0n ? '0' : bigFloatToString(value.value);
    case 'bool':
      return String(value.value);
    case 'null':
      return 'null';
    case 'unknown':
      return 'unknown';
    case 'list':
    case 'set':
    case 'tuple':
      return `${value.kind}[${value.items.map(valueKey).join(',')}]`;
    case 'map':
    case 'object':
      return `${value.kind}{${[...value.entries].map(([k, v]) => `${JSON.stringify(k)}:${valueKey(v)}`).join(',')}}`;
  }
}

function compareForSet(a: Value, b: Value): number {
  // Null comes last.
  if (a.kind === 'null' || b.kind === 'null') return Number(a.kind === 'null') - Number(b.kind === 'null');
  if (a.kind === 'string' && b.kind === 'string') return compareStrings(a.value, b.value);
  if (a.kind === 'number' && b.kind === 'number') return compare(a.value, b.value);
  if (a.kind === 'bool' && b.kind === 'bool') return Number(a.value) - Number(b.value);
  return compareStrings(valueKey(a), valueKey(b));
}

/** By code point, as Go compares (UTF-8 bytes give the same order). */
export function compareStrings(a: string, b: string): number {
  const length = Math.min(a.length, b.length);
  for (let i = 0; i < length; i++) {
    const x = a.charCodeAt(i);
    const y = b.charCodeAt(i);
    if (x === y) continue;
    // A surrogate stands for a code point above U+FFFF, though its unit is smaller than U+E000.
    const high = (unit: number): number => (unit >= 0xd800 && unit <= 0xdfff ? unit + 0x10000 : unit);
    return high(x) - high(y);
  }
  return a.length - b.length;
}

function sorted(entries: Iterable<readonly [string, Value]>): Map<string, Value> {
  return new Map([...entries].sort(([a], [b]) => compareStrings(a, b)) as [string, Value][]);
}

/** The entries of a plain record or of pairs, sorted by key. */
export function objectValue(entries: Iterable<readonly [string, Value]> | Record<string, Value>): Value {
  return { kind: 'object', entries: sorted(Symbol.iterator in entries ? entries : Object.entries(entries)) };
}

export function mapValue(element: Type, entries: Iterable<readonly [string, Value]>): Value {
  return { kind: 'map', element, entries: sorted(entries) };
}

/** The exact type of a value. */
export function typeOf(value: Value): Type {
  switch (value.kind) {
    case 'string':
      return STRING;
    case 'number':
      return NUMBER;
    case 'bool':
      return BOOL;
    case 'null':
    case 'unknown':
      return value.type;
    case 'list':
      return listOf(value.element);
    case 'set':
      return setOf(value.element);
    case 'map':
      return mapOf(value.element);
    case 'tuple':
      return { kind: 'tuple', items: value.items.map(typeOf) };
    case 'object':
      return { kind: 'object', attributes: new Map([...value.entries].map(([key, item]) => [key, typeOf(item)])) };
  }
}

/** Whether nothing in it, at any depth, is unknown. */
export function isWhollyKnown(value: Value): boolean {
  if (value.kind === 'unknown') return false;
  if ('items' in value) return value.items.every(isWhollyKnown);
  if ('entries' in value) return [...value.entries.values()].every(isWhollyKnown);
  return true;
}

/** Whether two known values are equal; values of different types never are. */
export function valuesEqual(a: Value, b: Value): boolean {
  if (a.kind === 'null' || b.kind === 'null') return a.kind === b.kind;
  if (a.kind === 'number' && b.kind === 'number') return compare(a.value, b.value) === 0;
  if (a.kind === 'string' || a.kind === 'bool' || a.kind === 'number') {
    return a.kind === b.kind && 'value' in b && a.value === b.value;
  }
  return sameType(typeOf(a), typeOf(b)) && valueKey(a) === valueKey(b);
}

/** A JS value: maps and objects as records without a prototype, integers beyond 2^53 as bigint; unknown is undefined. */
export function toJs(value: Value): unknown {
  switch (value.kind) {
    case 'string':
    case 'bool':
      return value.value;
    case 'number':
      return numberToJs(value.value);
    case 'null':
      return null;
    case 'unknown':
      return undefined;
    case 'list':
    case 'set':
    case 'tuple':
      return value.items.map(toJs);
    case 'map':
    case 'object': {
      const record: Record<string, unknown> = Object.create(null);
      for (const [key, item] of value.entries) record[key] = toJs(item);
      return record;
    }
  }
}

function numberToJs(value: BigFloat): number | bigint {
  if (!isInteger(value)) return toDouble(value);
  const whole = truncate(value);
  return whole >= BigInt(Number.MIN_SAFE_INTEGER) && whole <= BigInt(Number.MAX_SAFE_INTEGER) ? Number(whole) : whole;
}

/** Tuples and objects out of a JS value (what JSON.parse gives; bigint too); undefined becomes null. */
export function fromJs(value: unknown): Value {
  if (value === null || value === undefined) return NULL;
  if (typeof value === 'string') return stringValue(value);
  if (typeof value === 'boolean') return boolValue(value);
  if (typeof value === 'number' || typeof value === 'bigint') return numberValue(value);
  if (Array.isArray(value)) return tupleValue(value.map(fromJs));
  return objectValue(Object.entries(value as object).map(([key, item]) => [key, fromJs(item)] as const));
}

/** The elements of a collection with their keys, in order: indexes for lists, names for maps, itself for sets. */
export function elementsOf(value: Value): [Value, Value][] | null {
  switch (value.kind) {
    case 'list':
    case 'tuple':
      return value.items.map((item, i) => [numberValue(i), item]);
    case 'set':
      return value.items.map((item) => [item, item]);
    case 'map':
    case 'object':
      return [...value.entries].map(([key, item]) => [stringValue(key), item]);
    default:
      return null;
  }
}

/** How large a value is: values at all depths (a shared part counts each time it occurs), and levels. */
export interface Extent {
  readonly size: number;
  readonly depth: number;
}

const LEAF: Extent = { size: 1, depth: 1 };
const extents = new WeakMap<Value, Extent>();

/** The extent of a value. Shared parts are walked through once only. */
export function extentOf(value: Value): Extent {
  if ('value' in value || value.kind === 'null' || value.kind === 'unknown') return LEAF;
  const known = extents.get(value);
  if (known) return known;
  let size = 1;
  let depth = 0;
  for (const item of 'items' in value ? value.items : value.entries.values()) {
    const extent = extentOf(item);
    size += extent.size;
    depth = Math.max(depth, extent.depth);
  }
  const extent = { size, depth: depth + 1 };
  extents.set(value, extent);
  return extent;
}
