import { ok } from '../../util/result.js';
import type { CallResult, HclFunction } from '../context.js';
import { convert, unify } from '../convert.js';
import { graphemes } from '../graphemes.js';
import { add, type BigFloat, bigFloat, compare } from '../number.js';
import { BOOL, DYNAMIC, listOf, NUMBER, STRING, typeName } from '../types.js';
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
  number,
  refuse,
  sequence,
  text,
  textOf,
  texts,
  textsOf,
} from './define.js';

const isList = (value: Value | undefined): boolean => value?.kind !== 'tuple';

function length(value: Value | undefined): CallResult {
  if (value?.kind === 'string') return ok(numberValue(graphemes(value.value).length));
  const size = itemsOf(value)?.length ?? entriesOf(value)?.size;
  return size === undefined ? refuse('collection must be a list, a map or a tuple', 0) : ok(numberValue(size));
}

/** Runs over a list, set or tuple; anything else is refused. */
function overItems(value: Value | undefined, use: (items: readonly Value[]) => CallResult): CallResult {
  const items = itemsOf(value);
  return items
    ? use(items)
    : refuse(`a list or tuple is required, not ${value ? typeName(typeOf(value)) : 'nothing'}`, 0);
}

function overEntries(value: Value | undefined, use: (entries: ReadonlyMap<string, Value>) => CallResult): CallResult {
  const entries = entriesOf(value);
  return entries ? use(entries) : refuse('a map or object is required', 0);
}

function element(items: readonly Value[], index: number | null): CallResult {
  if (index === null || index < 0) return refuse('cannot use element function with a negative or fractional index', 1);
  const found = items[index % items.length];
  return found ? ok(found) : refuse('cannot use element function with an empty list', 0);
}

function lookup([collection, key, fallback]: readonly Value[]): CallResult {
  return overEntries(collection, (entries) => {
    const found = entries.get(textOf(key)) ?? fallback;
    return found ? ok(found) : refuse(`lookup failed to find key "${textOf(key)}"`, 1);
  });
}

function merge(values: readonly Value[]): CallResult {
  const entries = new Map<string, Value>();
  let allMaps = values.length > 0;
  for (const [i, value] of values.entries()) {
    if (value.kind === 'null') continue;
    const own = entriesOf(value);
    if (!own) return refuse(`arguments must be maps or objects, got ${typeName(typeOf(value))}`, i);
    if (value.kind !== 'map') allMaps = false;
    for (const [key, item] of own) entries.set(key, item);
  }
  const elementType = allMaps ? unify([...entries.values()].map(typeOf)) : null;
  return ok(elementType ? mapValue(elementType, entries) : objectValue(entries));
}

function flatten(items: readonly Value[]): Value[] {
  return items.flatMap((item) => {
    const inner = itemsOf(item);
    return inner ? flatten(inner) : [item];
  });
}

function distinct(items: readonly Value[]): Value[] {
  const seen = new Map<string, Value>();
  for (const item of items) if (!seen.has(valueKey(item))) seen.set(valueKey(item), item);
  return [...seen.values()];
}

const RANGE_MAX = 1024;

/** range(end), range(start, end), range(start, end, step): the end is not part of it. */
function range(args: readonly Value[]): CallResult {
  const given = args.map((value) => (value.kind === 'number' ? value.value : bigFloat(0)));
  const zero = bigFloat(0);
  const [first, second, third] = given;
  if (!first || given.length > 3) return refuse('must have one, two, or three arguments');
  const start = second ? first : zero;
  const end = second ?? first;
  const step = third ?? bigFloat(compare(end, start) < 0 ? -1 : 1);
  const direction = compare(step, zero);
  if (direction === 0) return refuse('step must not be zero', 2);
  if (compare(end, start) * direction < 0)
    return refuse('start must be on the other side of end, given the sign of step');
  const items: Value[] = [];
  for (let at: BigFloat = start; compare(at, end) * direction < 0; at = add(at, step)) {
    if (items.length === RANGE_MAX)
      return refuse(
        `more than ${RANGE_MAX} values were generated; either decrease the difference between start and end or use a smaller step`,
      );
    items.push(numberValue(at));
  }
  return ok(listValue(NUMBER, items));
}

function slice([list, start, end]: readonly Value[]): CallResult {
  return overItems(list, (items) => {
    const [from, to] = [integerOf(start), integerOf(end)];
    if (from === null || from < 0 || from > items.length)
      return refuse('start index must be a whole number within the list', 1);
    if (to === null || to < 0 || to > items.length)
      return refuse('end index must be a whole number, not beyond the length of the list', 2);
    if (from > to) return refuse('start index must not be greater than end index', 1);
    return ok(sequence(items.slice(from, to), isList(list)));
  });
}

