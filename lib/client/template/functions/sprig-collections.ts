import {
  checkExtent,
  compareText,
  entriesOf,
  fn,
  kindOf,
  type TemplateFunction,
  TypedMap,
  type Value,
} from '../../../template/index.js';
import { checkSize, intOf, listOf, mapOf, sameValue, textOf } from './arguments.js';
import { merge } from './collections.js';
import { isFilled, many, shown, textsOf, withMust } from './sprig-values.js';

const push = fn(2, (list: Value, item: Value) => [...listOf(list), item]);

/** Sprig's functions over lists. */
export const LIST_FUNCTIONS: Readonly<Record<string, TemplateFunction>> = {
  concat: many(0, (...lists) => lists.flatMap(listOf)),
  list: many(0, (...items) => items),
  tuple: many(0, (...items) => items),
  sortAlpha: fn(1, (list) => textsOf(list).sort(compareText)),
  ...withMust({
    append: push,
    chunk: fn(2, (size, list) => chunks(listOf(list), intOf(size))),
    compact: fn(1, (list) => listOf(list).filter(isFilled)),
    first: fn(1, (list) => listOf(list)[0] ?? null),
    has: fn(2, (item, list) => list !== null && listOf(list).some((other) => sameValue(other, item))),
    initial: fn(1, (list) => listOf(list).slice(0, -1)),
    last: fn(1, (list) => listOf(list).at(-1) ?? null),
    prepend: fn(2, (list, item) => [item, ...listOf(list)]),
    push,
    rest: fn(1, (list) => listOf(list).slice(1)),
    reverse: fn(1, (list) => [...listOf(list)].reverse()),
    slice: many(1, (list, ...bounds) => part(listOf(list), bounds.map(intOf))),
    uniq: fn(1, (list) => unique(listOf(list))),
    without: many(1, (list, ...out) => listOf(list).filter((item) => !out.some((other) => sameValue(other, item)))),
  }),
};

/** Sprig's functions over maps. `set`, `unset` and `merge` change the map that they are given. */
export const MAP_FUNCTIONS: Readonly<Record<string, TemplateFunction>> = {
  dict: many(0, (...pairs) => dict(pairs)),
  dig: many(3, dig),
  get: fn(2, (map, key) => (mapped(map).has(textOf(key)) ? mapped(map).get(textOf(key)) : '')),
  hasKey: fn(2, (map, key) => mapped(map).has(textOf(key))),
  keys: many(0, (...maps) => maps.flatMap((map) => entriesOf(mapOf(map)).map(([key]) => key))),
  omit: many(1, (map, ...keys) => new Map(entriesOf(mapOf(map)).filter(([key]) => !keys.includes(key)))),
  pick: many(1, (map, ...keys) => new Map(entriesOf(mapOf(map)).filter(([key]) => keys.includes(key)))),
  pluck: many(1, (key, ...maps) =>
    maps.flatMap((map) => (mapped(map).has(textOf(key)) ? [mapped(map).get(textOf(key))] : [])),
  ),
  set: fn(3, (map, key, value) => changed(map, (own) => own.set(textOf(key), value))),
  unset: fn(2, (map, key) => changed(map, (own) => own.delete(textOf(key)))),
  values: many(0, (...maps) => maps.flatMap((map) => entriesOf(mapOf(map)).map(([, value]) => value))),
  ...withMust({
    deepCopy: fn(1, (value) => {
      checkExtent(value);
      return copied(value);
    }),
    merge: many(1, (into, ...others) => merged(into, others, 'keep')),
    mergeOverwrite: many(1, (into, ...others) => merged(into, others, 'replace filled')),
  }),
};

function mapped(map: Value): ReadonlyMap<string, Value> {
  return new Map(entriesOf(mapOf(map)));
}

/** The map itself, changed. What the servers said is left as it is. */
function changed(map: Value, change: (map: Map<string, Value>) => void): Value {
  const own = mapOf(map);
  const target = own instanceof Map && !(own instanceof TypedMap) ? own : new Map(entriesOf(own));
  change(target);
  return target;
}

function merged(into: Value, others: readonly Value[], how: 'keep' | 'replace filled'): Value {
  return changed(into, (map) => {
    for (const other of others) for (const [key, value] of merge(map, mapOf(other), how)) map.set(key, value);
  });
}

function copied(value: Value): Value {
  if (Array.isArray(value)) return value.map(copied);
  if (kindOf(value) !== 'map') return value;
  return new Map(entriesOf(value as object).map(([key, item]) => [key, copied(item)]));
}

function dict(pairs: readonly Value[]): Map<string, Value> {
  const map = new Map<string, Value>();
  for (let i = 0; i < pairs.length; i += 2) map.set(shown(pairs[i]), pairs[i + 1] ?? '');
  return map;
}

/** `dig "a" "b" other map`: what lies under a, b in the map, or the other thing. */
function dig(...args: Value[]): Value {
  const [other, map] = args.slice(-2);
  let here: Value = map;
  for (const key of args.slice(0, -2)) {
    const inner = mapped(here);
    if (!inner.has(textOf(key))) return other;
    here = inner.get(textOf(key));
  }
  return here;
}

function chunks(list: readonly Value[], size: number): Value[] {
  if (size < 1) throw new Error('chunk: the size must be 1 or more');
  return Array.from({ length: Math.ceil(list.length / size) }, (_, i) => list.slice(i * size, (i + 1) * size));
}

function part(list: readonly Value[], [from = 0, to = list.length]: readonly number[]): Value[] {
  if (list.length === 0) return [];
  if (from < 0 || to > list.length || from > to) throw new Error('slice: index out of range');
  return list.slice(from, to);
}

function unique(list: readonly Value[]): Value[] {
  const seen = new Set<string>();
  const found: Value[] = [];
  const others: Value[] = [];
  for (const item of list) {
    const kind = kindOf(item);
    const isSimple = kind !== 'list' && kind !== 'map' && kind !== 'struct';
    const name = isSimple ? `${kind} ${shown(item)}` : '';
    if (isSimple ? seen.has(name) : others.some((other) => sameValue(other, item))) continue;
    if (isSimple) seen.add(name);
    else others.push(item);
    checkSize(others.length ** 2 / 10, 'list');
    found.push(item);
  }
  return found;
}
