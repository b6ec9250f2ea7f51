import t from 'tap';
import { ITEMS_PER_TURN, Turns } from '../../lib/util/turns.js';

const settle = async (): Promise<void> => {
  for (let i = 0; i < 50; i++) await Promise.resolve();
};

/** Turns that end when they are told to. */
function handTurned() {
  let due: (() => void)[] = [];
  return {
    turns: new Turns((fn) => due.push(fn)),
    waiting: () => due.length > 0,
    async next() {
      const all = due;
      due = [];
      for (const fn of all) fn();
      await settle();
    },
  };
}

const upTo = (count: number): number[] => Array.from({ length: count }, (_, i) => i);

t.test('a short list takes no turn', async (t) => {
  const { turns, waiting } = handTurned();
  for (let times = 0; times < 100; times++) t.same(await turns.list(upTo(100)), upTo(100));
  t.notOk(waiting());
});

t.test('however many go through much, what they do together in one turn is bounded', async (t) => {
  const { turns, next } = handTurned();
  let inTurn = 0;
  let most = 0;
  const walks = upTo(7).map(() =>
    turns.through(upTo(3_000), () => {
      most = Math.max(most, ++inTurn);
      return true;
    }),
  );
  let done = false;
  const all = Promise.all(walks).then(() => {
    done = true;
  });
  let count = 0;
  await settle();
  for (; !done; count++) {
    inTurn = 0;
    await next();
  }
  await all;
  // What each goes through before it first asks comes on top.
  t.ok(most <= ITEMS_PER_TURN + 7 * 100, `${most} in one turn`);
  t.ok(count >= (7 * 3_000) / (ITEMS_PER_TURN + 100), `${count} turns`);
});

t.test('who comes first goes first, and what is left of a turn is not kept for the next', async (t) => {
  const { turns, next } = handTurned();
  const order: string[] = [];
  t.equal(turns.take(ITEMS_PER_TURN), null);
  for (const [name, items] of [
    ['a', ITEMS_PER_TURN],
    ['b', 1],
    ['c', ITEMS_PER_TURN],
    ['d', 1],
  ] as const) {
    void turns.take(items)?.then(() => order.push(name));
  }
  const seen: string[] = [];
  for (let i = 0; i < 4; i++) {
    await next();
    seen.push(order.join(''));
  }
  t.same(seen, ['a', 'abc', 'abcd', 'abcd']);
  t.equal(turns.take(ITEMS_PER_TURN), null);
  t.not(turns.take(1), null);
});

t.test('a walk that has what it wants goes no further', async (t) => {
  const { turns } = handTurned();
  let seen = 0;
  await turns.through(upTo(1_000_000), () => ++seen < 42);
  t.equal(seen, 42);
});
