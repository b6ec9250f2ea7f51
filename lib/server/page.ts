import { MeshError } from '../structs/errors.js';
import type { QueryOptions } from '../structs/rpc.js';
import type { Turns } from '../util/turns.js';
import { type Filter, parseFilter } from './filter.js';

/** What a list may be asked to leave out, read from a query. */
export interface PageOptions {
  filter: Filter | null;
  perPage: number;
  nextToken: string;
}

/** Reads the paging options. Throws E_BAD_REQUEST for a filter that cannot be read or a negative page size. */
export function pageOptions(query: QueryOptions): PageOptions {
  const perPage = query.PerPage ?? 0;
  if (!Number.isInteger(perPage) || perPage < 0) {
    throw new MeshError('E_BAD_REQUEST', `per_page must be a whole number from 0, not ${perPage}`);
  }
  const source = query.Filter ?? '';
  if (source === '') return { filter: null, perPage, nextToken: query.NextToken ?? '' };
  const filter = parseFilter(source);
  if (!filter.ok) throw new MeshError('E_BAD_REQUEST', `failed to read filter expression: ${filter.error}`);
  return { filter: filter.value, perPage, nextToken: query.NextToken ?? '' };
}

/**
 * One page of a sorted list: those whose token is not before `nextToken` (in the list's own order, given by `compare`),
 * filtered by what they are (Nomad filters whole objects, not the rows it shows), and the token of the first one after
 * the page ('' at the end). Of a long list it takes as many turns as that needs.
 */
export async function page<T, S extends object>(
  turns: Turns,
  items: Iterable<T>,
  options: PageOptions & {
    token: (item: T) => string;
    /** Negative when the first token comes before the second. */
    compare: (a: string, b: string) => number;
    show: (item: T) => S;
    /** What the filter sees, where that is more than what is shown; secrets must not be in it. */
    whole?: (item: T) => object;
  },
): Promise<{ items: S[]; nextToken: string }> {
  const shown: S[] = [];
  let nextToken = '';
  await turns.through(items, (item) => {
    if (options.nextToken !== '' && options.compare(options.token(item), options.nextToken) < 0) return true;
    const stub = options.show(item);
    if (options.filter && !options.filter(options.whole ? { ...stub, ...options.whole(item) } : stub)) return true;
    if (options.perPage > 0 && shown.length === options.perPage) {
      nextToken = options.token(item);
      return false;
    }
    shown.push(stub);
    return true;
  });
  return { items: shown, nextToken };
}

const compareText = (a: string, b: string): number => (a < b ? -1 : a > b ? 1 : 0);

/** Order of lists by creation: tokens are `<create index>.<id>`. */
export const byCreation = {
  token: (item: { CreateIndex: number; ID: string }): string => `${item.CreateIndex}.${item.ID}`,
  compare(a: string, b: string): number {
    const [indexA, indexB] = [Number.parseInt(a, 10), Number.parseInt(b, 10)];
    if (indexA !== indexB) return indexA - indexB;
    return compareText(a.slice(a.indexOf('.')), b.slice(b.indexOf('.')));
  },
};

/** Indexes that lie together while things are sorted by creation. */
const SPAN = 1024;

/**
 * Things in the order of their creation, those of one index as they come; from the end if `reverse`. Looked through in
 * turns, and put in order as they are read: a page of ten out of 100,000 sorts next to nothing.
 */
export async function inOrderOfCreation<T extends { CreateIndex: number; ID: string }>(
  turns: Turns,
  things: Iterable<T>,
  { reverse = false, wanted }: { reverse?: boolean | undefined; wanted?: (thing: T) => boolean } = {},
): Promise<{ items: Iterable<T>; token: (item: T) => string; compare: (a: string, b: string) => number }> {
  const spans = new Map<number, Map<number, T[]>>();
  await turns.through(things, (thing) => {
    if (wanted && !wanted(thing)) return true;
    const { CreateIndex: index } = thing;
    const at = Math.floor(index / SPAN);
    const span = spans.get(at) ?? new Map<number, T[]>();
    spans.set(at, span);
    const known = span.get(index);
    if (known) known.push(thing);
    else span.set(index, [thing]);
    return true;
  });
  const { token } = byCreation;
  if (!reverse) return { items: inOrderOfIndex(spans, false), ...byCreation };
  return { items: inOrderOfIndex(spans, true), token, compare: (a, b) => byCreation.compare(b, a) };
}

function* inOrderOfIndex<T>(
  spans: ReadonlyMap<number, ReadonlyMap<number, readonly T[]>>,
  reverse: boolean,
): Generator<T, void, undefined> {
  const inOrder = (keys: Iterable<number>): number[] => [...keys].sort((a, b) => (reverse ? b - a : a - b));
  for (const at of inOrder(spans.keys())) {
    const span = spans.get(at);
    for (const index of inOrder(span?.keys() ?? [])) {
      const things = span?.get(index) ?? [];
      yield* reverse ? things.toReversed() : things;
    }
  }
}

/** Order of lists by id. */
export const byId = {
  token: (item: { ID: string }): string => item.ID,
  compare: compareText,
};

/** Order of lists by name. */
export const byName = {
  token: (item: { Name: string }): string => item.Name,
  compare: compareText,
};

/** Order of jobs: by namespace, then id. Namespaces hold no dot, so the first one in a token ends the namespace. */
export const byNamespacedId = {
  token: (item: { Namespace: string; ID: string }): string => `${item.Namespace}.${item.ID}`,
  compare(a: string, b: string): number {
    const [dotA, dotB] = [a.indexOf('.'), b.indexOf('.')];
    return compareText(a.slice(0, dotA), b.slice(0, dotB)) || compareText(a.slice(dotA), b.slice(dotB));
  },
};

/** The same items from the end, with the order of tokens turned round. */
export function inOrder<T>(
  items: readonly T[],
  order: { token: (item: T) => string; compare: (a: string, b: string) => number },
  reverse: boolean,
): { items: readonly T[]; token: (item: T) => string; compare: (a: string, b: string) => number } {
  if (!reverse) return { items, ...order };
  return { items: items.toReversed(), token: order.token, compare: (a, b) => order.compare(b, a) };
}
