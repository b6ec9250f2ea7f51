import { ok } from '../../util/result.js';
import type { CallResult, HclFunction } from '../context.js';
import { convert, unify } from '../convert.js';
import { BOOL, DYNAMIC, listOf, NUMBER, STRING, sameType, type Type, typeName } from '../types.js';
import {
  boolValue,
  compareStrings,
  listValue,
  mapValue,
  numberValue,
  objectValue,
  stringValue,
  tupleValue,
  typeOf,
  type Value,
  valueKey,
  valuesEqual,
} from '../values.js';
import {
  any,
  define,
  entriesOf,
  integerOf,
  itemsOf,
  listOfTexts,
  NOT_WHOLE,
  number,
  orderedItemsOf,
  refuse,
  text,
  textOf,
  texts,
  textsOf,
} from './define.js';

type Call = (args: readonly Value[]) => CallResult;

const anyList = { name: 'list', type: listOf(DYNAMIC) };
const nameOf = (value: Value | undefined): string => (value ? typeName(typeOf(value)) : 'nothing');

const length: Call = ([value]) => {
  // An object has attributes, not elements: it has no length there.
  const size = itemsOf(value)?.length ?? (value?.kind === 'map' ? value.entries.size : undefined);
  return size === undefined ? refuse('collection must be a list, a map or a tuple') : ok(numberValue(size));
};

const element: Call = ([list, at]) => {
  const items = orderedItemsOf(list);
  if (!items) return refuse(`cannot read elements from ${nameOf(list)}`);
  const index = integerOf(at);
  if (index === null) return refuse(`invalid index: ${NOT_WHOLE}`);
  if (items.length === 0) return refuse('cannot use element function with an empty list');
  return ok(items[((index % items.length) + items.length) % items.length] as Value);
};

/** `index(collection, key)` is what `collection[key]` is, with the key of the right type already. */
const index: Call = ([collection, key]) => {
  if (!collection || !key) return refuse('a collection and a key are required');
  switch (collection.kind) {
    case 'tuple': {
      if (key.kind !== 'number') return refuse('key for tuple must be number');
      const at = integerOf(key);
      if (at === null) return refuse(`invalid key for tuple: ${NOT_WHOLE}`);
      const found = collection.items[at];
      return found ? ok(found) : refuse(`key must be between 0 and ${collection.items.length} inclusive`);
    }
    case 'list': {
      if (key.kind !== 'number') return refuse('key for list must be number');
      const found = collection.items[integerOf(key) ?? -1];
      return found ? ok(found) : refuse('invalid index');
    }
    case 'map': {
      if (key.kind !== 'string') return refuse('key for map must be string');
      const found = collection.entries.get(key.value);
      return found ? ok(found) : refuse('invalid index');
    }
    default:
      return refuse('collection must be a list, a map or a tuple');
  }
};

const lookup: Call = ([collection, key, fallback]) => {
  const entries = entriesOf(collection);
  if (!entries || !collection || !fallback) return refuse('lookup() requires a map as the first argument', 0);
  const found = entries.get(textOf(key));
  if (collection.kind !== 'map') return ok(found ?? fallback);
  const converted = convert(fallback, collection.element);
  if (!converted.ok) return refuse('the default value must have the same type as the map elements', 2);
  return ok(found ?? converted.value);
};

const merge: Call = (values) => {
  const entries = new Map<string, Value>();
  for (const value of values) {
    const own = entriesOf(value);
    const absent = value.kind === 'null' && ['dynamic', 'map', 'object'].includes(value.type.kind);
    if (!own && !absent) return refuse(`arguments must be maps or objects, got ${JSON.stringify(nameOf(value))}`);
    for (const [key, item] of own ?? []) entries.set(key, item);
  }
  const [first, ...others] = values;
  const alike = first?.kind === 'map' && others.every((other) => sameType(typeOf(other), typeOf(first)));
  return ok(alike ? mapValue(first.element, entries) : objectValue(entries));
};

