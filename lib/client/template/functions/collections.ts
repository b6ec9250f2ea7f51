import {
  compareText,
  entriesOf,
  fn,
  kindOf,
  NO_VALUE,
  Struct,
  type TemplateFunction,
  typeName,
  type Value,
} from '../../../template/index.js';
import { checkSize, intOf, listOf, mapOf, sameValue, textOf } from './arguments.js';

/** Functions over lists and maps. */
export const COLLECTION_FUNCTIONS: Readonly<Record<string, TemplateFunction>> = {
  byTag: fn(1, (services) => byTag(listOf(services))),
  containsAll: fn(2, (wanted, list) => listOf(wanted).every((item) => has(list, item))),
  containsAny: fn(2, (wanted, list) => listOf(wanted).some((item) => has(list, item))),
  containsNone: fn(2, (wanted, list) => !listOf(wanted).some((item) => has(list, item))),
  containsNotAll: fn(2, (wanted, list) => !listOf(wanted).every((item) => has(list, item))),
  explodeMap: fn(1, (map) => explode(mapOf(map))),
  in: fn(2, (list, item) => has(list, item)),
  loop: fn([1, 2], loop),
  mergeMap: fn([2, 3], (over, base) => merge(mapOf(base), mapOf(over), false)),
  mergeMapWithOverride: fn([2, 3], (over, base) => merge(mapOf(base), mapOf(over), true)),
};

/** Services under each of their tags, the tags in order. */
function byTag(services: readonly Value[]): Map<string, Value> {
  const found = new Map<string, Value[]>();
  for (const service of services) {
    const tags = service instanceof Struct ? service.fields['Tags'] : undefined;
    if (!Array.isArray(tags)) throw new Error(`byTag takes services; got ${typeName(service)}`);
    for (const tag of new Set(tags as string[])) found.set(tag, [...(found.get(tag) ?? []), service]);
  }
  return new Map([...found].sort(([a], [b]) => compareText(a, b)));
}

function has(list: Value, item: Value): boolean {
  if (list === NO_VALUE || list === null) return false;
  if (typeof list === 'string') return list.includes(textOf(item));
  if (kindOf(list) === 'map') return entriesOf(list as object).some(([, value]) => sameValue(value, item));
  return listOf(list).some((other) => sameValue(other, item));
}

/** `loop 3` is 0, 1, 2; `loop 2 5` is 2, 3, 4. */
function loop(first: Value, last?: Value): number[] {
  const [from, to] = last === undefined ? [0, intOf(first)] : [intOf(first), intOf(last)];
  checkSize(to - from, 'list');
  return Array.from({ length: Math.max(0, to - from) }, (_, i) => from + i);
}

/** `{ "a/b" = 1 }` becomes `{ a = { b = 1 } }`. */
function explode(map: object): Map<string, Value> {
  const root = new Map<string, Value>();
  for (const [key, value] of entriesOf(map)) {
    const parts = key.split('/').filter((part) => part !== '');
    const last = parts.pop();
    if (last === undefined) continue;
    let here = root;
    for (const part of parts) {
      const inner = here.get(part) ?? new Map<string, Value>();
      if (!(inner instanceof Map))
        throw new Error(`not a map: ${JSON.stringify(part)} has already the value ${String(inner)}`);
      here.set(part, inner);
      here = inner;
    }
    here.set(last, value);
  }
  return root;
}

function merge(base: object, over: object, override: boolean): Map<string, Value> {
  const merged = new Map(entriesOf(base));
  for (const [key, value] of entriesOf(over)) {
    const before = merged.get(key);
    const deep = kindOf(before) === 'map' && kindOf(value) === 'map';
    if (deep) merged.set(key, merge(before as object, value as object, override));
    else if (override || !merged.has(key)) merged.set(key, value);
  }
  return merged;
}
