import t from 'tap';
import { AWARENESS_MAX, Awareness, failedProbePenalty } from '../../lib/gossip/awareness.js';
import { retransmitLimit } from '../../lib/gossip/broadcast-queue.js';
import { GOSSIP_CONFIG } from '../../lib/gossip/config.js';
import { Incarnation } from '../../lib/gossip/incarnation.js';
import { probeIntervalMs, probeTimesMs } from '../../lib/gossip/probe.js';
import { bucketCount } from '../../lib/gossip/push-pull.js';
import { accusersNeeded, Suspicion, suspicionBoundsMs, suspicionTimeoutMs } from '../../lib/gossip/suspicion.js';

t.test('a suspicion is short once a majority of the present accuses, three at most, one never', async (t) => {
  const table: [witnesses: number, needed: number][] = [
    [1, 2],
    [2, 2],
    [3, 2],
    [4, 3],
    [5, 3],
    [29, 3],
    [9_999, 3],
  ];
  for (const [witnesses, needed] of table) t.equal(accusersNeeded(witnesses), needed, `${witnesses} witnesses`);
});

t.test(
  'the time of a suspicion shrinks with each accuser, the first ones most, and never below the least',
  async (t) => {
    const of = (accusers: number, needed: number): number =>
      Math.round(suspicionTimeoutMs({ accusers, needed, minMs: 1_000, maxMs: 9_000 }));
    t.equal(of(1, 3), 9_000);
    t.equal(of(2, 3), 3_953, '9000 − 8000 · log 2 / log 3');
    t.equal(of(3, 3), 1_000);
    t.equal(of(7, 3), 1_000);
    t.equal(of(1, 2), 9_000, 'a lone witness waits the longest time');
    t.equal(of(2, 2), 1_000);
    t.equal(of(0, 2), 9_000);
  },
);

t.test('the bounds of a suspicion grow with log10 of the members and double with each unsteadiness', async (t) => {
  const of = (members: number, unsteady: number): { minMs: number; maxMs: number } =>
    suspicionBoundsMs({ members, unsteady, baseMs: 1_000, maxFactor: 8 });
  t.strictSame(of(1, 0), { minMs: 1_000, maxMs: 8_000 });
  t.strictSame(of(10, 0), { minMs: 1_000, maxMs: 8_000 });
  t.strictSame(of(1_000, 0), { minMs: 3_000, maxMs: 24_000 });
  t.strictSame(of(10, 1), { minMs: 2_000, maxMs: 8_000 });
  t.strictSame(of(10, 3), { minMs: 8_000, maxMs: 16_000 });
  t.strictSame(of(10, 9), { minMs: 8_000, maxMs: 16_000 }, 'three count');
});

t.test('one accuser counts once, and three are enough', async (t) => {
  const suspicion = new Suspicion({ incarnation: 4, by: 'a', now: 100 });
  t.notOk(suspicion.confirm('a'));
  t.ok(suspicion.confirm('b'));
  t.ok(suspicion.confirm('c'));
  t.notOk(suspicion.confirm('d'), 'more change nothing and are not passed on');
  t.equal(suspicion.accusers.size, 3);
  suspicion.postpone(50);
  t.equal(suspicion.since, 150);
  suspicion.restart(900);
  t.strictSame([[...suspicion.accusers], suspicion.since], [['a'], 900]);
});

t.test('news is sent four times for each digit of the number of members', async (t) => {
  const table: [members: number, sends: number][] = [
    [1, 4],
    [9, 4],
    [10, 8],
    [99, 8],
    [100, 12],
    [10_000, 20],
  ];
  for (const [members, sends] of table) t.equal(retransmitLimit(4, members), sends, `${members} members`);
});

t.test('a far member, and one who feels unwell, gets more time for an answer', async (t) => {
  const of = (rttMs: number | null, factor: number): [number, number] => {
    const { directMs, deadlineMs } = probeTimesMs({ rttMs, factor, config: GOSSIP_CONFIG });
    return [directMs, deadlineMs];
  };
  t.strictSame(of(null, 1), [300, 1_000]);
  t.strictSame(of(20, 1), [300, 1_000]);
  t.strictSame(of(200, 1), [600, 1_500]);
  t.strictSame(of(60_000, 1), [2_000, 5_000], 'within reason');
  t.strictSame(of(null, 3), [300, 3_000]);
});

t.test('in a large mesh each probes less often, and all together more', async (t) => {
  const table: [members: number, intervalMs: number][] = [
    [2, 700],
    [32, 700],
    [320, 1_400],
    [3_200, 2_100],
  ];
  for (const [members, intervalMs] of table)
    t.equal(Math.round(probeIntervalMs({ members, baseMs: 700 })), intervalMs, `${members} members`);
});

t.test('who misses nacks is unwell; who has nobody to send any is not', async (t) => {
  t.equal(failedProbePenalty({ asked: 3, answered: 3 }), 0);
  t.equal(failedProbePenalty({ asked: 3, answered: 1 }), 2);
  t.equal(failedProbePenalty({ asked: 0, answered: 0 }), 0, 'the other of two is dead: the survivor is not sick');
  const awareness = new Awareness();
  awareness.better();
  t.equal(awareness.factor, 1);
  awareness.worse(3);
  t.equal(awareness.factor, 4);
  awareness.worse(100);
  t.equal(awareness.score, AWARENESS_MAX);
  awareness.better();
  t.equal(awareness.score, AWARENESS_MAX - 1);
});

t.test('an incarnation is never used before a later run is sure to begin beyond it', async (t) => {
  const first = new Incarnation(0);
  t.equal(first.current, 1);
  let kept = first.reserved;
  for (let i = 0; i < 200; i++) {
    if (first.passBeyond(first.current)) kept = first.reserved;
    t.ok(first.current <= kept);
  }
  t.ok(new Incarnation(kept).current > first.current, 'the next run wins over all that was said before');
  const told = new Incarnation(0);
  t.ok(told.passBeyond(5_000), 'others remember a higher one: a disk was lost');
  t.equal(told.current, 5_001);
  t.notOk(told.passBeyond(3), 'an old accusation moves it by one');
  t.equal(told.current, 5_002);
});

t.test('buckets of a comparison: a power of two with about four members each', async (t) => {
  const table: [members: number, buckets: number][] = [
    [0, 1],
    [1, 1],
    [4, 1],
    [5, 2],
    [30, 8],
    [100, 32],
    [1_000, 256],
    [10_000, 256],
  ];
  for (const [members, buckets] of table) t.equal(bucketCount(members), buckets, `${members} members`);
});
