import { entriesOf, fn, kindOf, Struct, type TemplateFunction, type Value } from '../../../template/index.js';
import { mapOf, textOf } from './arguments.js';

/** `scratch`: a place where one render keeps values under names. */
export function scratchFunction(): TemplateFunction {
  const kept = new Map<string, Value>();
  const set = (name: Value, value: Value, anew: boolean): string => {
    if (anew || !kept.has(textOf(name))) kept.set(textOf(name), value);
    return '';
  };
  const mapSet = (name: Value, key: Value, value: Value, anew: boolean): string => {
    const map = mapOf(kept.get(textOf(name)) ?? new Map());
    const next = new Map(entriesOf(map));
    if (anew || !next.has(textOf(key))) next.set(textOf(key), value);
    kept.set(textOf(name), next);
    return '';
  };
  const scratch = new Struct(
    '*template.Scratch',
    {},
    {
      Key: fn(1, (name) => kept.has(textOf(name))),
      Get: fn(1, (name) => kept.get(textOf(name)) ?? null),
      Set: fn(2, (name, value) => set(name, value, true)),
      SetX: fn(2, (name, value) => set(name, value, false)),
      MapSet: fn(3, (name, key, value) => mapSet(name, key, value, true)),
      MapSetX: fn(3, (name, key, value) => mapSet(name, key, value, false)),
      MapValues: fn(1, (name) => {
        const map = kept.get(textOf(name));
        return kindOf(map) === 'map' ? entriesOf(mapOf(map)).map(([, value]) => value) : [];
      }),
    },
  );
  return fn(0, () => scratch);
}
