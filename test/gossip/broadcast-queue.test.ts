import t from 'tap';
import { BroadcastQueue } from '../../lib/gossip/broadcast-queue.js';

const bytes = (length: number, fill = 0): Uint8Array => new Uint8Array(length).fill(fill);
const fills = (taken: Uint8Array[]): number[] => taken.map((item) => item[0] as number);

t.test('what was sent least goes first, each item as often as the limit says', async (t) => {
  const queue = new BroadcastQueue();
  queue.add('a', bytes(100, 1));
  t.strictSame(fills(queue.take(1_000, 3)), [1]);
  queue.add('b', bytes(100, 2));
  t.strictSame(fills(queue.take(150, 3)), [2], 'the newer one, for it was sent less');
  t.strictSame(fills(queue.take(1_000, 3)).sort(), [1, 2]);
  t.strictSame(fills(queue.take(1_000, 3)).sort(), [1, 2]);
  t.equal(queue.size, 0);
  t.strictSame(queue.take(1_000, 3), []);
});

t.test('a newer word about the same replaces the older one', async (t) => {
  const queue = new BroadcastQueue();
  queue.add('a', bytes(100, 1));
  queue.take(1_000, 3);
  queue.add('a', bytes(100, 2));
  t.equal(queue.size, 1);
  t.strictSame(fills([...queue.take(1_000, 3), ...queue.take(1_000, 3), ...queue.take(1_000, 3)]), [2, 2, 2]);
  t.equal(queue.size, 0);
  queue.add('b', bytes(100, 3));
  queue.drop('b');
  t.strictSame(queue.take(1_000, 3), []);
});

t.test('a packet is never overfull, and what does not fit waits for more room', async (t) => {
  const queue = new BroadcastQueue();
  for (let at = 0; at < 50; at++) queue.add(`item ${at}`, bytes(60 + at * 10, at));
  const seen = new Map<number, number>();
  for (let round = 0; queue.size > 0; round++) {
    if (round > 1_000) throw new Error('it never empties');
    const taken = queue.take(700, 4);
    t.ok(taken.reduce((sum, item) => sum + item.length, 0) <= 700);
    t.equal(new Set(fills(taken)).size, taken.length, 'nothing stands twice in one packet');
    for (const fill of fills(taken)) seen.set(fill, (seen.get(fill) ?? 0) + 1);
  }
  t.equal(seen.size, 50);
  t.ok([...seen.values()].every((count) => count === 4));
});

t.test('nothing waits for ever behind a stream of newer news', async (t) => {
  const queue = new BroadcastQueue();
  queue.add('patient', bytes(100, 255));
  let waited = 0;
  for (let at = 0; at < 100; at++) queue.add(`before ${at}`, bytes(100, 1));
  for (let sent = false; !sent; waited++) {
    for (let at = 0; at < 5; at++) queue.add(`later ${waited} ${at}`, bytes(100, 2));
    sent = fills(queue.take(1_000, 4)).includes(255);
  }
  t.ok(waited < 3);
});
