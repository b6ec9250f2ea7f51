import { ok } from '../../util/result.js';
import type { CallResult, HclFunction } from '../context.js';
import { convert, unify } from '../convert.js';
import { DYNAMIC, setOf, type Type } from '../types.js';
import { listValue, setValue, tupleValue, typeOf, type Value, valueKey } from '../values.js';
import { any, define, itemsOf, refuse } from './define.js';

/** The arguments as sets of the one element type that they have in common. */
function combine(sets: readonly Value[], choose: (groups: readonly (readonly Value[])[]) => Value[]): CallResult {
  const groups = sets.map((set) => itemsOf(set) ?? []);
  const types = sets.flatMap((set) =>
    'element' in set && !(set.element.kind === 'dynamic' && itemsOf(set)?.length === 0) ? [set.element] : [],
  );
  const element = unify(types);
  if (!element) return refuse('given sets must all have compatible element types');
  return ok(setValue(element, choose(groups.map((group) => group.map((item) => asType(item, element))))));
}

function asType(item: Value, type: Type): Value {
  const converted = convert(item, type);
  return converted.ok ? converted.value : item;
}

const keysOf = (items: readonly Value[]): Set<string> => new Set(items.map(valueKey));

const PRODUCT_MAX = 100_000;

/** Lists and tuples alone give a list, in order; a set among them makes it a set. */
function product(sets: readonly Value[]): CallResult {
  if (sets.length < 2) return refuse('at least two arguments are required');
  const elements: Type[] = [];
  for (const [i, set] of sets.entries()) {
    const items = itemsOf(set);
    if (!items) return refuse('a set or a list is required', i);
    const element = set.kind === 'tuple' ? unify(items.map(typeOf)) : (set as { element: Type }).element;
    if (!element) return refuse('all elements must be of the same type', i);
    elements.push(element);
  }
  const groups = sets.map((set, i) => (itemsOf(set) ?? []).map((item) => asType(item, elements[i] ?? DYNAMIC)));
  if (groups.reduce((size, { length }) => size * length, 1) > PRODUCT_MAX)
    return refuse(`the product has more than ${PRODUCT_MAX} elements`);
  let rows: Value[][] = [[]];
  for (const group of groups) rows = rows.flatMap((row) => group.map((item) => [...row, item]));
  const row: Type = { kind: 'tuple', items: elements };
  const ordered = sets.every(({ kind }) => kind !== 'set');
  return ok(ordered ? listValue(row, rows.map(tupleValue)) : setValue(row, rows.map(tupleValue)));
}

const firstSet = { name: 'first_set', type: setOf(DYNAMIC) };
const otherSets = { name: 'other_sets', type: setOf(DYNAMIC) };

/** The functions over sets; lists and tuples are made sets. */
export const SET_FUNCTIONS: Record<string, HclFunction> = {
  setunion: define([firstSet], setOf(DYNAMIC), (sets) => combine(sets, (groups) => groups.flat()), otherSets),
  setintersection: define(
    [firstSet],
    setOf(DYNAMIC),
    (sets) =>
      combine(sets, ([first = [], ...others]) => {
        const keys = others.map(keysOf);
        return first.filter((item) => keys.every((set) => set.has(valueKey(item))));
      }),
    otherSets,
  ),
  setproduct: define([], DYNAMIC, product, any('sets')),
};
