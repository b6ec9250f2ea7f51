import { type Diagnostic, errorAt, type SourceRange } from '../../hcl/index.js';
import { parseDuration } from '../../util/duration.js';
import { nearest } from '../../util/nearest.js';
import type { Field, Fields, Shape } from './fields.js';
import { mergeBlock, mergeInto } from './merge.js';
import type { RawBroken, RawEntry, RawNode, RawObject } from './raw.js';

/** A configuration with checked keys and types, still in Nomad's words; durations are milliseconds. */
export interface Checked {
  [key: string]: CheckedValue;
}

export type CheckedValue = string | number | boolean | string[] | Checked | undefined | unknown;

/** What reading a file has to say. */
export interface Findings {
  readonly diagnostics: Diagnostic[];
  /** Path of a key without a meaning here → what replaces it. */
  readonly replaced: Map<string, string>;
  /** Path of a key → where it stands, the last time. */
  readonly places: Map<string, SourceRange>;
}

/** Checks a file against the keys that there are; each problem has its place. */
export function readFields(object: RawObject, fields: Fields, path: string, findings: Findings): Checked {
  const checked: Checked = {};
  for (const entry of object.entries) {
    const field = Object.hasOwn(fields, entry.key) ? fields[entry.key] : undefined;
    const here = path === '' ? entry.key : `${path}.${entry.key}`;
    findings.places.set(here, entry.keyRange);
    if (!field) {
      complainOfKey(entry, fields, path, findings);
    } else if (field.instead !== undefined) {
      findings.replaced.set(here, field.instead);
    } else {
      const value = readNode(entry.node, field.shape, here, findings);
      if (value !== undefined) mergeInto(checked, entry.key, value, field.shape);
    }
  }
  return checked;
}

function complainOfKey({ key, keyRange }: RawEntry, fields: Fields, path: string, findings: Findings): void {
  const where = path === '' ? 'The agent configuration' : `The block "${path}"`;
  const near = nearest(key, Object.keys(fields));
  const hint = near ? ` Did you mean "${near}"?` : '';
  findings.diagnostics.push(errorAt(keyRange, 'Unknown key', `${where} has no key "${key}".${hint}`));
}

const WANTED: Record<Shape['kind'], string> = {
  string: 'a string',
  integer: 'a whole number',
  number: 'a number',
  bool: 'true or false',
  duration: 'a duration such as "30s" or "1h30m"',
  free: 'anything',
  choice: 'one of the known words',
  strings: 'a list of strings',
  object: 'a block',
  map: 'a map of names to strings',
  block: 'a block',
  labelled: 'a block with a label',
};

function readNode(node: RawNode, shape: Shape, path: string, findings: Findings): CheckedValue {
  if (node.kind === 'broken') return undefined;
  const refuse = (wanted: string, range: SourceRange = node.range): undefined => {
    const detail = `The value of "${path}" must be ${wanted}, not ${kindOf(node)}.`;
    findings.diagnostics.push(errorAt(range, 'Wrong type', detail));
    return undefined;
  };
  switch (shape.kind) {
    case 'free':
      return plain(node);
    case 'object':
      return readObject(node) ?? refuse(WANTED.object);
    case 'strings':
      return readStrings(node) ?? refuse(WANTED.strings);
    case 'map':
      return readMap(node) ?? refuse(WANTED.map);
    case 'block':
      return (
        readBlocks(node, (object) => readFields(object, shape.fields, path, findings), shape) ?? refuse(WANTED.block)
      );
    case 'labelled':
      return (
        readBlocks(node, (object) => readLabelled(object, shape, path, findings), shape) ?? refuse(WANTED.labelled)
      );
    case 'choice':
      return readChoice(node, shape.of) ?? refuse(`one of ${shape.of.map((word) => `"${word}"`).join(', ')}`);
    default: {
      const value = node.kind === 'scalar' ? readScalar(node.value, shape.kind) : undefined;
      return value ?? refuse(WANTED[shape.kind]);
    }
  }
}

function kindOf(node: Exclude<RawNode, RawBroken>): string {
  if (node.kind === 'list') return 'a list';
  if (node.kind === 'object') return 'a block or map';
  if (node.value === null) return 'null';
  return typeof node.value === 'string' ? JSON.stringify(node.value) : String(node.value);
}

