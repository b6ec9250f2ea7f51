import { nearest } from '../../util/nearest.js';
import { err, ok, type Result } from '../../util/result.js';
import type { ConfigProblem } from '../sdk/driver.js';
import { evaluate, parseExpression } from './expression.js';
import { convert, distinct, isObject, parseType, type ValueType } from './types.js';

// A plugin says which keys its configuration has by a tree of specs (hclspec.proto), which is made into a `Schema` once: what
// is wrong with the tree is the plugin's mistake and told when it starts, not when somebody uses it.

/** A spec as the library gives it: `block` names the member that is set. */
export interface ProtoSpec {
  block?: string;
  object?: { attributes: Record<string, ProtoSpec> };
  array?: { values: ProtoSpec[] };
  Attr?: { name: string; type: string; required: boolean };
  block_value?: { name: string; required: boolean; nested: ProtoSpec | null };
  block_attrs?: { name: string; type: string; required: boolean };
  block_list?: ProtoBlocks;
  block_set?: ProtoBlocks;
  block_map?: { name: string; labels: string[]; nested: ProtoSpec | null };
  default?: { primary: ProtoSpec | null; default: ProtoSpec | null };
  literal?: { value: string };
}

interface ProtoBlocks {
  name: string;
  min_items: number;
  max_items: number;
  nested: ProtoSpec | null;
}

/** What reads the body of one block. */
export type Schema =
  | { kind: 'object'; fields: [string, Schema][] }
  | { kind: 'array'; items: Schema[] }
  | { kind: 'attr'; name: string; type: ValueType; required: boolean }
  | { kind: 'block'; name: string; required: boolean; nested: Schema }
  | { kind: 'block-attrs'; name: string; type: ValueType; required: boolean }
  | { kind: 'blocks'; name: string; min: number; max: number; unique: boolean; nested: Schema }
  | { kind: 'block-map'; name: string; labels: number; nested: Schema }
  | { kind: 'default'; primary: Schema; fallback: Schema }
  | { kind: 'literal'; value: unknown };

const DEPTH_MAX = 32;

/** Makes a schema of a plugin's specs. The error says which one is wrong; it goes on behind "its schema". */
export function toSchema(spec: ProtoSpec | null | undefined, implied = '', depth = 0): Result<Schema, string> {
  if (depth > DEPTH_MAX) return err(`is nested deeper than ${DEPTH_MAX}`);
  const nested = (inner: ProtoSpec | null, name = ''): Result<Schema, string> => toSchema(inner, name, depth + 1);
  switch (spec?.block) {
    case 'object': {
      const entries = Object.entries(spec.object?.attributes ?? {});
      const fields = collect(entries.map(([key, inner]) => withKey(key, nested(inner, key))));
      return fields.ok ? ok({ kind: 'object', fields: fields.value }) : fields;
    }
    case 'array': {
      const items = collect((spec.array?.values ?? []).map((inner) => nested(inner)));
      return items.ok ? ok({ kind: 'array', items: items.value }) : items;
    }
    case 'Attr':
    case 'block_attrs': {
      const { name, type, required } = (spec.block === 'Attr' ? spec.Attr : spec.block_attrs) as NonNullable<
        ProtoSpec['Attr']
      >;
      const parsed = parseType(type);
      if (!parsed.ok) return err(`of "${name || implied}" ${parsed.error}`);
      const kind = spec.block === 'Attr' ? 'attr' : 'block-attrs';
      return ok({ kind, name: name || implied, type: parsed.value, required });
    }
    case 'block_value': {
      const { name, required, nested: inner } = spec.block_value as NonNullable<ProtoSpec['block_value']>;
      const schema = nested(inner);
      return schema.ok ? ok({ kind: 'block', name: name || implied, required, nested: schema.value }) : schema;
    }
    case 'block_list':
    case 'block_set': {
      const unique = spec.block === 'block_set';
      const blocks = (unique ? spec.block_set : spec.block_list) as ProtoBlocks;
      const schema = nested(blocks.nested);
      if (!schema.ok) return schema;
      const { name, min_items: min, max_items: max } = blocks;
      return ok({ kind: 'blocks', name: name || implied, min, max, unique, nested: schema.value });
    }
    case 'block_map': {
      const { name, labels, nested: inner } = spec.block_map as NonNullable<ProtoSpec['block_map']>;
      const schema = nested(inner);
      if (!schema.ok) return schema;
      return ok({ kind: 'block-map', name: name || implied, labels: Math.max(1, labels.length), nested: schema.value });
    }
    case 'default': {
      const primary = nested(spec.default?.primary ?? null, implied);
      if (!primary.ok) return primary;
      const fallback = nested(spec.default?.default ?? null, implied);
      return fallback.ok ? ok({ kind: 'default', primary: primary.value, fallback: fallback.value }) : fallback;
    }
    case 'literal': {
      const parsed = parseExpression(spec.literal?.value ?? '');
      const value = parsed.ok ? evaluate(parsed.value) : parsed;
      return value.ok ? ok({ kind: 'literal', value: value.value }) : err(`of "${implied}" ${value.error}`);
    }
    default:
      return err(`of "${implied}" is empty or of a kind that is not known`);
  }
}

