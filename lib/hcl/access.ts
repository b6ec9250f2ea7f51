import { convert } from './convert.js';
import { type Diagnostic, errorAt, type SourceRange } from './diagnostics.js';
import { type BigFloat, isInteger, toDouble } from './number.js';
import { DYNAMIC, NUMBER, STRING, type Type } from './types.js';
import { UNKNOWN, unknownValue, type Value } from './values.js';

export type Accessed = Value | Diagnostic;

/** Whether an access gave a value rather than a complaint. */
export function isValue(accessed: Accessed): accessed is Value {
  return 'kind' in accessed;
}

/** `value.name` */
export function attributeOf(value: Value, name: string, range: SourceRange): Accessed {
  if (value.kind === 'null') {
    const detail = 'This value is null, so it does not have any attributes.';
    return errorAt(range, 'Attempt to get attribute from null value', detail);
  }
  if (value.kind === 'unknown') return unknownAttribute(value.type, name, range);
  if (value.kind === 'object') {
    return value.entries.get(name) ?? noAttribute(range, `This object does not have an attribute named "${name}".`);
  }
  if (value.kind === 'map') {
    const detail = `This map does not have an element with the key "${name}".`;
    return value.entries.get(name) ?? errorAt(range, 'Missing map element', detail);
  }
  if (value.kind === 'list' && value.element.kind === 'object') {
    return noAttribute(
      range,
      "Can't access attributes on a list of objects. Did you mean to access an attribute for a specific element of the list, or across all elements of the list?",
    );
  }
  if ('value' in value) {
    return noAttribute(range, `Can't access attributes on a primitive-typed value (${value.kind}).`);
  }
  return noAttribute(range, 'This value does not have any attributes.');
}

function noAttribute(range: SourceRange, detail: string): Diagnostic {
  return errorAt(range, 'Unsupported attribute', detail);
}

function unknownAttribute(type: Type, name: string, range: SourceRange): Accessed {
  if (type.kind === 'dynamic') return UNKNOWN;
  if (type.kind === 'map') return unknownValue(type.element);
  if (type.kind !== 'object') return noAttribute(range, 'This value does not have any attributes.');
  const attribute = type.attributes.get(name);
  if (!attribute) return noAttribute(range, `This object does not have an attribute named "${name}".`);
  return unknownValue(attribute);
}

const NO_ELEMENT = 'The given key does not identify an element in this collection value';

function whyNoItem(items: readonly Value[], index: BigFloat): string {
  if (!isInteger(index))
    return 'indexing a sequence requires a whole number, but the given index has a fractional part';
  if (index.mantissa < 0n) return 'a negative number is not a valid index for a sequence';
  if (items.length === 0) return 'the collection has no elements';
  return 'the given index is greater than or equal to the length of the collection';
}

/** `value[key]` */
export function elementOf(value: Value, key: Value, range: SourceRange): Accessed {
  const refuse = (detail: string): Diagnostic => errorAt(range, 'Invalid index', detail);
  if (value.kind === 'null') {
    const detail = 'This value is null, so it does not have any indices.';
    return errorAt(range, 'Attempt to index null value', detail);
  }
  if (key.kind === 'null') return refuse("Can't use a null value as an indexing key.");
  if (value.kind === 'unknown') {
    const { type } = value;
    return unknownValue(type.kind === 'list' || type.kind === 'map' ? type.element : DYNAMIC);
  }
  switch (value.kind) {
    case 'list':
    case 'tuple': {
      const index = convert(key, NUMBER);
      if (!index.ok) return refuse(`${NO_ELEMENT}: ${index.error.message}.`);
      if (index.value.kind !== 'number') return unknownValue(value.kind === 'list' ? value.element : DYNAMIC);
      return (
        value.items[toDouble(index.value.value)] ??
        refuse(`${NO_ELEMENT}: ${whyNoItem(value.items, index.value.value)}.`)
      );
    }
    case 'map':
    case 'object': {
      const name = convert(key, STRING);
      if (!name.ok) return refuse(`${NO_ELEMENT}: ${name.error.message}.`);
      if (name.value.kind !== 'string') return unknownValue(value.kind === 'map' ? value.element : DYNAMIC);
      return value.entries.get(name.value.value) ?? refuse(`${NO_ELEMENT}.`);
    }
    case 'set':
      return refuse(
        "Elements of a set are identified only by their value and don't have any separate index or key to select with, so it's only possible to perform operations across all elements of the set.",
      );
    default:
      return refuse('This value does not have any indices.');
  }
}
