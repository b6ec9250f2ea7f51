/** What an attribute holds; in JSON a duration is nanoseconds. */
export type AttributeType = 'string' | 'int' | 'bool' | 'duration' | 'strings' | 'ints' | 'string-map';

/** An absent value: null where the API tells "not given" apart, the zero value where it does not. */
export type Zero = null | '' | 0 | false;

export type Raw = Record<string, unknown>;

/** What a number counts that people like to write with its unit. */
export type Unit = 'MB' | 'MHz';

export type Field =
  /** `name = expression`; hcl null: only the API carries it. */
  | {
      form: 'attribute';
      hcl: string | null;
      json: string;
      type: AttributeType;
      zero: Zero;
      required: boolean;
      /** The highest number of an attribute that knows none below zero. */
      max?: number;
      /** What the number counts. */
      unit?: Unit;
    }
  /** The block's label; a struct has at most one. */
  | { form: 'label'; json: string; hcl: string }
  /** A block of known shape: at most one, any number in order, or any number by label. */
  | { form: 'block'; hcl: string | null; json: string; struct: Struct; arity: 'one' | 'list' | 'map' }
  /** A block with free keys; `equals`: `name = { … }` is understood as well. */
  | { form: 'free'; hcl: string; json: string; of: 'string' | 'strings' | 'any'; equals: boolean };

/** One block of the job file and the object of the API that it becomes. */
export interface Struct {
  /** As it is called in messages. */
  readonly name: string;
  readonly fields: readonly Field[];
  /**
   * What Nomad's parser does to a decoded block before it prints it (not canonicalisation): shorthands, moved blocks.
   * Keys that begin with `~` come from the job file only; settling removes them. Returns a complaint, or nothing.
   */
  readonly settle?: (raw: Raw) => string | undefined;
}

const attribute =
  (type: AttributeType, zero: Zero) =>
  (hcl: string | null, json: string, required = false): Field => ({
    form: 'attribute',
    hcl,
    json,
    type,
    zero,
    required,
  });

// A name ending in `Or…` tells the zero value; the others are null when absent.
export const text = attribute('string', null);
export const textOrEmpty = attribute('string', '');
export const int = attribute('int', null);
export const intOrZero = attribute('int', 0);
const counting =
  (unit: Unit) =>
  (hcl: string, json: string): Field => ({
    form: 'attribute',
    hcl,
    json,
    type: 'int',
    zero: null,
    required: false,
    unit,
  });
export const megabytes = counting('MB');
export const megahertz = counting('MHz');
/** A number from 0 to `max`. */
export const upTo =
  (max: number, zero: Zero = null, type: 'int' | 'ints' = 'int') =>
  (hcl: string, json: string): Field => ({ form: 'attribute', hcl, json, type, zero, required: false, max });
export const UINT8 = 2 ** 8 - 1;
export const UINT16 = 2 ** 16 - 1;
export const UINT32 = 2 ** 32 - 1;
export const UINT64 = 2 ** 64 - 1;
export const bool = attribute('bool', null);
export const boolOrFalse = attribute('bool', false);
export const duration = attribute('duration', null);
export const durationOrZero = attribute('duration', 0);
export const texts = attribute('strings', null);
export const textMap = attribute('string-map', null);

export const label = (json: string, hcl = 'name'): Field => ({ form: 'label', json, hcl });

export const one = (hcl: string | null, json: string, struct: Struct): Field => ({
  form: 'block',
  hcl,
  json,
  struct,
  arity: 'one',
});
export const list = (hcl: string | null, json: string, struct: Struct): Field => ({
  form: 'block',
  hcl,
  json,
  struct,
  arity: 'list',
});
export const byLabel = (hcl: string, json: string, struct: Struct): Field => ({
  form: 'block',
  hcl,
  json,
  struct,
  arity: 'map',
});

export const free = (hcl: string, json: string, of: 'string' | 'strings' | 'any' = 'string'): Field => ({
  form: 'free',
  hcl,
  json,
  of,
  equals: false,
});
/** `env { A = "b" }` and `env = { "a.b" = "c" }` alike. */
export const freeOrEquals = (hcl: string, json: string): Field => ({
  form: 'free',
  hcl,
  json,
  of: 'string',
  equals: true,
});
