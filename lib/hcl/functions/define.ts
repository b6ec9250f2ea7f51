import { assert } from '../../util/assert.js';
import { err, ok } from '../../util/result.js';
import type { CallResult, HclFunction, Parameter } from '../context.js';
import { isInteger, toDouble, truncate } from '../number.js';
import { DYNAMIC, listOf, NUMBER, STRING, type Type } from '../types.js';
import { listValue, stringValue, type Value } from '../values.js';

type ValuesFunction = HclFunction & { readonly kind: 'values' };

/** A function over values. */
export function define(
  parameters: readonly Parameter[],
  returns: Type,
  call: (args: readonly Value[]) => CallResult,
  variadic?: Parameter,
): ValuesFunction {
  return { kind: 'values', parameters, returns, call, ...(variadic && { variadic }) };
}

/** A function from one text to another. */
export function onText(change: (value: string) => string, name = 'str'): ValuesFunction {
  return define([text(name)], STRING, ([value]) => ok(stringValue(change(textOf(value)))));
}

export const text = (name: string): Parameter => ({ name, type: STRING });
export const number = (name: string): Parameter => ({ name, type: NUMBER });
export const texts = (name: string): Parameter => ({ name, type: listOf(STRING) });
/** Any value; null too when it is said so. */
export const any = (name: string, allowNull = false): Parameter => ({ name, type: DYNAMIC, allowNull });

/** Refuses a call, because of one argument when it is given. */
export function refuse(message: string, argument?: number): CallResult {
  return err(argument === undefined ? { message } : { message, argument });
}

/** The text of an argument that its parameter has made a string. */
export function textOf(value: Value | undefined): string {
  assert(value?.kind === 'string', 'hcl function: a string parameter holds a string');
  return value.value;
}

/** The texts of an argument that its parameter has made a list of strings; null for a null among them. */
export function textsOf(value: Value | undefined): (string | null)[] {
  assert(value && 'items' in value, 'hcl function: a list parameter holds a list');
  return value.items.map((item) => (item.kind === 'null' ? null : textOf(item)));
}

const INT64_MAX = 2n ** 63n - 1n;
/** What is said of a number where a whole one is needed. */
export const NOT_WHOLE = `value must be a whole number, between ${-INT64_MAX - 1n} and ${INT64_MAX}`;

/** The whole number of an argument, or null when it is a fraction or beyond 64 bits. */
export function integerOf(value: Value | undefined): number | null {
  assert(value?.kind === 'number', 'hcl function: a number parameter holds a number');
  if (!isInteger(value.value)) return null;
  const whole = truncate(value.value);
  return whole > INT64_MAX || whole < -INT64_MAX - 1n ? null : toDouble(value.value);
}

/** The items of a list, set or tuple; null for anything else. */
export function itemsOf(value: Value | undefined): readonly Value[] | null {
  return value && 'items' in value ? value.items : null;
}

/** The items of a list or tuple; null for anything else, sets included. */
export function orderedItemsOf(value: Value | undefined): readonly Value[] | null {
  return value?.kind === 'list' || value?.kind === 'tuple' ? value.items : null;
}

/** The entries of a map or object; null for anything else. */
export function entriesOf(value: Value | undefined): ReadonlyMap<string, Value> | null {
  return value && 'entries' in value ? value.entries : null;
}

/** A list of strings. */
export function listOfTexts(items: readonly string[]): CallResult {
  return ok(listValue(STRING, items.map(stringValue)));
}
