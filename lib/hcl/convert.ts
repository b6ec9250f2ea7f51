import { err, ok, type Result } from '../util/result.js';
import { bigFloatToString, parseBigFloat } from './number.js';
import { DYNAMIC, listOf, mapOf, STRING, sameType, type Type, typeName } from './types.js';
import {
  FALSE,
  listValue,
  mapValue,
  numberValue,
  objectValue,
  setValue,
  stringValue,
  TRUE,
  tupleValue,
  typeOf,
  unknownValue,
  type Value,
} from './values.js';

/** Why a value cannot be of a type; `path` leads to the culprit inside of it (".name[0]"). */
export interface ConversionFailure {
  readonly message: string;
  readonly path: string;
}

type Converted = Result<Value, ConversionFailure>;

/** The value as one of the wanted type, by cty's rules: "1" becomes 1 for a number, a tuple a list, and so on. */
export function convert(value: Value, type: Type): Converted {
  if (type.kind === 'dynamic') return ok(value);
  if (value.kind === 'null') {
    return value.type.kind === 'dynamic' || canConvert(value.type, type)
      ? ok({ kind: 'null', type })
      : refuse(value, type);
  }
  if (value.kind === 'unknown') {
    return value.type.kind === 'dynamic' || canConvert(value.type, type) ? ok(unknownValue(type)) : refuse(value, type);
  }
  switch (type.kind) {
    case 'string':
      return toStringValue(value, type);
    case 'number':
      return toNumber(value, type);
    case 'bool':
      return toBool(value, type);
    case 'list':
    case 'set':
      return toSequence(value, type);
    case 'map':
      return toMap(value, type);
    case 'tuple':
      return toTuple(value, type);
    case 'object':
      return toObject(value, type);
  }
}

function refuse(value: Value, type: Type): Converted {
  return err({ message: mismatch(typeOf(value), type), path: '' });
}

function mismatch(got: Type, want: Type): string {
  const any = 'element' in want && want.element.kind === 'dynamic';
  const structural = got.kind === 'tuple' || got.kind === 'object';
  if (structural && any && got.kind === (want.kind === 'map' ? 'object' : 'tuple')) {
    return `all ${want.kind} elements must have the same type`;
  }
  return `${typeName(want)} required`;
}

function toStringValue(value: Value, type: Type): Converted {
  if (value.kind === 'string') return ok(value);
  if (value.kind === 'number') return ok(stringValue(bigFloatToString(value.value)));
  if (value.kind === 'bool') return ok(stringValue(String(value.value)));
  return refuse(value, type);
}

function toNumber(value: Value, type: Type): Converted {
  if (value.kind === 'number') return ok(value);
  if (value.kind !== 'string') return refuse(value, type);
  const number = parseBigFloat(value.value);
  return number ? ok(numberValue(number)) : err({ message: 'a number is required', path: '' });
}

function toBool(value: Value, type: Type): Converted {
  if (value.kind === 'bool') return ok(value);
  if (value.kind !== 'string') return refuse(value, type);
  if (value.value === 'true' || value.value === '1') return ok(TRUE);
  if (value.value === 'false' || value.value === '0') return ok(FALSE);
  const lower = value.value.toLowerCase();
  const hint = lower === 'true' || lower === 'false' ? `; to convert from string, use lowercase "${lower}"` : '';
  return err({ message: `a bool is required${hint}`, path: '' });
}

type ElementsType = Type & { readonly kind: 'list' | 'set' | 'map' };

function toSequence(value: Value, type: ElementsType): Converted {
  if (value.kind !== 'list' && value.kind !== 'set' && value.kind !== 'tuple') return refuse(value, type);
  const element = elementType(type.element, value.items);
  if (!element) return refuse(value, type);
  const items: Value[] = [];
  for (const [i, item] of value.items.entries()) {
    const converted = convert(item, element);
    if (!converted.ok) return within(converted.error, `[${i}]`, `element ${i}`);
    items.push(converted.value);
  }
  return ok(type.kind === 'list' ? listValue(element, items) : setValue(element, items));
}

function within(failure: ConversionFailure, step: string, place: string): Converted {
  const message = failure.path === '' ? `${place}: ${failure.message}` : failure.message;
  return err({ message, path: step + failure.path });
}

/** The element type asked for, or (for `any`) the one that all elements have in common. */
function elementType(wanted: Type, items: Iterable<Value>): Type | null {
  return wanted.kind === 'dynamic' ? unify([...items].map(typeOf)) : wanted;
}

function toMap(value: Value, type: ElementsType): Converted {
  if (value.kind !== 'map' && value.kind !== 'object') return refuse(value, type);
  const element = elementType(type.element, value.entries.values());
  if (!element) return refuse(value, type);
  const entries: [string, Value][] = [];
  for (const [key, item] of value.entries) {
    const converted = convert(item, element);
    if (!converted.ok) return within(converted.error, `[${JSON.stringify(key)}]`, `element ${JSON.stringify(key)}`);
    entries.push([key, converted.value]);
  }
  return ok(mapValue(element, entries));
}

