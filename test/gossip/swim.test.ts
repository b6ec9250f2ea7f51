import t from 'tap';
import { GOSSIP_CONFIG } from '../../lib/gossip/config.js';
import { infoOf } from '../simulation/gossip/world.js';
import { alive, dead, keyOf, type Said, Solo, suspect } from './machine.js';

/** Answers pings to all but the given members, and as a helper asked about them: it heard nothing. */
const answering =
  (solo: Solo, silent: number[]) =>
  ({ to, message }: Said): void => {
    if (silent.includes(to)) return;
    if (message.type === 'ping') solo.hear(to, { type: 'ack', seq: message.seq });
    if (message.type === 'pingRequest') solo.hear(to, { type: 'nack', seq: message.seq });
  };

t.test('a ping is answered at once, with its number', async (t) => {
  const solo = new Solo(3);
  solo.hear(2, { type: 'ping', seq: 99 });
  t.strictSame(solo.said(), [{ to: 2, message: { type: 'ack', seq: 99 } }]);
});

t.test('no direct answer: others are asked to try, and the ping is said again', async (t) => {
  const solo = new Solo(6);
  solo.pass(700, answering(solo, []));
  solo.said();
  // Everybody is silent from now on, so the next probe is the one to watch.
  solo.pass(1_050);
  const said = solo.said();
  const first = said.find(({ message }) => message.type === 'ping');
  const seq = first?.message.type === 'ping' ? first.message.seq : -1;
  const helpers = said.filter(({ message }) => message.type === 'pingRequest' && message.seq === seq);
  t.equal(helpers.length, 3);
  t.notOk(helpers.some(({ to }) => to === first?.to));
  t.match(helpers[0]?.message, { target: keyOf(first?.to ?? -1), waitMs: 420 });
  t.equal(
    said.filter(({ to, message }) => to === first?.to && message.type === 'ping' && message.seq === seq).length,
    2,
  );
});

t.test('an answer by way of a helper is one', async (t) => {
  const solo = new Solo(4);
  solo.pass(20_000, ({ to, message }) => {
    if (message.type === 'ping' && to !== 1) solo.hear(to, { type: 'ack', seq: message.seq });
    if (message.type === 'pingRequest') solo.hear(to, { type: 'ack', seq: message.seq });
  });
  t.equal(solo.state(1), 'alive');
  t.equal(solo.gossip.awareness, 0);
});

t.test('nobody who was not asked may answer for it', async (t) => {
  const solo = new Solo(4);
  solo.pass(20_000, ({ to, message }) => {
    if (message.type !== 'ping') return;
    solo.hear(99, { type: 'ack', seq: message.seq });
    if (to !== 1) solo.hear(to, { type: 'ack', seq: message.seq });
  });
  t.equal(solo.state(1), 'dead');
});

t.test('asked to try, it does: it passes the answer on, or says in time that there was none', async (t) => {
  const solo = new Solo(4);
  solo.hear(1, { type: 'pingRequest', seq: 5, target: keyOf(2), waitMs: 300 });
  const [ping] = solo.saidOf('ping');
  t.equal(ping?.to, 2);
  solo.hear(3, { type: 'ack', seq: ping?.message.seq ?? -1 });
  t.strictSame(solo.saidOf('ack'), [], 'not from somebody else');
  solo.hear(1, { type: 'pingRequest', seq: 5, target: keyOf(2), waitMs: 300 });
  const [again] = solo.saidOf('ping');
  solo.hear(2, { type: 'ack', seq: again?.message.seq ?? -1 });
  t.strictSame(solo.said(), [{ to: 1, message: { type: 'ack', seq: 5 } }]);

  solo.hear(1, { type: 'pingRequest', seq: 6, target: keyOf(2), waitMs: 300 });
  solo.said();
  solo.pass(299);
  t.strictSame(solo.saidOf('nack'), []);
  solo.pass(2);
  t.strictSame(solo.saidOf('nack'), [{ to: 1, message: { type: 'nack', seq: 6 } }]);
});

