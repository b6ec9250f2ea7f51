// The values of a template and what Go takes them for. Whole numbers are ints and others floats, but where a float is
// whole it must say so: `Float`. Lists are []interface {}, objects and Maps are map[string]interface {}.

/** A value inside a template: JSON's, and what functions add. */
export type Value = unknown;

/** What a map lacks: not nil, but no value at all. */
export const NO_VALUE = Symbol('no value');

/** A float that happens to be whole. */
export class Float {
  readonly value: number;

  constructor(value: number) {
    this.value = value;
  }
}

/** A Go struct: its fields are all there are, and it may have methods. */
export class Struct {
  /** As errors name it: `*dependency.HealthService`. */
  readonly type: string;
  readonly fields: Readonly<Record<string, Value>>;
  readonly methods: Readonly<Record<string, TemplateFunction>>;

  constructor(
    type: string,
    fields: Readonly<Record<string, Value>>,
    methods: Readonly<Record<string, TemplateFunction>> = {},
  ) {
    this.type = type;
    this.fields = fields;
    this.methods = methods;
  }
}

/** A struct that stands for a text, as fmt.Stringer: where a text is taken it is one, and it has fields besides. */
export class TextStruct extends Struct {
  readonly text: string;

  constructor(
    type: string,
    text: string,
    more: { fields?: Readonly<Record<string, Value>>; methods?: Readonly<Record<string, TemplateFunction>> } = {},
  ) {
    super(type, more.fields ?? {}, { ...more.methods, String: fn(0, () => text) });
    this.text = text;
  }
}

/** A map whose values are all of one type, so that what it lacks is that type's nothing; it may have methods. */
export class TypedMap extends Map<string, Value> {
  readonly type: string;
  readonly zero: Value;
  readonly methods: Readonly<Record<string, TemplateFunction>>;

  constructor(
    type: string,
    entries: Iterable<readonly [string, Value]>,
    more: { zero: Value; methods?: Readonly<Record<string, TemplateFunction>> },
  ) {
    super(entries);
    this.type = type;
    this.zero = more.zero;
    this.methods = more.methods ?? {};
  }
}

/** A list of texts; it may have methods. */
export class TextList extends Array<string> {
  // What is made of it (filter, slice) is a list like any other.
  static override get [Symbol.species](): ArrayConstructor {
    return Array;
  }

  readonly methods: Readonly<Record<string, TemplateFunction>>;

  constructor(items: readonly string[], methods: Readonly<Record<string, TemplateFunction>>) {
    super(...([] as string[]));
    this.push(...items);
    this.methods = methods;
  }
}

/** The method of that name that a value has. */
export function methodOf(value: Value, name: string): TemplateFunction | undefined {
  const has = value instanceof Struct || value instanceof TypedMap || value instanceof TextList;
  return has && Object.hasOwn(value.methods, name) ? value.methods[name] : undefined;
}

/** A function or method of a template. What it throws becomes a TemplateError at its place. */
export interface TemplateFunction {
  /** The number of arguments it takes; `max` is Infinity for any number. */
  readonly min: number;
  readonly max: number;
  readonly call: (args: Value[]) => Value;
  /** What a call takes where that is more than its arguments are long, in characters gone through. */
  readonly effort?: (args: readonly Value[]) => number;
}

/** A function of `count` arguments, or of as many as the two bounds allow. */
export function fn(count: number | [min: number, max: number], call: (...args: Value[]) => Value): TemplateFunction {
  const [min, max] = typeof count === 'number' ? [count, count] : count;
  return { min, max, call: (args) => call(...args) };
}

export type Kind = 'nil' | 'bool' | 'int' | 'float' | 'string' | 'list' | 'map' | 'struct' | 'func';

export function kindOf(value: Value): Kind {
  switch (typeof value) {
    case 'boolean':
      return 'bool';
    case 'string':
      return 'string';
    case 'bigint':
      return 'int';
    case 'number':
      return Number.isInteger(value) ? 'int' : 'float';
    case 'object':
      if (value === null) return 'nil';
      if (Array.isArray(value)) return 'list';
      if (value instanceof Float) return 'float';
      if (value instanceof Struct) return 'struct';
      return isFunction(value) ? 'func' : 'map';
    default:
      return 'nil';
  }
}

const TYPES: Readonly<Record<Kind, string>> = {
  nil: '<nil>',
  bool: 'bool',
  int: 'int',
  float: 'float64',
  string: 'string',
  list: '[]interface {}',
  map: 'map[string]interface {}',
  struct: 'struct',
  func: 'func',
};

/** The name of a value's type in Go. */
export function typeName(value: Value): string {
  return value instanceof Struct || value instanceof TypedMap ? value.type : TYPES[kindOf(value)];
}

/** A number as a float of Go. */
export function float(value: number): number | Float {
  return Number.isInteger(value) ? new Float(value) : value;
}

export function floatOf(value: number | Float): number {
  return value instanceof Float ? value.value : value;
}

/** A whole number, as a JavaScript number where that is exact. */
export function int(value: bigint): number | bigint {
  const number = Number(value);
  return Number.isSafeInteger(number) ? number : value;
}

/** The entries of a map, ordered by key as Go orders them: by bytes. */
export function entriesOf(map: object): [string, Value][] {
  const entries = map instanceof Map ? [...map.entries()] : Object.entries(map);
  return (entries as [string, Value][]).sort(([a], [b]) => compareText(a, b));
}

/** A map's entry; NO_VALUE when there is none. */
export function entryOf(map: object, key: string): Value {
  if (map instanceof Map) return map.has(key) ? map.get(key) : NO_VALUE;
  return Object.hasOwn(map, key) ? (map as Record<string, Value>)[key] : NO_VALUE;
}

export function sizeOf(map: object): number {
  return map instanceof Map ? map.size : Object.keys(map).length;
}

/** Orders texts by their bytes in UTF-8, which is the order of their code points. */
export function compareText(a: string, b: string): number {
  const [left, right] = [a[Symbol.iterator](), b[Symbol.iterator]()];
  for (;;) {
    const [x, y] = [left.next(), right.next()];
    if (x.done || y.done) return x.done ? (y.done ? 0 : -1) : 1;
    const difference = (x.value.codePointAt(0) ?? 0) - (y.value.codePointAt(0) ?? 0);
    if (difference !== 0) return difference;
  }
}

/** Go's truth: false, 0, "", nil, and empty lists and maps are false. */
export function truth(value: Value): boolean {
  switch (kindOf(value)) {
    case 'nil':
      return false;
    case 'list':
      return (value as Value[]).length > 0;
    case 'map':
      return sizeOf(value as object) > 0;
    case 'float':
      return floatOf(value as number | Float) !== 0;
    case 'struct':
      return value instanceof TextStruct ? value.text !== '' : true;
    case 'func':
      return true;
    default:
      return Boolean(value);
  }
}

function isFunction(value: object): boolean {
  return 'call' in value && 'min' in value && typeof value.call === 'function';
}