function chunks(items: readonly Value[], size: number | null, asList: boolean): CallResult {
  if (size === null || size < 0) return refuse('the size argument must be positive', 1);
  if (size === 0) return ok(tupleValue([sequence(items, asList)]));
  const result: Value[] = [];
  for (let i = 0; i < items.length; i += size) result.push(sequence(items.slice(i, i + size), asList));
  return ok(sequence(result, asList));
}

function coalesce(values: readonly Value[]): CallResult {
  const type = unify(values.map(typeOf));
  if (!type) return refuse('all arguments must have the same type');
  const found = values.find((value) => value.kind !== 'null' && !(value.kind === 'string' && value.value === ''));
  if (!found) return refuse('no non-null, non-empty-string arguments');
  const converted = convert(found, type);
  return converted.ok ? ok(converted.value) : refuse(converted.error.message);
}

function index(items: readonly Value[], value: Value | undefined): CallResult {
  const at = items.findIndex((item) => value !== undefined && valuesEqual(item, value));
  return at < 0 ? refuse('item not found') : ok(numberValue(at));
}

function zipmap([keys, values]: readonly Value[]): CallResult {
  const names = textsOf(keys);
  const items = itemsOf(values);
  if (!items) return refuse('values argument must be a list or tuple value', 1);
  if (names.length !== items.length)
    return refuse(`number of keys (${names.length}) does not match number of values (${items.length})`);
  const entries = names.map((name, i) => [name, items[i] as Value] as const);
  const type = isList(values) ? unify(items.map(typeOf)) : null;
  return ok(type ? mapValue(type, entries) : objectValue(entries));
}

/** The functions over lists, tuples, maps and objects. */
export const COLLECTION_FUNCTIONS: Record<string, HclFunction> = {
  length: define([any('value')], NUMBER, ([value]) => length(value)),
  concat: define(
    [],
    DYNAMIC,
    (lists) => {
      const wrong = lists.findIndex((list) => itemsOf(list) === null);
      if (wrong >= 0) return refuse('all arguments must be lists or tuples', wrong);
      return ok(
        sequence(
          lists.flatMap((list) => itemsOf(list) ?? []),
          lists.length > 0 && lists.every(isList),
        ),
      );
    },
    any('seqs'),
  ),
  element: define([any('list'), number('index')], DYNAMIC, ([list, at]) =>
    overItems(list, (items) => element(items, integerOf(at))),
  ),
  lookup: define([any('inputMap'), text('key')], DYNAMIC, lookup, any('default', true)),
  merge: define([], DYNAMIC, merge, any('maps', true)),
  keys: define([any('inputMap')], listOf(STRING), ([map]) =>
    overEntries(map, (entries) => ok(listValue(STRING, [...entries.keys()].sort(compareStrings).map(stringValue)))),
  ),
  values: define([any('mapping')], DYNAMIC, ([map]) =>
    overEntries(map, (entries) => ok(sequence([...entries.values()], map?.kind === 'map'))),
  ),
  contains: define([any('list'), any('value', true)], BOOL, ([list, value]) =>
    overItems(list, (items) => ok(boolValue(items.some((item) => value !== undefined && valuesEqual(item, value))))),
  ),
  index: define([any('list'), any('value', true)], NUMBER, ([list, value]) =>
    overItems(list, (items) => index(items, value)),
  ),
  distinct: define([any('list')], DYNAMIC, ([list]) => overItems(list, (items) => ok(sequence(distinct(items), true)))),
  flatten: define([any('list')], DYNAMIC, ([list]) => overItems(list, (items) => ok(tupleValue(flatten(items))))),
  reverse: define([any('list')], DYNAMIC, ([list]) =>
    overItems(list, (items) => ok(sequence([...items].reverse(), isList(list)))),
  ),
  range: define([], listOf(NUMBER), range, number('params')),
  slice: define([any('list'), number('start_index'), number('end_index')], DYNAMIC, slice),
  chunklist: define([any('list'), number('size')], DYNAMIC, ([list, size]) =>
    overItems(list, (items) => chunks(items, integerOf(size), isList(list))),
  ),
  compact: define([texts('list')], listOf(STRING), ([list]) =>
    ok(
      listValue(
        STRING,
        textsOf(list)
          .filter((item) => item !== '')
          .map(stringValue),
      ),
    ),
  ),
  coalesce: define([], DYNAMIC, coalesce, any('vals', true)),
  coalescelist: define(
    [],
    DYNAMIC,
    (lists) => {
      const found = lists.find((list) => (itemsOf(list)?.length ?? 0) > 0);
      return found ? ok(found) : refuse('no non-null arguments');
    },
    any('vals', true),
  ),
  zipmap: define([texts('keys'), any('values')], DYNAMIC, zipmap),
};