/** Like Nomad, numbers and bools in quotes are let pass. */
function readScalar(
  value: string | number | bigint | boolean | null,
  kind: 'string' | 'integer' | 'number' | 'bool' | 'duration',
) {
  switch (kind) {
    case 'string':
      return typeof value === 'string' || typeof value === 'number' ? String(value) : undefined;
    case 'bool':
      if (typeof value === 'boolean') return value;
      return value === 'true' ? true : value === 'false' ? false : undefined;
    case 'duration': {
      const parsed = typeof value === 'string' ? parseDuration(value) : undefined;
      return parsed?.ok ? parsed.value / 1e6 : undefined;
    }
    default: {
      const number = typeof value === 'string' && /^-?[0-9]+(\.[0-9]+)?$/.test(value) ? Number(value) : value;
      if (typeof number !== 'number') return undefined;
      return kind === 'number' || Number.isSafeInteger(number) ? number : undefined;
    }
  }
}

function readChoice(node: RawNode, of: readonly string[]): string | undefined {
  if (node.kind !== 'scalar' || typeof node.value !== 'string') return undefined;
  const word = node.value.toLowerCase();
  return of.includes(word) ? word : undefined;
}

function readStrings(node: RawNode): string[] | undefined {
  if (node.kind !== 'list') return undefined;
  const strings = node.items.map((item) => (item.kind === 'scalar' ? readScalar(item.value, 'string') : undefined));
  return strings.every((item) => typeof item === 'string') ? strings : undefined;
}

function readObject(node: RawNode): Checked | undefined {
  const objects = node.kind === 'list' ? node.items : [node];
  if (!objects.every(({ kind }) => kind === 'object')) return undefined;
  return Object.assign({}, ...objects.map(plain));
}

function readMap(node: RawNode): Record<string, string> | undefined {
  const objects = node.kind === 'list' ? node.items : [node];
  const result: Record<string, string> = {};
  for (const object of objects) {
    if (object.kind !== 'object') return undefined;
    for (const { key, node: item } of object.entries) {
      if (item.kind !== 'scalar' || item.value === null) return undefined;
      result[key] = String(item.value);
    }
  }
  return result;
}

/** JSON may write a block as an object, or as a list of them. */
function readBlocks(node: RawNode, read: (object: RawObject) => Checked, shape: Shape): Checked | undefined {
  const objects = node.kind === 'list' ? node.items : [node];
  let result: Checked = {};
  for (const object of objects) {
    if (object.kind !== 'object') return undefined;
    result = mergeBlock(result, read(object), shape);
  }
  return result;
}

function readLabelled(
  object: RawObject,
  shape: Shape & { kind: 'labelled' },
  path: string,
  findings: Findings,
): Checked {
  const result: Checked = {};
  for (const { key, keyRange, node } of object.entries) {
    const here = `${path} "${key}"`;
    findings.places.set(here, keyRange);
    const field: Field = { shape: { kind: 'block', fields: shape.fields } };
    if (node.kind === 'scalar') {
      const detail = `Write the name of the ${path} before its brace: ${path} "name" { ${key} = … }.`;
      findings.diagnostics.push(errorAt(keyRange, 'Missing label', detail));
      return result;
    }
    const value = readNode(node, field.shape, here, findings);
    if (value !== undefined) mergeInto(result, key, value, field.shape);
  }
  return result;
}

/** As JSON has it; blocks that stand once become objects, those that stand more often lists of them. */
function plain(node: RawNode): unknown {
  if (node.kind === 'scalar') return typeof node.value === 'bigint' ? Number(node.value) : node.value;
  if (node.kind === 'broken') return null;
  if (node.kind === 'list') return node.items.map(plain);
  const result: Record<string, unknown> = {};
  const times = new Map<string, number>();
  for (const { key, node: item } of node.entries) {
    const before = times.get(key) ?? 0;
    times.set(key, before + 1);
    if (before === 0) result[key] = plain(item);
    else result[key] = before === 1 ? [result[key], plain(item)] : [...(result[key] as unknown[]), plain(item)];
  }
  return result;
}
