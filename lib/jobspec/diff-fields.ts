import type { DiffType, FieldDiff, ObjectDiff } from '../structs/job-diff.js';
import type { Plain, Shape } from './diff-shapes.js';

/** Name of a field → its value as text. */
type Flat = Map<string, string>;

const NOTHING: Flat = new Map();

/** The plain values of a block by its shape; those of its inner blocks are not among them. */
export function flatten(block: Plain, shape: Shape): Flat {
  const flat: Flat = new Map();
  for (const [key, value] of Object.entries(block)) {
    if (shape.skip?.includes(key)) continue;
    if (shape.maps?.includes(key)) flattenDeep(key, value ?? {}, flat);
    else if (shape.open?.includes(key)) flattenDeep('', value ?? {}, flat);
    else if (shape.joined?.includes(key)) {
      if (Array.isArray(value) && value.length > 0) flat.set(key, value.join(','));
    } else if (isScalar(value)) flat.set(key, String(value));
    else if (value === null && shape.absent?.[key] !== undefined) flat.set(key, shape.absent[key]);
  }
  return flat;
}

/** The leaves of anything: `mount[0][target]`, as Nomad names them. */
export function flattenDeep(path: string, value: unknown, flat: Flat = new Map()): Flat {
  if (Array.isArray(value)) {
    for (const [i, item] of value.entries()) flattenDeep(`${path}[${i}]`, item, flat);
  } else if (typeof value === 'object' && value !== null) {
    for (const [key, item] of Object.entries(value)) flattenDeep(path === '' ? key : `${path}[${key}]`, item, flat);
  } else if (path !== '') flat.set(path, value === null || value === undefined ? 'nil' : String(value));
  return flat;
}

function isScalar(value: unknown): boolean {
  return typeof value === 'string' || typeof value === 'number' || typeof value === 'boolean';
}

/** What changed from one set of values to another, by name; with `all`, what did not change as well. */
export function diffFields(before: Flat | null, after: Flat | null, all: boolean): FieldDiff[] {
  const [old, now] = [before ?? NOTHING, after ?? NOTHING];
  const names = [...new Set([...old.keys(), ...now.keys()])];
  return names
    .map((name) => fieldDiff(name, old.get(name) ?? '', now.get(name) ?? ''))
    .filter(({ Type }) => all || Type !== 'None')
    .sort(compareFields);
}

export function fieldDiff(name: string, before: string, after: string): FieldDiff {
  return { Type: typeOfChange(before, after), Name: name, Old: before, New: after, Annotations: null };
}

function typeOfChange(before: string, after: string): DiffType {
  if (before === after) return 'None';
  if (before === '') return 'Added';
  return after === '' ? 'Deleted' : 'Edited';
}

/** The one type of several changes: all added, all deleted, or a mixture. */
export function typeOfFields(fields: readonly FieldDiff[]): DiffType {
  const types = new Set(fields.map(({ Type }) => Type));
  if (types.has('Edited') || (types.has('Added') && types.has('Deleted'))) return 'Edited';
  if (types.has('Added')) return 'Added';
  return types.has('Deleted') ? 'Deleted' : 'None';
}

const compareText = (a: string, b: string): number => (a < b ? -1 : a > b ? 1 : 0);

function compareFields(a: FieldDiff, b: FieldDiff): number {
  return compareText(a.Name, b.Name) || compareText(a.Old, b.Old) || compareText(a.New, b.New);
}

const TYPE_ORDER: readonly DiffType[] = ['Edited', 'Added', 'Deleted', 'None'];

/** By name, then by type, then the smaller first: Nomad's order of the objects of one kind. */
export function compareObjects(a: ObjectDiff, b: ObjectDiff): number {
  const sizes = (x: ObjectDiff): [number, number] => [x.Fields?.length ?? 0, x.Objects?.length ?? 0];
  const [[aFields, aObjects], [bFields, bObjects]] = [sizes(a), sizes(b)];
  return (
    compareText(a.Name, b.Name) ||
    TYPE_ORDER.indexOf(a.Type) - TYPE_ORDER.indexOf(b.Type) ||
    aFields - bFields ||
    aObjects - bObjects ||
    compareEach(a.Fields ?? [], b.Fields ?? [], compareFields) ||
    compareEach(a.Objects ?? [], b.Objects ?? [], compareObjects)
  );
}

function compareEach<T>(a: readonly T[], b: readonly T[], compare: (x: T, y: T) => number): number {
  for (const [i, item] of a.entries()) {
    const order = compare(item, b[i] as T);
    if (order !== 0) return order;
  }
  return 0;
}