t.test('helpers that say nothing make it doubt itself; helpers that say no do not', async (t) => {
  const well = new Solo(6);
  well.pass(15_000, answering(well, [1]));
  t.equal(well.gossip.awareness, 0);
  const sick = new Solo(6);
  sick.pass(15_000, ({ to, message }) => {
    if (message.type === 'ping' && to > 3) sick.hear(to, { type: 'ack', seq: message.seq });
  });
  t.ok(sick.gossip.awareness > 0);
});

t.test('the survivor of two buries the other after the longest time, and does not think itself sick', async (t) => {
  const solo = new Solo(1);
  solo.pass(3_000);
  t.equal(solo.state(1), 'suspect');
  solo.pass(6_000);
  t.equal(solo.state(1), 'suspect');
  solo.pass(4_000);
  t.equal(solo.state(1), 'dead');
  t.equal(solo.gossip.awareness, 0);
  t.notOk(solo.gossip.isolated);
});

t.test('both others of three fall silent at once: it blames itself and accuses nobody', async (t) => {
  const solo = new Solo(2);
  solo.pass(5_000, answering(solo, []));
  solo.pass(60_000);
  t.ok(solo.gossip.isolated);
  t.notOk(solo.effects.some((effect) => effect.type === 'member'));
  solo.hear(1, { type: 'ping', seq: 1 });
  t.notOk(solo.gossip.isolated);
  t.strictSame(
    solo.effects.flatMap((effect) => (effect.type === 'isolated' ? [effect.isolated] : [])),
    [true, false],
  );
  t.ok(
    solo.said().some(({ to, message }) => to === 2 && message.type === 'ping'),
    'the other one is asked again at once',
  );
});

t.test('accused, it refutes beyond the accusation, and keeps first how far it went', async (t) => {
  const solo = new Solo(3);
  solo.hear(1, suspect(0, 1, 2));
  solo.pass(100);
  const refutation = solo.saidOf('alive').find(({ message }) => message.key === keyOf(0));
  t.equal(refutation?.message.incarnation, 2);
  solo.hear(1, dead(0, 900));
  t.equal(solo.gossip.member(keyOf(0))?.incarnation, 901);
  const kept = solo.effects.flatMap((effect) => (effect.type === 'reserve' ? [effect.incarnation] : []));
  t.ok(Number(kept.at(-1)) >= 901);
  const order = solo.effects.findIndex((effect) => effect.type === 'reserve' && effect.incarnation >= 901);
  t.ok(order >= 0);
  t.ok(new Solo(0, { incarnation: Number(kept.at(-1)) }).gossip.member(keyOf(0))?.incarnation ?? 0 > 901);
});

t.test('an accusation that was refuted already gets the answer again', async (t) => {
  const solo = new Solo(3);
  solo.hear(1, suspect(0, 5, 2));
  solo.pass(5_000, answering(solo, []));
  solo.said();
  solo.hear(3, suspect(0, 5, 3));
  t.match(
    solo.said().filter(({ message }) => message.type === 'alive'),
    [{ to: 3, message: { key: keyOf(0), incarnation: 6 } }],
  );
});

t.test('a suspect hears of it in each ping, long after it was news', async (t) => {
  const solo = new Solo(3);
  solo.hear(1, suspect(2, 1, 1));
  solo.pass(5_000, answering(solo, []));
  solo.said();
  solo.pass(4_000, answering(solo, []));
  t.equal(solo.state(2), 'suspect');
  const said = solo.said().filter(({ to }) => to === 2);
  const pings = said.filter(({ message }) => message.type === 'ping').length;
  t.ok(pings > 0);
  const told = said.filter(({ message }) => message.type === 'suspect' && message.key === keyOf(2)).length;
  t.equal(told, 2 * pings, 'and once more when it answers');
});

