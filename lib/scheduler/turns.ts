/** What a draft says when others should have the thread: whether it is in the middle of placing very many. */
export type Rest = 'placing' | undefined;

/** Items gone through between two rests: each costs up to a few microseconds, so that is a few milliseconds. */
const ITEMS_PER_TURN = 500;

/** Acts so many times (never, if that is less than 1) with rests in between. */
export function* inTurnsTo(times: number, act: () => void): Generator<Rest, void, void> {
  for (let i = 1; i <= times; i++) {
    act();
    if (i % ITEMS_PER_TURN === 0) yield undefined;
  }
}

/** Goes through a list of whatever length with rests in between, so that others have the thread; more of them for dear items. */
export function* inTurns<T>(
  items: Iterable<T>,
  act: (item: T) => void,
  perTurn = ITEMS_PER_TURN,
): Generator<Rest, void, void> {
  let left = perTurn;
  for (const item of items) {
    act(item);
    if (--left > 0) continue;
    left = perTurn;
    yield undefined;
  }
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
