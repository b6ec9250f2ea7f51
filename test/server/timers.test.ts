import { test } from 'tap';
import { createSoon } from '../../lib/server/timers.js';

/** Turns of an event loop whose clock only its work moves. */
function loop() {
  let nowMs = 0;
  let due: (() => void)[] = [];
  const soon = createSoon({ now: () => nowMs, immediate: (fn) => void due.push(fn) });
  return {
    soon,
    work: (ms: number) => {
      nowMs += ms;
    },
    /** One turn: what is due at its beginning. */
    turn() {
      const now = due;
      due = [];
      for (const fn of now) fn();
    },
    isIdle: () => due.length === 0,
  };
}

test('those who rest together do not go on together', async (t) => {
  const { soon, work, turn, isIdle } = loop();
  const done: string[] = [];
  const long = (name: string) => () => {
    work(5);
    done.push(name);
  };
  for (const name of ['evaluation', 'write', 'list']) soon(long(name));
  const after: number[] = [];
  for (let i = 0; i < 10 && !isIdle(); i++) {
    turn();
    after.push(done.length);
  }
  t.same(done, ['evaluation', 'write', 'list'], 'each had its turn, in their order');
  t.same(after.slice(0, 3), [1, 2, 3], 'one in each');
  t.ok(isIdle(), 'and nothing is left to do');
});

test('what is little goes on in one turn', async (t) => {
  const { soon, work, turn } = loop();
  let done = 0;
  for (let i = 0; i < 20; i++) {
    soon(() => {
      work(0.1);
      done++;
    });
  }
  turn();
  t.equal(done, 20);
  soon(() => {
    soon(() => done++);
    done++;
  });
  turn();
  t.equal(done, 21, 'what is asked for meanwhile is for later');
  turn();
  t.equal(done, 22);
});

test('who comes later does not go first', async (t) => {
  const { soon, work, turn } = loop();
  const done: string[] = [];
  const take = (name: string) => () => {
    work(4);
    done.push(name);
  };
  soon(take('a'));
  soon(take('b'));
  turn();
  soon(take('c'));
  turn();
  turn();
  t.same(done, ['a', 'b', 'c']);
});
