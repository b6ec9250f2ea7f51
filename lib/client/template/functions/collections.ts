import {
  checkExtent,
  compareText,
  entriesOf,
  fn,
  kindOf,
  NO_VALUE,
  printValue,
  quote,
  Struct,
  type TemplateFunction,
  TextStruct,
  truth,
  typeName,
  type Value,
} from '../../../template/index.js';
import { checkSize, intOf, listOf, mapOf, sameValue } from './arguments.js';
import { parseIntText } from './encode.js';

/** Functions over lists and maps. */
export const COLLECTION_FUNCTIONS: Readonly<Record<string, TemplateFunction>> = {
  byPort: fn(1, (services) => grouped(services, 'byPort', (fields) => [String(fields['Port'])])),
  byTag: fn(1, (services) => grouped(services, 'byTag', ({ Tags }) => (Tags as string[] | undefined) ?? [])),
  contains: fn(2, (item, list) => has(list, item)),
  containsAll: fn(2, (wanted, list) => listOf(wanted).every((item) => has(list, item))),
  containsAny: fn(2, (wanted, list) => listOf(wanted).some((item) => has(list, item))),
  containsNone: fn(2, (wanted, list) => !listOf(wanted).some((item) => has(list, item))),
  containsNotAll: fn(2, (wanted, list) => !listOf(wanted).every((item) => has(list, item))),
  explodeMap: fn(1, (map) => explode(mapOf(map))),
  in: fn(2, has),
  loop: fn([1, 2], loop),
  mergeMap: fn(2, (into, from) => merge(mapOf(into), mapOf(from), 'keep')),
  mergeMapWithOverride: fn(2, (into, from) => merge(mapOf(into), mapOf(from), 'replace')),
};

/** Services under each of what they have, in order. */
function grouped(
  services: Value,
  name: string,
  keysOf: (fields: Readonly<Record<string, Value>>) => readonly string[],
): Map<string, Value> {
  if (services === NO_VALUE || services === null) return new Map();
  const found = new Map<string, Value[]>();
  for (const service of listOf(services)) {
    if (!(service instanceof Struct)) throw new Error(`${name}: wrong argument type ${typeName(service)}`);
    for (const key of new Set(keysOf(service.fields))) found.set(key, [...(found.get(key) ?? []), service]);
  }
  return new Map([...found].sort(([a], [b]) => compareText(a, b)));
}

/** Whether a list has an item, or a text a part. Only numbers and texts are found, by their own type, as in Consul Template. */
function has(list: Value, item: Value): boolean {
  if (typeof list === 'string') return typeof item === 'string' && list.includes(item);
  if (!Array.isArray(list)) return false;
  const kind = kindOf(item);
  if (item === NO_VALUE || !['int', 'float', 'string'].includes(kind)) return false;
  return list.some((other: Value) => sameValue(other instanceof TextStruct ? other.text : other, item));
}

/** `loop 3` is 0, 1, 2; `loop 2 5` is 2, 3, 4. */
function loop(first: Value, last?: Value): number[] {
  const bound = (value: Value): number =>
    Number(typeof value === 'string' ? parseIntText(value, 'parseInt') : intOf(value));
  const [from, to] = last === undefined ? [0, bound(first)] : [bound(first), bound(last)];
  checkSize(to - from, 'list');
  return Array.from({ length: Math.max(0, to - from) }, (_, i) => from + i);
}

/** `{ "a/b" = 1 }` becomes `{ a = { b = 1 } }`. */
function explode(map: object): Map<string, Value> {
  const root = new Map<string, Value>();
  for (const [path, value] of entriesOf(map)) {
    const parts = path.split('/');
    const last = parts.pop() as string;
    let here = root;
    for (const part of parts) {
      const inner = here.get(part) ?? new Map<string, Value>();
      if (!(inner instanceof Map)) {
        throw new Error(`explodeMap: not a map: ${quote(path)}: ${quote(part)} already has value ${printValue(inner)}`);
      }
      here.set(part, inner);
      here = inner;
    }
    if (last !== '') here.set(last, value);
  }
  return root;
}

/**
 * A map with the keys of another one put in, also in the maps within. Where both have a key, the first is kept unless it
 * is empty, or the second one's put in its place ("replace"), though not an empty one ("replace filled").
 */
export function merge(into: object, from: object, how: 'keep' | 'replace' | 'replace filled'): Map<string, Value> {
  checkExtent(into);
  checkExtent(from);
  const merged = new Map(entriesOf(into));
  for (const [key, value] of entriesOf(from)) {
    const before = merged.get(key);
    const isEmpty = !merged.has(key) || before === null || before === undefined || !truth(before);
    if (kindOf(before) === 'map' && kindOf(value) === 'map')
      merged.set(key, merge(before as object, value as object, how));
    else if (isEmpty || how === 'replace' || (how === 'replace filled' && truth(value ?? null))) merged.set(key, value);
  }
  return merged;
}