const LEVELS_MAX = 500;

/** The items of the items and so on, as long as they are sequences; null when they lie too deep. */
function flattened(items: readonly Value[], into: Value[], level = 0): Value[] | null {
  if (level > LEVELS_MAX) return null;
  for (const item of items) {
    const inner = itemsOf(item);
    if (!inner) into.push(item);
    else if (!flattened(inner, into, level + 1)) return null;
  }
  return into;
}

const flatten: Call = ([list]) => {
  const items = itemsOf(list);
  if (!items) return refuse('can only flatten lists, sets and tuples');
  const all = flattened(items, []);
  return all ? ok(tupleValue(all)) : refuse('the lists are nested too deep');
};

const distinct: Call = ([list]) => {
  const items = itemsOf(list) ?? [];
  const seen = new Map<string, Value>();
  for (const item of items) if (!seen.has(valueKey(item))) seen.set(valueKey(item), item);
  return ok(listValue(list?.kind === 'list' ? list.element : DYNAMIC, [...seen.values()]));
};

const contains: Call = ([list, value]) => {
  const items = itemsOf(list);
  if (!items) return refuse('argument must be list, tuple, or set');
  return ok(boolValue(items.some((item) => value !== undefined && valuesEqual(item, value))));
};

const slice: Call = ([list, start, end]) => {
  if (list?.kind === 'set') {
    return refuse(
      'cannot slice a set, because its elements do not have indices; explicitly convert to a list if the ordering of the result is not important',
      0,
    );
  }
  const items = orderedItemsOf(list);
  if (!items) return refuse('must be a list or tuple value', 0);
  const [from, to] = [integerOf(start), integerOf(end)];
  const beyond = 'must not be greater than the length of the list';
  if (from === null) return refuse(`invalid start index: ${NOT_WHOLE}`, 1);
  if (from < 0) return refuse('start index must not be less than zero', 1);
  if (from > items.length) return refuse(`start index ${beyond}`, 1);
  if (to === null) return refuse(`invalid end index: ${NOT_WHOLE}`, 2);
  if (to < 0) return refuse('end index must not be less than zero', 2);
  if (to > items.length) return refuse(`end index ${beyond}`, 2);
  if (from > to) return refuse('start index must not be greater than end index', 1);
  const cut = items.slice(from, to);
  return ok(list?.kind === 'list' ? listValue(list.element, cut) : tupleValue(cut));
};

const chunklist: Call = ([list, sizeValue]) => {
  const items = itemsOf(list) ?? [];
  const size = integerOf(sizeValue);
  if (size === null) return refuse(`invalid size: ${NOT_WHOLE}`);
  if (size < 0) return refuse('the size argument must be positive');
  const type = list ? typeOf(list) : listOf(DYNAMIC);
  const chunk = (part: readonly Value[]): Value => listValue('element' in type ? type.element : DYNAMIC, part);
  const chunks: Value[] = [];
  for (let i = 0; i < items.length; i += size || items.length)
    chunks.push(chunk(items.slice(i, i + (size || items.length))));
  return ok(listValue(type, chunks));
};

/** Null when there is none. A bare null could be of any type: beside one, collections may stay as they are. */
function commonType(types: readonly Type[]): Type | null {
  const typed = types.filter(({ kind }) => kind !== 'dynamic');
  const kinds = new Set(typed.map(({ kind }) => kind));
  const plain = [...kinds].every((kind) => kind === 'string' || kind === 'number' || kind === 'bool');
  if (typed.length === types.length) return unify(typed);
  if (plain) return (typed.length > 0 ? unify(typed) : null) ?? DYNAMIC;
  return kinds.has('tuple') && kinds.has('object') ? null : DYNAMIC;
}

const coalesce: Call = (values) => {
  const type = values.length > 0 ? commonType(values.map(typeOf)) : null;
  if (!type) return refuse('all arguments must have the same type');
  const found = values.find(({ kind }) => kind !== 'null');
  if (!found) return refuse('no non-null arguments');
  const converted = convert(found, type);
  return converted.ok ? ok(converted.value) : refuse(converted.error.message);
};

