import type { Value } from './values.js';

/** The type of a value, as HashiCorp's cty has them. `dynamic` means: not known yet, anything. */
export type Type =
  | { readonly kind: 'string' | 'number' | 'bool' | 'dynamic' }
  | { readonly kind: 'list' | 'set' | 'map'; readonly element: Type }
  | { readonly kind: 'tuple'; readonly items: readonly Type[] }
  | {
      readonly kind: 'object';
      readonly attributes: ReadonlyMap<string, Type>;
      /** In a constraint: the attributes that may be missing, and what they are then. */
      readonly optional?: ReadonlyMap<string, Value>;
    };

export const STRING: Type = { kind: 'string' };
export const NUMBER: Type = { kind: 'number' };
export const BOOL: Type = { kind: 'bool' };
export const DYNAMIC: Type = { kind: 'dynamic' };

export function listOf(element: Type): Type {
  return { kind: 'list', element };
}

export function setOf(element: Type): Type {
  return { kind: 'set', element };
}

export function mapOf(element: Type): Type {
  return { kind: 'map', element };
}

/** Whether both are the same type, all the way down. */
export function sameType(a: Type, b: Type): boolean {
  if (a === b) return true;
  switch (a.kind) {
    case 'list':
    case 'set':
    case 'map':
      return b.kind === a.kind && 'element' in b && sameType(a.element, b.element);
    case 'tuple':
      return (
        b.kind === 'tuple' &&
        a.items.length === b.items.length &&
        a.items.every((t, i) => sameType(t, b.items[i] as Type))
      );
    case 'object': {
      if (b.kind !== 'object' || a.attributes.size !== b.attributes.size) return false;
      for (const [name, type] of a.attributes) {
        const other = b.attributes.get(name);
        if (!other || !sameType(type, other)) return false;
      }
      return true;
    }
    default:
      return a.kind === b.kind;
  }
}

/** The words for a type in a message: "list of string", "object". */
export function typeName(type: Type): string {
  switch (type.kind) {
    case 'list':
    case 'set':
    case 'map':
      return `${type.kind} of ${type.element.kind === 'dynamic' ? 'any single type' : typeName(type.element)}`;
    default:
      return type.kind;
  }
}
