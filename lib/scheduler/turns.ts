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

/** Goes through a list of whatever length with rests in between, so that others have the thread. */
export function* inTurns<T>(items: Iterable<T>, act: (item: T) => void): Generator<Rest, void, void> {
  let left = ITEMS_PER_TURN;
  for (const item of items) {
    act(item);
    if (--left > 0) continue;
    left = ITEMS_PER_TURN;
    yield undefined;
  }
}
