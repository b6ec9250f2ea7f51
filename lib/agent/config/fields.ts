/** What a key of the configuration may hold. */
export type Shape =
  | { readonly kind: 'string' | 'integer' | 'number' | 'bool' | 'duration' | 'free' }
  | { readonly kind: 'choice'; readonly of: readonly string[] }
  /** A list of strings; `appends`: a later file adds to it rather than replacing it. */
  | { readonly kind: 'strings'; readonly appends: boolean }
  /** Any object, as a plugin's `config`: its keys merge, what they hold does not. */
  | { readonly kind: 'object' }
  /** Names with texts, as `meta`; numbers and bools are taken as text. */
  | { readonly kind: 'map' }
  | { readonly kind: 'block'; readonly fields: Fields }
  /** `type "label" { … }`: blocks by their label. */
  | { readonly kind: 'labelled'; readonly fields: Fields };

export interface Field {
  readonly shape: Shape;
  /** Set when the key is Nomad's and has no meaning here: what replaces it. It is accepted and told once. */
  readonly instead?: string;
}

export type Fields = Readonly<Record<string, Field>>;

export const text: Field = { shape: { kind: 'string' } };
export const integer: Field = { shape: { kind: 'integer' } };
export const decimal: Field = { shape: { kind: 'number' } };
export const flag: Field = { shape: { kind: 'bool' } };
export const duration: Field = { shape: { kind: 'duration' } };
export const texts: Field = { shape: { kind: 'strings', appends: false } };
export const growingTexts: Field = { shape: { kind: 'strings', appends: true } };
export const map: Field = { shape: { kind: 'map' } };
export const object: Field = { shape: { kind: 'object' } };

export const choice = (...of: string[]): Field => ({ shape: { kind: 'choice', of } });
export const block = (fields: Fields): Field => ({ shape: { kind: 'block', fields } });
export const labelled = (fields: Fields): Field => ({ shape: { kind: 'labelled', fields } });

/** A key of Nomad that means nothing here; its value is not looked at, whatever it is. */
export const replaced = (instead: string): Field => ({ shape: { kind: 'free' }, instead });

/** Several keys with one and the same field. */
export function all(names: string, field: Field): Record<string, Field> {
  return Object.fromEntries(
    names
      .split(/\s+/)
      .filter(Boolean)
      .map((name) => [name, field]),
  );
}
