import { err, ok, type Result } from '../../util/result.js';
import type { ConfigProblem } from '../sdk/driver.js';
import { type Expression, parseExpression } from './expression.js';

/** The type of a configuration's value, in HCL's terms. */
export type ValueType =
  | { kind: 'any' | 'string' | 'number' | 'bool' }
  | { kind: 'list' | 'set' | 'map'; of: ValueType }
  | { kind: 'object'; fields: [string, ValueType][] }
  | { kind: 'tuple'; items: ValueType[] };

/** Reads a type such as `list(map(string))`; '' is any. */
export function parseType(text: string): Result<ValueType, string> {
  if (text.trim() === '') return ok({ kind: 'any' });
  const parsed = parseExpression(text);
  return parsed.ok ? typeOf(parsed.value) : parsed;
}

function typeOf(expression: Expression): Result<ValueType, string> {
  if (expression.kind === 'name') {
    const { name } = expression;
    if (name === 'any' || name === 'string' || name === 'number' || name === 'bool') return ok({ kind: name });
    return err(`names the type "${name}", which there is none of`);
  }
  if (expression.kind !== 'call') return err('is no type');
  const { name, args } = expression;
  const [arg] = args;
  if (!arg || args.length !== 1) return err(`gives ${name}() ${args.length} arguments instead of one`);
  if (name === 'list' || name === 'set' || name === 'map') {
    const of = typeOf(arg);
    return of.ok ? ok({ kind: name, of: of.value }) : of;
  }
  if (name === 'tuple' && arg.kind === 'list') {
    const items: ValueType[] = [];
    for (const item of arg.items) {
      const type = typeOf(item);
      if (!type.ok) return type;
      items.push(type.value);
    }
    return ok({ kind: 'tuple', items });
  }
  if (name === 'object' && arg.kind === 'object') {
    const fields: [string, ValueType][] = [];
    for (const [key, value] of arg.entries) {
      const type = typeOf(value);
      if (!type.ok) return type;
      fields.push([key, type.value]);
    }
    return ok({ kind: 'object', fields });
  }
  return err(`names the type "${name}", which there is none of`);
}

/** Turns what was written into a value of the type, as HCL converts; what is wrong is noted, and null comes back. */
export function convert(type: ValueType, value: unknown, path: string, problems: ConfigProblem[]): unknown {
  if (value === null || value === undefined) return null;
  switch (type.kind) {
    case 'any':
      return value;
    case 'string':
      if (typeof value === 'string') return value;
      if (typeof value === 'number' || typeof value === 'boolean') return String(value);
      return wrong('a string', value, path, problems);
    case 'number': {
      const found = typeof value === 'string' && value.trim() !== '' ? Number(value) : value;
      if (typeof found === 'number' && Number.isFinite(found)) return found;
      return wrong('a number', value, path, problems);
    }
    case 'bool':
      if (typeof value === 'boolean') return value;
      if (value === 'true' || value === '1') return true;
      if (value === 'false' || value === '0') return false;
      return wrong('true or false', value, path, problems);
    case 'list':
    case 'set': {
      if (!Array.isArray(value)) return wrong('a list', value, path, problems);
      const items = value.map((item, i) => convert(type.of, item, `${path}[${i}]`, problems));
      return type.kind === 'list' ? items : distinct(items);
    }
    case 'map': {
      const object = asObject(value);
      if (!object) return wrong('a map', value, path, problems);
      return mapValues(object, (item, key) => convert(type.of, item, `${path}.${key}`, problems));
    }
    case 'tuple': {
      if (!Array.isArray(value) || value.length !== type.items.length) {
        return wrong(`a list of ${type.items.length}`, value, path, problems);
      }
      return type.items.map((item, i) => convert(item, value[i], `${path}[${i}]`, problems));
    }
    case 'object': {
      const object = asObject(value);
      if (!object) return wrong('an object', value, path, problems);
      for (const [key] of type.fields) {
        if (!(key in object)) problems.push({ path: `${path}.${key}`, message: 'is missing' });
      }
      return Object.fromEntries(
        type.fields.map(([key, field]) => [key, convert(field, object[key], `${path}.${key}`, problems)]),
      );
    }
  }
}

/** Equal values once, in the order of their first place. */
export function distinct(items: unknown[]): unknown[] {
  return [...new Map(items.map((item) => [JSON.stringify(item), item])).values()];
}

export function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** A job file writes a map also as one or more blocks, which come as a list. */
function asObject(value: unknown): Record<string, unknown> | undefined {
  if (isObject(value)) return value;
  if (Array.isArray(value) && value.length > 0 && value.every(isObject)) return Object.assign({}, ...value);
  return undefined;
}

function mapValues(
  object: Record<string, unknown>,
  change: (value: unknown, key: string) => unknown,
): Record<string, unknown> {
  return Object.fromEntries(Object.entries(object).map(([key, value]) => [key, change(value, key)]));
}

function wrong(wanted: string, value: unknown, path: string, problems: ConfigProblem[]): null {
  problems.push({ path, message: `must be ${wanted}, not ${JSON.stringify(value)}` });
  return null;
}