t.test('the dead hear news for a while: one of them may not be', async (t) => {
  const solo = new Solo(2);
  solo.pass(1_000, answering(solo, []));
  solo.hear(1, dead(2, 1));
  solo.pass(1_000, answering(solo, [2]));
  t.ok(solo.saidOf('dead').some(({ to, message }) => to === 2 && message.key === keyOf(2)));
});

t.test('whoever hears a suspicion looks for itself, and confirms it when it finds the same', async (t) => {
  const solo = new Solo(5);
  solo.pass(2_000, answering(solo, []));
  solo.hear(1, suspect(2, 1, 1));
  t.ok(
    solo.said().some(({ to, message }) => to === 2 && message.type === 'ping'),
    'at once, whosever turn it is',
  );
  solo.pass(1_300, answering(solo, [2]));
  const own = solo.saidOf('suspect').filter(({ message }) => message.by === keyOf(0));
  t.ok(own.length > 0);
});

t.test('three accusers make it quick, one alone does not', async (t) => {
  for (const accusers of [1, 3]) {
    const solo = new Solo(8);
    solo.pass(2_000, answering(solo, []));
    for (let by = 1; by <= accusers; by++) solo.hear(by, suspect(8, 1, by));
    // It answers this machine itself, so that this one accuses it of nothing; it just never refutes.
    solo.pass(3_000, answering(solo, []));
    t.equal(solo.state(8), accusers === 3 ? 'dead' : 'suspect', `${accusers} accusers`);
  }
});

t.test('a refuted suspicion is over, and the next one lasts longer', async (t) => {
  const solo = new Solo(8);
  solo.pass(2_000, answering(solo, []));
  const accuse = (incarnation: number): void => {
    for (let by = 1; by <= 3; by++) solo.hear(by, suspect(8, incarnation, by));
  };
  accuse(1);
  t.equal(solo.state(8), 'suspect');
  solo.hear(8, alive(8, 2));
  t.equal(solo.state(8), 'alive');
  accuse(2);
  solo.pass(1_500, answering(solo, []));
  t.equal(solo.state(8), 'suspect', 'twice the least time');
  solo.pass(1_200, answering(solo, []));
  t.equal(solo.state(8), 'dead');
});

t.test('after a sleep it accuses nobody: the answers lie unread', async (t) => {
  const solo = new Solo(3);
  solo.pass(2_000, answering(solo, []));
  solo.pass(50);
  solo.said();
  for (let round = 0; round < 5; round++) {
    solo.pass(650);
    const asked = solo.saidOf('ping');
    solo.sleep(5_000);
    t.ok(solo.gossip.awareness > 0, 'it knows that it is slow');
    for (const { to, message } of asked) solo.hear(to, { type: 'ack', seq: message.seq });
    for (const { to, message } of solo.saidOf('ping')) solo.hear(to, { type: 'ack', seq: message.seq });
  }
  t.notOk(solo.effects.some((effect) => effect.type === 'member'));
});

t.test('time to refute goes on only while it is awake', async (t) => {
  const solo = new Solo(8);
  solo.pass(2_000, answering(solo, []));
  for (let by = 1; by <= 3; by++) solo.hear(by, suspect(8, 1, by));
  solo.sleep(60_000);
  t.equal(solo.state(8), 'suspect');
});

t.test('one believed dead that speaks is told what it must refute, and not more than once a second', async (t) => {
  const solo = new Solo(4);
  solo.hear(1, dead(2, 7));
  // By then it is no news any more.
  solo.pass(5_000, answering(solo, [2]));
  solo.said();
  solo.hear(2, { type: 'ping', seq: 1 });
  solo.hear(2, { type: 'ping', seq: 2 });
  t.equal(solo.saidOf('dead').filter(({ to, message }) => to === 2 && message.key === keyOf(2)).length, 1);
  solo.now += 1_000;
  solo.hear(2, alive(2, 1));
  t.match(
    solo.saidOf('dead'),
    [{ to: 2, message: { key: keyOf(2), incarnation: 7 } }],
    'a stale alive is not dropped in silence',
  );
  solo.hear(2, alive(2, 8));
  t.equal(solo.state(2), 'alive');
});