const coalescelist: Call = (lists) => {
  if (lists.length === 0) return refuse('at least one argument is required');
  const wrong = lists.some((list) => {
    const { kind } = typeOf(list);
    return kind !== 'list' && kind !== 'tuple';
  });
  if (wrong) return refuse('coalescelist arguments must be lists or tuples');
  const found = lists.find((list) => (itemsOf(list)?.length ?? 0) > 0);
  return found ? ok(found) : refuse('no non-null arguments');
};

const concat: Call = (lists) => {
  if (lists.length === 0) return refuse('at least one argument is required');
  const wrong = lists.findIndex((list) => orderedItemsOf(list) === null);
  if (wrong >= 0) return refuse(`all arguments must be lists or tuples; got ${nameOf(lists[wrong])}`, wrong);
  const items = lists.flatMap((list) => itemsOf(list) ?? []);
  const type = lists.every(({ kind }) => kind === 'list') ? unify(lists.map(typeOf)) : null;
  if (type?.kind !== 'list') return ok(tupleValue(items));
  const converted = convert(tupleValue(items), type);
  return converted.ok ? ok(converted.value) : ok(tupleValue(items));
};

const keys: Call = ([map]) => {
  const entries = entriesOf(map);
  if (!entries) return refuse('must have map or object type', 0);
  const names = [...entries.keys()].sort(compareStrings);
  return map?.kind === 'map' ? listOfTexts(names) : ok(tupleValue(names.map(stringValue)));
};

const values: Call = ([map]) => {
  const entries = entriesOf(map);
  if (!entries) return refuse('values() requires a map as the first argument');
  const items = [...entries.values()];
  return ok(map?.kind === 'map' ? listValue(map.element, items) : tupleValue(items));
};

const zipmap: Call = ([keyList, valueList]) => {
  const names = textsOf(keyList);
  const items = orderedItemsOf(valueList);
  if (!items) return refuse('values argument must be a list or tuple value');
  if (names.length !== items.length)
    return refuse(`number of keys (${names.length}) does not match number of values (${items.length})`);
  const missing = names.indexOf(null);
  if (missing >= 0) return refuse(`keys list has null value at index ${missing}`);
  const entries = (names as string[]).map((name, i) => [name, items[i] as Value] as const);
  return ok(valueList?.kind === 'list' ? mapValue(valueList.element, entries) : objectValue(entries));
};

/** The functions over lists, tuples, maps and objects. */
export const COLLECTION_FUNCTIONS: Record<string, HclFunction> = {
  length: define([any('collection')], NUMBER, length),
  concat: define([], DYNAMIC, concat, any('seqs')),
  element: define([any('list'), number('index')], DYNAMIC, element),
  index: define([any('collection'), any('key')], DYNAMIC, index),
  lookup: define([any('inputMap'), text('key'), any('default')], DYNAMIC, lookup),
  merge: define([], DYNAMIC, merge, any('maps', true)),
  keys: define([any('inputMap')], DYNAMIC, keys),
  values: define([any('mapping')], DYNAMIC, values),
  contains: define([any('list'), any('value', true)], BOOL, contains),
  distinct: define([anyList], DYNAMIC, distinct),
  flatten: define([any('list')], DYNAMIC, flatten),
  slice: define([any('list'), number('start_index'), number('end_index')], DYNAMIC, slice),
  chunklist: define([anyList, number('size')], DYNAMIC, chunklist),
  compact: define([texts('list')], listOf(STRING), ([list]) =>
    listOfTexts(textsOf(list).filter((item): item is string => item !== null && item !== '')),
  ),
  coalesce: define([], DYNAMIC, coalesce, any('vals', true)),
  coalescelist: define([], DYNAMIC, coalescelist, any('vals', true)),
  zipmap: define([texts('keys'), any('values')], DYNAMIC, zipmap),
};
