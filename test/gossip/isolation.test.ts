import t from 'tap';
import { Isolation } from '../../lib/gossip/isolation.js';

t.test('silence tells only when somebody else was heard meanwhile', async (t) => {
  const isolation = new Isolation();
  t.notOk(isolation.isTelling('a', { since: 0, others: 2 }), 'nobody was ever heard');
  isolation.heard('a', 50);
  t.notOk(isolation.isTelling('a', { since: 0, others: 2 }), 'the silent one itself is no witness');
  isolation.heard('b', 100);
  t.ok(isolation.isTelling('a', { since: 100, others: 2 }));
  t.notOk(isolation.isTelling('a', { since: 101, others: 2 }));
  isolation.heard('a', 120);
  t.ok(isolation.isTelling('a', { since: 90, others: 2 }), 'b was heard, before a');
});

t.test('with one other member alone its silence counts', async (t) => {
  t.ok(new Isolation().isTelling('a', { since: 0, others: 1 }));
});

t.test('three silent members, or all there are, mean that the own link is down', async (t) => {
  const small = new Isolation();
  t.notOk(small.hold('a', 2));
  t.notOk(small.hold('a', 2), 'the same one twice is one');
  t.ok(small.hold('b', 2));
  t.ok(small.isolated);
  t.notOk(small.hold('b', 2), 'it is said once');
  const large = new Isolation();
  t.strictSame([large.hold('a', 99), large.hold('b', 99), large.hold('c', 99)], [false, false, true]);
});

t.test('the first word from anybody ends it, and those who were silent are asked again', async (t) => {
  const isolation = new Isolation();
  isolation.hold('a', 2);
  isolation.hold('b', 2);
  t.strictSame(isolation.heard('b', 10), { again: ['a'], ended: true });
  t.notOk(isolation.isolated);
  t.strictSame(isolation.heard('b', 11), { again: [], ended: false });
});
