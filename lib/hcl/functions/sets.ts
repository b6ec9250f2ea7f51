import { ok } from '../../util/result.js';
import type { CallResult, HclFunction } from '../context.js';
import { convert, unify } from '../convert.js';
import { DYNAMIC, setOf, type Type } from '../types.js';
import { setValue, tupleValue, typeOf, type Value, valueKey } from '../values.js';
import { any, define, itemsOf, refuse, sequence } from './define.js';

/** The arguments as sets of one element type. */
function combine(sets: readonly Value[], choose: (groups: readonly (readonly Value[])[]) => Value[]): CallResult {
  const wrong = sets.findIndex((set) => itemsOf(set) === null);
  if (wrong >= 0 || sets.length === 0) return refuse('a set, list or tuple is required', Math.max(0, wrong));
  const groups = sets.map((set) => itemsOf(set) ?? []);
  const element = unify(groups.flat().map(typeOf));
  if (!element) return refuse('all sets must have the same element type');
  return ok(setValue(element, choose(groups.map((group) => group.map((item) => asType(item, element))))));
}

function asType(item: Value, type: Type): Value {
  const converted = convert(item, type);
  return converted.ok ? converted.value : item;
}

const keysOf = (items: readonly Value[]): Set<string> => new Set(items.map(valueKey));

const PRODUCT_MAX = 100_000;

function product(sets: readonly Value[]): CallResult {
  if (sets.length < 2) return refuse('at least two arguments are required');
  const wrong = sets.findIndex((set) => itemsOf(set) === null);
  if (wrong >= 0) return refuse('a set or a list is required', wrong);
  const groups = sets.map((set) => itemsOf(set) ?? []);
  if (groups.reduce((size, { length }) => size * length, 1) > PRODUCT_MAX)
    return refuse(`the product has more than ${PRODUCT_MAX} elements`);
  let rows: Value[][] = [[]];
  for (const group of groups) rows = rows.flatMap((row) => group.map((item) => [...row, item]));
  return ok(sequence(rows.map(tupleValue), true));
}

/** The functions over sets; lists and tuples are taken for sets. */
export const SET_FUNCTIONS: Record<string, HclFunction> = {
  setunion: define([], setOf(DYNAMIC), (sets) => combine(sets, (groups) => groups.flat()), any('sets')),
  setintersection: define(
    [],
    setOf(DYNAMIC),
    (sets) =>
      combine(sets, ([first = [], ...others]) => {
        const keys = others.map(keysOf);
        return first.filter((item) => keys.every((set) => set.has(valueKey(item))));
      }),
    any('sets'),
  ),
  setsubtract: define([any('a'), any('b')], setOf(DYNAMIC), (sets) =>
    combine(sets, ([first = [], second = []]) => {
      const taken = keysOf(second);
      return first.filter((item) => !taken.has(valueKey(item)));
    }),
  ),
  setproduct: define([], DYNAMIC, product, any('sets')),
};