t.test('one that lost its count is told how far it was', async (t) => {
  const solo = new Solo(4);
  solo.hear(2, alive(2, 40));
  solo.said();
  solo.hear(2, alive(2, 1));
  t.match(
    solo.said().filter(({ message }) => message.type === 'alive'),
    [{ to: 2, message: { key: keyOf(2), incarnation: 40 } }],
  );
  const other = new Solo(1);
  other.hear(1, alive(0, 40));
  t.equal(other.gossip.member(keyOf(0))?.incarnation, 41, 'and goes beyond that');
});

t.test('a stranger that speaks is asked what it knows', async (t) => {
  const solo = new Solo(2);
  solo.hear(9, { type: 'ping', seq: 1 });
  t.match(solo.saidOf('digest'), [{ to: 9 }]);
});

t.test('who is buried is out: its words, and words about it, are not heard', async (t) => {
  const solo = new Solo(4);
  solo.do({ type: 'bury', key: keyOf(2), bytes: Uint8Array.of(1) });
  t.equal(solo.state(2), undefined);
  solo.hear(2, alive(2, 50), { type: 'ping', seq: 3 });
  t.strictSame(solo.said(), []);
  solo.hear(1, alive(2, 50));
  t.equal(solo.state(2), undefined);
  solo.hear(1, {
    type: 'state',
    ask: null,
    entries: [{ key: keyOf(2), state: 'left', incarnation: 60, ageMs: 0, info: infoOf(2) }],
  });
  t.equal(solo.state(2), undefined);
  solo.do({ type: 'exhume', key: keyOf(2) });
  solo.hear(1, alive(2, 51));
  t.equal(solo.state(2), 'alive', 'unless it was all a mistake');
});

t.test('a tombstone from others waits for the shell, which knows signatures', async (t) => {
  const solo = new Solo(4);
  const bytes = Uint8Array.of(4, 5, 6);
  solo.hear(1, { type: 'tombstone', key: keyOf(2), bytes });
  t.equal(solo.state(2), 'alive');
  t.match(solo.effects.at(-1), { type: 'tombstone', from: keyOf(1), key: keyOf(2), bytes });
  solo.pass(1_000, answering(solo, []));
  t.strictSame(solo.saidOf('tombstone'), [], 'nothing unchecked is passed on');
  solo.do({ type: 'bury', key: keyOf(2), bytes });
  solo.pass(100, answering(solo, []));
  t.ok(solo.saidOf('tombstone').length > 0);
});

t.test('news is passed on so many times and then no more, and without news nothing is spread', async (t) => {
  const solo = new Solo(20);
  solo.pass(3_000, answering(solo, []));
  t.notOk(solo.said().some(({ message }) => !['ping', 'digest'].includes(message.type)));
  solo.hear(1, alive(2, 9));
  solo.pass(10_000, answering(solo, []));
  const spread = solo.saidOf('alive').filter(({ message }) => message.key === keyOf(2));
  t.equal(spread.length, 8, '4 · ceil(log10(22))');
  solo.hear(1, alive(2, 9));
  solo.pass(10_000, answering(solo, []));
  t.strictSame(solo.saidOf('alive'), [], 'what is known is no news');
});

t.test('no packet is larger than the limit, however much there is to say', async (t) => {
  const solo = new Solo(300);
  for (let index = 1; index <= 300; index++) solo.hear(1, alive(index, 5));
  solo.pass(5_000);
  const sizes = solo.effects.flatMap((effect) => (effect.type === 'send' ? [effect.data.length] : []));
  t.ok(Math.max(...sizes) <= 1_200);
  t.ok(Math.max(...sizes) > 1_000, 'and it is made use of');
});