/** Reads a configuration; unknown keys are problems that name the nearest known one. */
export function decodeBySchema(
  schema: Schema,
  config: Record<string, unknown>,
): { value: unknown } | { problems: ConfigProblem[] } {
  const problems: ConfigProblem[] = [];
  const value = decodeBody(schema, config, '', problems);
  return problems.length > 0 ? { problems } : { value };
}

function decodeBody(schema: Schema, body: Record<string, unknown>, path: string, problems: ConfigProblem[]): unknown {
  const names = namesOf(schema);
  // First what is misspelt: it explains what is missing.
  for (const key of Object.keys(body)) {
    if (names.includes(key)) continue;
    const near = nearest(key, names);
    problems.push({ path: at(path, key), message: `is not a known key${near ? `; did you mean "${near}"?` : ''}` });
  }
  return read(schema, body, path, problems);
}

function read(schema: Schema, body: Record<string, unknown>, path: string, problems: ConfigProblem[]): unknown {
  switch (schema.kind) {
    case 'object':
      return Object.fromEntries(schema.fields.map(([key, field]) => [key, read(field, body, path, problems)]));
    case 'array':
      return schema.items.map((item) => read(item, body, path, problems));
    case 'literal':
      return schema.value;
    case 'default':
      return read(schema.primary, body, path, problems) ?? read(schema.fallback, body, path, problems);
    case 'attr':
      return readAttr(schema, body[schema.name], at(path, schema.name), problems);
    case 'block-attrs': {
      const [block] = readBlocks(schema, body, path, problems, { min: schema.required ? 1 : 0, max: 1 });
      return block ? convert({ kind: 'map', of: schema.type }, block, at(path, schema.name), problems) : null;
    }
    case 'block': {
      const [block] = readBlocks(schema, body, path, problems, { min: schema.required ? 1 : 0, max: 1 });
      return block ? decodeBody(schema.nested, block, at(path, schema.name), problems) : null;
    }
    case 'blocks': {
      const found = readBlocks(schema, body, path, problems, schema).map((block, i) =>
        decodeBody(schema.nested, block, `${at(path, schema.name)}[${i}]`, problems),
      );
      return schema.unique ? distinct(found) : found;
    }
    case 'block-map':
      return readLabelled(schema, body[schema.name], at(path, schema.name), schema.labels, problems);
  }
}

function readAttr(
  { type, required }: Extract<Schema, { kind: 'attr' }>,
  value: unknown,
  path: string,
  problems: ConfigProblem[],
): unknown {
  if ((value === undefined || value === null) && required) problems.push({ path, message: 'is missing' });
  return convert(type, value, path, problems);
}

function readBlocks(
  { name }: { name: string },
  body: Record<string, unknown>,
  path: string,
  problems: ConfigProblem[],
  { min, max }: { min: number; max: number },
): Record<string, unknown>[] {
  const value = body[name] ?? [];
  const found = Array.isArray(value) ? value : [value];
  if (!found.every(isObject)) {
    problems.push({ path: at(path, name), message: `must be a block, not ${JSON.stringify(value)}` });
    return [];
  }
  if (found.length < min) {
    problems.push({ path: at(path, name), message: min === 1 ? 'is missing' : `must be there ${min} times at least` });
  }
  if (max > 0 && found.length > max) {
    const often = max === 1 ? 'once' : `${max} times at most`;
    problems.push({ path: at(path, name), message: `may be written ${often}, not ${found.length} times` });
  }
  return found;
}

/** `volume "data" { … }` comes as { volume: { data: { … } } }, each level perhaps in a list. */
function readLabelled(
  schema: Extract<Schema, { kind: 'block-map' }>,
  value: unknown,
  path: string,
  labels: number,
  problems: ConfigProblem[],
): unknown {
  const levels = value === undefined || value === null ? [] : Array.isArray(value) ? value : [value];
  const result: Record<string, unknown> = {};
  for (const level of levels) {
    if (!isObject(level)) {
      problems.push({ path, message: `must be a block with a label, not ${JSON.stringify(level)}` });
      continue;
    }
    if (labels === 0) return decodeBody(schema.nested, level, path, problems);
    for (const [label, inner] of Object.entries(level)) {
      result[label] = readLabelled(schema, inner, `${path}.${label}`, labels - 1, problems);
    }
  }
  return result;
}

/** The keys that a body may have. */
function namesOf(schema: Schema): string[] {
  switch (schema.kind) {
    case 'object':
      return schema.fields.flatMap(([, field]) => namesOf(field));
    case 'array':
      return schema.items.flatMap(namesOf);
    case 'default':
      return [...namesOf(schema.primary), ...namesOf(schema.fallback)];
    case 'literal':
      return [];
    default:
      return [schema.name];
  }
}

function at(path: string, key: string): string {
  return path === '' ? key : `${path}.${key}`;
}

function withKey(key: string, schema: Result<Schema, string>): Result<[string, Schema], string> {
  return schema.ok ? ok([key, schema.value]) : schema;
}

function collect<T>(results: Result<T, string>[]): Result<T[], string> {
  const values: T[] = [];
  for (const result of results) {
    if (!result.ok) return result;
    values.push(result.value);
  }
  return ok(values);
}
