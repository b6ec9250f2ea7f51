import type { DiffType, FieldDiff, ObjectDiff } from '../structs/job-diff.js';
import { isEqual } from '../util/equal.js';
import { compareObjects, diffFields, fieldDiff, flatten, flattenDeep, typeOfFields } from './diff-fields.js';
import type { Match, Part, Plain, Shape } from './diff-shapes.js';

/** Fields and objects of a block that may be there before, after or both; `contextual` tells unchanged fields of changed blocks. */
export function diffBlock(
  before: Plain | null,
  after: Plain | null,
  shape: Shape,
  contextual: boolean,
): { Fields: FieldDiff[] | null; Objects: ObjectDiff[] | null } {
  const fields = diffFields(
    before && flatten(before, shape),
    after && flatten(after, shape),
    contextual && !shape.brief,
  );
  const objects = (shape.parts ?? []).flatMap((part) =>
    diffPart(part, before?.[part.key] ?? null, after?.[part.key] ?? null, contextual),
  );
  return { Fields: listOrNull(fields), Objects: listOrNull(objects) };
}

export function listOrNull<T>(list: T[]): T[] | null {
  return list.length > 0 ? list : null;
}

/** Whether something was added, taken away or changed; equal things are 'None'. */
export function typeOfPair(before: unknown, after: unknown): DiffType {
  if (isEqual(before, after)) return 'None';
  if (before === null) return 'Added';
  return after === null ? 'Deleted' : 'Edited';
}

function diffPart(part: Part, before: unknown, after: unknown, contextual: boolean): ObjectDiff[] {
  switch (part.form) {
    case 'one':
      return diffObject(part.name, before as Plain | null, after as Plain | null, part.shape, contextual);
    case 'list':
      return diffList(part, (before ?? []) as Plain[], (after ?? []) as Plain[], contextual);
    case 'named':
      return diffNamed(
        part,
        (before ?? {}) as Record<string, Plain>,
        (after ?? {}) as Record<string, Plain>,
        contextual,
      );
    case 'texts':
      return diffTexts(part, (before ?? []) as string[], (after ?? []) as string[], contextual);
    case 'free':
      return diffFree(part, before, after, contextual);
  }
}

function diffObject(
  name: string,
  before: Plain | null,
  after: Plain | null,
  shape: Shape,
  contextual: boolean,
): ObjectDiff[] {
  const own = typeOfPair(before, after);
  if (own === 'None') return [];
  const inside = diffBlock(before, after, shape, contextual);
  const type = shape.byFields ? typeOfFields(inside.Fields ?? []) : own;
  // Only what is never told has changed.
  if (type === 'None') return [];
  return [{ Type: type, Name: name, ...inside }];
}

type Pair<T> = [T | null, T | null];

function diffList(
  { name, shape, match }: Extract<Part, { form: 'list' }>,
  before: Plain[],
  after: Plain[],
  contextual: boolean,
): ObjectDiff[] {
  return pairUp(before, after, match)
    .flatMap(([a, b]) => diffObject(name, a, b, shape, contextual))
    .sort(compareObjects);
}

function diffNamed(
  { name, shape }: Extract<Part, { form: 'named' }>,
  before: Record<string, Plain>,
  after: Record<string, Plain>,
  contextual: boolean,
): ObjectDiff[] {
  const keys = [...new Set([...Object.keys(before), ...Object.keys(after)])].sort();
  return keys.flatMap((key) => diffObject(name, before[key] ?? null, after[key] ?? null, shape, contextual));
}

function diffTexts(
  { name, quiet }: Extract<Part, { form: 'texts' }>,
  before: string[],
  after: string[],
  contextual: boolean,
): ObjectDiff[] {
  const [old, now] = [new Set(before), new Set(after)];
  const fields = [...new Set([...before, ...after])]
    .map((text) => fieldDiff(name, old.has(text) ? text : '', now.has(text) ? text : ''))
    .filter(({ Type }) => contextual || Type !== 'None')
    .sort((a, b) => (a.Old === b.Old ? (a.New < b.New ? -1 : 1) : a.Old < b.Old ? -1 : 1));
  const type = typeOfFields(fields);
  if (fields.length === 0 || (type === 'None' && quiet)) return [];
  return [{ Type: type, Name: name, Fields: fields, Objects: null }];
}