t.test('a comparison costs one packet when nothing differs, and is answered in parts when much does', async (t) => {
  const full = new Solo(400);
  const same = full.gossip;
  const [digest] = ((): Said[] => {
    const twin = new Solo(400);
    twin.do({ type: 'linked', key: keyOf(999) });
    return twin.said();
  })();
  t.equal(digest?.message.type, 'digest');
  if (digest) full.hear(1, digest.message);
  t.strictSame(full.said(), []);
  t.equal(same.present, 401);

  const empty = new Solo(0);
  empty.do({ type: 'linked', key: keyOf(1) });
  const said = empty.said();
  t.match(
    said.map(({ message }) => message.type),
    ['digest', 'alive'],
    'a newcomer says who it is in the same packet',
  );
  const [question] = said;
  if (question) full.hear(500, question.message);
  const parts = full.saidOf('state');
  t.ok(parts.length > 1);
  t.equal(parts.filter(({ message }) => message.ask !== null).length, 1);
  t.equal(
    parts.reduce((sum, { message }) => sum + message.entries.length, 0),
    401,
  );
  for (const { message } of parts) empty.hear(1, message);
  t.equal(empty.gossip.present, 401);
  t.ok(
    empty.saidOf('state').some(({ message }) => message.entries.some(({ key }) => key === keyOf(0))),
    'and it is asked who it is',
  );
});

t.test('members by the roster’s word are asked for, a few at a time, until they are met', async (t) => {
  const solo = new Solo(0);
  solo.do({ type: 'join', keys: [1, 2, 3, 4, 5].map(keyOf) });
  t.strictSame(solo.said(), [], 'not at once: links come first');
  solo.pass(GOSSIP_CONFIG.probeIntervalMs);
  t.equal(solo.saidOf('digest').length, 3);
  solo.pass(20_000);
  t.strictSame(new Set(solo.saidOf('digest').map(({ to }) => to)), new Set([1, 2, 3, 4, 5]));
  for (const index of [1, 2, 3, 4, 5]) solo.hear(index, alive(index, 1));
  solo.said();
  solo.pass(2_000, answering(solo, []));
  const asked = solo.said().filter(({ message }) => message.type === 'alive' && message.key === keyOf(0));
  t.strictSame(asked, [], 'nobody is a stranger any more');
});

t.test('what another believes dead gets the time to refute it here', async (t) => {
  const solo = new Solo(4);
  const info = infoOf(2);
  const entry = (state: 'dead' | 'suspect') => ({ key: keyOf(3), state, incarnation: 1, ageMs: 5, info });
  solo.hear(1, { type: 'state', ask: null, entries: [entry('dead')] });
  t.equal(solo.state(3), 'suspect');
});

t.test(
  'the dead and gone are forgotten after their time, those it never met are remembered as what they are',
  async (t) => {
    const solo = new Solo(3, { config: { forgetMs: 100_000 } });
    const info = infoOf(2);
    solo.hear(1, dead(2, 1));
    const entries = [
      { key: keyOf(7), state: 'left' as const, incarnation: 3, ageMs: 50_000, info },
      { key: keyOf(8), state: 'dead' as const, incarnation: 3, ageMs: 100_000, info },
    ];
    solo.hear(1, { type: 'state', ask: null, entries });
    t.equal(solo.state(7), 'left');
    t.equal(solo.state(8), undefined, 'too long ago');
    solo.pass(61_000, answering(solo, [2, 7]));
    t.equal(solo.state(7), undefined);
    t.equal(solo.state(2), 'dead');
    solo.pass(60_000, answering(solo, [2]));
    t.equal(solo.state(2), undefined);
    t.strictSame(
      solo.effects.flatMap((effect) => (effect.type === 'forgotten' ? [effect.record.key] : [])),
      [keyOf(7), keyOf(2)],
    );
  },
);

t.test('bytes that are no packet change nothing', async (t) => {
  const solo = new Solo(3);
  for (const data of [new Uint8Array(0), Uint8Array.of(1, 4, 0, 200), Uint8Array.of(9, 9, 9)]) {
    solo.do({ type: 'datagram', from: keyOf(1), data });
  }
  t.strictSame(solo.said(), []);
});