function toTuple(value: Value, type: Type & { readonly kind: 'tuple' }): Converted {
  const isSequence = value.kind === 'tuple' || value.kind === 'list';
  if (!isSequence || value.items.length !== type.items.length) return refuse(value, type);
  const items: Value[] = [];
  for (const [i, item] of value.items.entries()) {
    const converted = convert(item, type.items[i] as Type);
    if (!converted.ok) return within(converted.error, `[${i}]`, `element ${i}`);
    items.push(converted.value);
  }
  return ok(tupleValue(items));
}

function toObject(value: Value, type: Type & { readonly kind: 'object' }): Converted {
  if (value.kind !== 'object' && value.kind !== 'map') return refuse(value, type);
  const entries: [string, Value][] = [];
  for (const [name, attributeType] of type.attributes) {
    const given = value.entries.get(name);
    const missing = type.optional?.get(name);
    // A null, too, is given way to the default.
    const item = missing && (!given || given.kind === 'null') ? missing : given;
    if (!item) return err({ message: `attribute ${JSON.stringify(name)} is required`, path: '' });
    const converted = convert(item, attributeType);
    if (!converted.ok) return within(converted.error, `.${name}`, `attribute ${JSON.stringify(name)}`);
    entries.push([name, converted.value]);
  }
  return ok(objectValue(entries));
}

const PRIMITIVES = ['string', 'number', 'bool'];

/** Whether some values of one type can be had as the other; a string may turn out to be no number all the same. */
function canConvert(from: Type, to: Type): boolean {
  if (from.kind === 'dynamic' || to.kind === 'dynamic' || sameType(from, to)) return true;
  if (PRIMITIVES.includes(from.kind))
    return to.kind === 'string' || (from.kind === 'string' && PRIMITIVES.includes(to.kind));
  if (to.kind === 'list' || to.kind === 'set') {
    if (from.kind === 'tuple') return from.items.every((item) => canConvert(item, to.element));
    return (from.kind === 'list' || from.kind === 'set') && canConvert(from.element, to.element);
  }
  if (to.kind === 'map') {
    if (from.kind === 'object') return [...from.attributes.values()].every((item) => canConvert(item, to.element));
    return from.kind === 'map' && canConvert(from.element, to.element);
  }
  if (to.kind === 'tuple' && from.kind === 'tuple' && to.items.length === from.items.length) {
    return from.items.every((item, i) => canConvert(item, to.items[i] as Type));
  }
  if (to.kind !== 'object') return false;
  if (from.kind === 'map') return [...to.attributes.values()].every((item) => canConvert(from.element, item));
  return (
    from.kind === 'object' &&
    [...to.attributes].every(
      ([name, item]) =>
        canConvert(from.attributes.get(name) ?? DYNAMIC, item) && (from.attributes.has(name) || to.optional?.has(name)),
    )
  );
}

/** The one type that all can be converted to without loss (numbers and bools to strings, objects to maps), or null. */
export function unify(types: readonly Type[]): Type | null {
  const known = types.filter(({ kind }) => kind !== 'dynamic');
  const [first] = known;
  if (!first) return DYNAMIC;
  if (known.every((type) => sameType(type, first))) return first;
  if (known.every(({ kind }) => PRIMITIVES.includes(kind))) {
    return known.some(({ kind }) => kind === 'string') ? STRING : null;
  }
  if (known.every(({ kind }) => kind === 'object' || kind === 'map')) return unifyKeyed(known);
  if (known.every(({ kind }) => kind === 'tuple' || kind === 'list' || kind === 'set')) return unifySequences(known);
  return null;
}

function unifyKeyed(types: readonly Type[]): Type | null {
  const objects = types.filter((type): type is Type & { kind: 'object' } => type.kind === 'object');
  const [first] = objects;
  const alike = first && objects.every(({ attributes }) => sameKeys(attributes, first.attributes));
  if (objects.length === types.length && alike) {
    const attributes = new Map<string, Type>();
    for (const name of first.attributes.keys()) {
      const type = unify(objects.map((object) => object.attributes.get(name) as Type));
      if (!type) return null;
      attributes.set(name, type);
    }
    return { kind: 'object', attributes };
  }
  const element = unify(
    types.flatMap((type) => (type.kind === 'object' ? [...type.attributes.values()] : elementsOf(type))),
  );
  return element && mapOf(element);
}

function sameKeys(a: ReadonlyMap<string, unknown>, b: ReadonlyMap<string, unknown>): boolean {
  return a.size === b.size && [...a.keys()].every((key) => b.has(key));
}

function elementsOf(type: Type): readonly Type[] {
  if ('element' in type) return [type.element];
  return type.kind === 'tuple' ? type.items : [];
}

function unifySequences(types: readonly Type[]): Type | null {
  const tuples = types.filter((type): type is Type & { kind: 'tuple' } => type.kind === 'tuple');
  const length = tuples[0]?.items.length ?? 0;
  if (tuples.length === types.length && tuples.every(({ items }) => items.length === length)) {
    const items = Array.from({ length }, (_, i) => unify(tuples.map((tuple) => tuple.items[i] as Type)));
    return items.every((item) => item !== null) ? { kind: 'tuple', items } : null;
  }
  const element = unify(types.flatMap(elementsOf));
  if (!element) return null;
  return types.every(({ kind }) => kind === 'set') ? { kind: 'set', element } : listOf(element);
}
