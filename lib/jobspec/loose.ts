import type { Affinity, Constraint, Spread } from '../structs/constraint.js';
import { WEIGHT } from './defaults.js';
import type { Raw } from './schema/field.js';

/** The value, or what stands for it when it is not given. */
export function or<T>(value: unknown, fallback: T): T {
  return (value ?? fallback) as T;
}

/** The value, or null when it is not given. */
export function orNull<T>(value: unknown): T | null {
  return (value ?? null) as T | null;
}

/** A list, or null when it is empty: empty and absent are the same everywhere in a job. */
export function listOrNull<T>(value: unknown): T[] | null {
  return Array.isArray(value) && value.length > 0 ? (value as T[]) : null;
}

/** A map, or null when it is empty. */
export function mapOrNull<T>(value: unknown): Record<string, T> | null {
  return value && Object.keys(value as object).length > 0 ? (value as Record<string, T>) : null;
}

/** The objects of a list, one by one; null when there are none. */
export function eachOrNull<T>(value: unknown, make: (raw: Raw) => T): T[] | null {
  return listOrNull<Raw | null>(value)?.map((raw) => make(raw ?? {})) ?? null;
}

/** The object, when it is given. */
export function oneOrNull<T>(value: unknown, make: (raw: Raw) => T): T | null {
  return value ? make(value as Raw) : null;
}

/** The defaults with whatever the later ones give in their stead. */
export function merge<T extends object>(defaults: T, ...overrides: (unknown | null | undefined)[]): T {
  const merged = { ...defaults } as Raw;
  for (const override of overrides) {
    for (const key of Object.keys(defaults)) {
      const value = (override as Raw | null | undefined)?.[key];
      if (value !== null && value !== undefined) merged[key] = value;
    }
  }
  return merged as T;
}

export function canonicalConstraint(raw: Raw): Constraint {
  const Operand = or<string>(raw['Operand'], '');
  // Without a value it holds.
  const fallback = Operand === 'distinct_hosts' ? 'true' : '';
  return { LTarget: or(raw['LTarget'], ''), RTarget: (raw['RTarget'] as string) || fallback, Operand };
}

export function canonicalAffinity(raw: Raw): Affinity {
  return { ...canonicalConstraint(raw), Weight: or(raw['Weight'], WEIGHT) };
}

export function canonicalSpread(raw: Raw): Spread {
  return {
    Attribute: or(raw['Attribute'], ''),
    Weight: or(raw['Weight'], WEIGHT),
    SpreadTarget: eachOrNull(raw['SpreadTarget'], (target) => ({
      Value: or(target['Value'], ''),
      Percent: or(target['Percent'], 0),
    })),
  };
}
