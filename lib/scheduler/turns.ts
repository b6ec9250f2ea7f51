import { ITEMS_PER_TURN, inTurns } from '../util/turns.js';

export { inTurns };

/** What a draft says when others should have the thread: whether it is in the middle of placing very many. */
export type Rest = 'placing' | undefined;

/** Items copied from list to list between two rests. */
const COPIED_PER_TURN = 10 * ITEMS_PER_TURN;

/** Those that satisfy, in their order, with rests. */
export function* filterInTurns<T>(items: readonly T[], satisfies: (item: T) => boolean): Generator<Rest, T[], void> {
  const found: T[] = [];
  yield* inTurns(items, (item) => {
    if (satisfies(item)) found.push(item);
  });
  return found;
}

/** Adds all at the end of a list, with rests; push(...more) would put as many arguments on the stack as there are. */
export function* appendInTurns<T>(list: T[], more: readonly T[]): Generator<Rest, void, void> {
  // Copying is cheaper than most of what is done with an item.
  yield* inTurns(more, (item) => list.push(item), COPIED_PER_TURN);
}

/** Ranks that are sorted together. */
const SPAN = 512;

/**
 * The items by a whole number, the lowest first and those of one number as they come, with rests; at most so many. For numbers
 * that are not all the same, such as the indexes in names.
 */
export function* sortInTurns<T>(
  items: Iterable<T>,
  rank: (item: T) => number,
  most = Number.POSITIVE_INFINITY,
): Generator<Rest, T[], void> {
  const spans = new Map<number, T[]>();
  yield* inTurns(items, (item) => {
    const at = Math.floor(rank(item) / SPAN);
    const span = spans.get(at);
    if (span) span.push(item);
    else spans.set(at, [item]);
  });
  const sorted: T[] = [];
  for (const at of [...spans.keys()].sort((a, b) => a - b)) {
    if (sorted.length >= most) break;
    const span = spans.get(at)?.sort((a, b) => rank(a) - rank(b)) ?? [];
    yield* inTurns(span, (item) => {
      if (sorted.length < most) sorted.push(item);
    });
  }
  return sorted;
}