function diffFree(
  { name, brief }: Extract<Part, { form: 'free' }>,
  before: unknown,
  after: unknown,
  contextual: boolean,
): ObjectDiff[] {
  const type = typeOfPair(before, after);
  if (type === 'None') return [];
  const fields = diffFields(flattenDeep('', before), flattenDeep('', after), contextual && !brief);
  return [{ Type: type, Name: name, Fields: listOrNull(fields), Objects: null }];
}

/** Which element became which; what has no counterpart was deleted or added. */
export function pairUp<T extends Plain>(before: readonly T[], after: readonly T[], match: Match): Pair<T>[] {
  switch (match.by) {
    case 'position':
      return Array.from({ length: Math.max(before.length, after.length) }, (_, i) => [
        before[i] ?? null,
        after[i] ?? null,
      ]);
    case 'equality':
      // Saying one thing twice changes nothing.
      return pairBy(unique(before), unique(after), (a, b) => (isEqual(a, b) ? 1 : 0));
    case 'key': {
      if (match.lone && before.length === 1 && after.length === 1) return [[before[0] as T, after[0] as T]];
      const [old, now] = match.last ? [lastOfEach(before, match.key), lastOfEach(after, match.key)] : [before, after];
      return pairByKey(old, now, match.key);
    }
    case 'likeness':
      // A lone service stays itself, whatever it is called now.
      if (before.length === 1 && after.length === 1) return [[before[0] as T, after[0] as T]];
      return pairBy(before, after, likeness);
  }
}

function lastOfEach<T extends Plain>(items: readonly T[], key: string): T[] {
  return [...new Map(items.map((item) => [item[key], item])).values()];
}

function unique<T extends Plain>(items: readonly T[]): T[] {
  return items.filter((item, i) => items.findIndex((other) => isEqual(item, other)) === i);
}

/** A service is known by its name and its port; its position alone does not suffice. */
function likeness(a: Plain, b: Plain, samePosition: boolean): number {
  const score =
    (a['Name'] === b['Name'] ? 3 : 0) + (a['PortLabel'] === b['PortLabel'] ? 2 : 0) + (samePosition ? 1 : 0);
  return score > 2 ? score : 0;
}

/** The first of a name with the first of that name, the second with the second: there may be thousands. */
function pairByKey<T extends Plain>(before: readonly T[], after: readonly T[], key: string): Pair<T>[] {
  const waiting = new Map<unknown, number[]>();
  for (const [j, b] of after.entries()) {
    const same = waiting.get(b[key]);
    if (same) same.push(j);
    else waiting.set(b[key], [j]);
  }
  return joined(
    before,
    after,
    before.map((a) => waiting.get(a[key])?.shift()),
  );
}

/** The likest first; among equals the earliest. Taken from either side the pairs are the same. */
function pairBy<T extends Plain>(
  before: readonly T[],
  after: readonly T[],
  score: (a: T, b: T, samePosition: boolean) => number,
): Pair<T>[] {
  const candidates = before.flatMap((a, i) =>
    after.map((b, j) => ({ i, j, score: score(a, b, i === j) })).filter((candidate) => candidate.score > 0),
  );
  candidates.sort(
    (x, y) => y.score - x.score || Math.min(x.i, x.j) - Math.min(y.i, y.j) || Math.max(x.i, x.j) - Math.max(y.i, y.j),
  );
  const partners: (number | undefined)[] = before.map(() => undefined);
  const taken = new Set<number>();
  for (const { i, j } of candidates) {
    if (partners[i] !== undefined || taken.has(j)) continue;
    partners[i] = j;
    taken.add(j);
  }
  return joined(before, after, partners);
}

/** Each of the old ones with its partner, then what has none of the new ones. */
function joined<T>(before: readonly T[], after: readonly T[], partners: readonly (number | undefined)[]): Pair<T>[] {
  const taken = new Set(partners);
  const kept = before.map((a, i): Pair<T> => {
    const j = partners[i];
    return [a, j === undefined ? null : (after[j] as T)];
  });
  const added = after.flatMap((b, j): Pair<T>[] => (taken.has(j) ? [] : [[null, b]]));
  return [...kept, ...added];
}
