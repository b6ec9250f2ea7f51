/** Items that all together go through in one turn of the event loop: each costs up to a few microseconds, so that is some milliseconds. */
export const ITEMS_PER_TURN = 500;
/** Groups of a job are dear: so many of them are a turn's work to read, to check or to compare. */
export const GROUPS_PER_TURN = 50;
/** Items that one of many goes through before it looks whether others wait. */
const STRIDE = 100;

/** What goes through much without I/O: wherever it yields, others may have the thread. */
export type Resting<T> = Generator<undefined, T, void>;

/** Goes through a list of whatever length with rests in between, so that others have the thread; more of them for dear items. */
export function* inTurns<T>(items: Iterable<T>, act: (item: T) => void, perTurn = ITEMS_PER_TURN): Resting<void> {
  let left = perTurn;
  for (const item of items) {
    act(item);
    if (--left > 0) continue;
    left = perTurn;
    yield undefined;
  }
}

/** What is made of each item, in their order, with rests. */
export function* mapInTurns<T, R>(
  items: readonly T[],
  make: (item: T, at: number) => R,
  perTurn = ITEMS_PER_TURN,
): Resting<R[]> {
  const made: R[] = [];
  yield* inTurns(items, (item) => made.push(make(item, made.length)), perTurn);
  return made;
}

/** Runs to its end what may rest, without a rest: for who has the thread alone. */
export function atOnce<T>(work: Iterator<unknown, T, void>): T {
  for (;;) {
    const { done, value } = work.next();
    if (done) return value;
  }
}

/**
 * Shares the thread out among all who go through much: lists of 100,000 rows, their text, a thousand callers who waited for
 * one change. What they do together in one turn is bounded, so that a heartbeat never waits for more than that; who comes
 * first goes first. It counts and reads no clock: the same work is cut at the same places on every machine.
 */
export class Turns {
  readonly #soon: (fn: () => void) => void;
  readonly #waiting: { readonly items: number; readonly go: () => void }[] = [];
  #left = ITEMS_PER_TURN;
  #renewalIsDue = false;

  /** `soon` calls a function once the present turn is over. */
  constructor(soon: (fn: () => void) => void) {
    this.#soon = soon;
  }

  /** To be asked before so many items are gone through: null when they may be at once, else resolves in a later turn. */
  take(items: number): Promise<void> | null {
    this.#renewSoon();
    if (this.#waiting.length === 0 && this.#left > 0) {
      this.#left -= items;
      return null;
    }
    return new Promise((go) => {
      this.#waiting.push({ items, go });
    });
  }

  #renewSoon(): void {
    if (this.#renewalIsDue) return;
    this.#renewalIsDue = true;
    this.#soon(() => {
      this.#renewalIsDue = false;
      this.#left = ITEMS_PER_TURN;
      if (this.#waiting.length > 0) this.#renewSoon();
      for (let next = this.#waiting[0]; next && this.#left > 0; next = this.#waiting[0]) {
        this.#waiting.shift();
        this.#left -= next.items;
        next.go();
        if (this.#left <= 0) this.#renewSoon();
      }
    });
  }

  /** Goes through items of whatever number, as far as `act` says that it wants more. A short list takes no turn. */
  async through<T>(items: Iterable<T>, act: (item: T) => boolean): Promise<void> {
    let left = STRIDE;
    for (const item of items) {
      if (left === 0) {
        const turn = this.take(STRIDE);
        if (turn) await turn;
        left = STRIDE;
      }
      left--;
      if (!act(item)) return;
    }
  }

  /** All of the items, or those that are wanted. */
  async list<T>(items: Iterable<T>, wanted?: (item: T) => boolean): Promise<T[]> {
    const all: T[] = [];
    await this.through(items, (item) => {
      if (!wanted || wanted(item)) all.push(item);
      return true;
    });
    return all;
  }

  /** Runs what rests now and then to its end: each part is taken for a whole turn's work. */
  async toEnd<T>(work: Iterator<unknown, T, void>): Promise<T> {
    for (;;) {
      const { done, value } = work.next();
      if (done) return value;
      const turn = this.take(ITEMS_PER_TURN);
      if (turn) await turn;
    }
  }
}
