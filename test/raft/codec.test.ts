import t from 'tap';
import type { Entry, Message } from '../../lib/raft/index.js';
import { decodeMessage, encodeMembership, encodeMessage } from '../../lib/raft/index.js';
import type { Random } from '../../lib/util/random.js';
import { randomInt, seededRandom } from '../../lib/util/random.js';

const BETWEEN = { from: 'a', to: 'b' };

function anyNumber(random: Random): number {
  return Math.floor(random.next() * 2 ** randomInt(random, 54));
}

function anyEntries(random: Random, prevIndex: number, term: number): Entry[] {
  return Array.from({ length: randomInt(random, 5) }, (_, i) => {
    const type = (['command', 'noop', 'config'] as const)[randomInt(random, 3)] ?? 'noop';
    const members = { voters: ['x', 'ÿ'], learners: i === 0 ? [] : ['z'] };
    const data = type === 'config' ? encodeMembership(members) : new Uint8Array(randomInt(random, 300)).fill(i);
    return { term, index: prevIndex + i + 1, type, data };
  });
}

function anyMessage(random: Random): Message {
  const number = () => anyNumber(random);
  const flag = () => random.next() < 0.5;
  const term = number();
  const envelope = { ...BETWEEN, term };
  const prevIndex = Math.floor(number() / 2);
  const outcome = flag()
    ? { ok: true as const, match: number() }
    : { ok: false as const, index: number(), hintIndex: number(), hintTerm: number() };
  const membership = { voters: ['a'.repeat(64), 'b'.repeat(64)], learners: ['c'] };
  const all: Message[] = [
    {
      ...envelope,
      type: 'append',
      prevIndex,
      prevTerm: Math.floor(term / 2),
      commit: number(),
      entries: anyEntries(random, prevIndex, term),
    },
    { ...envelope, type: 'appendResponse', outcome },
    { ...envelope, type: 'heartbeat', commit: number(), round: number() },
    { ...envelope, type: 'heartbeatResponse', round: number() },
    { ...envelope, type: 'vote', pre: flag(), transfer: flag(), lastIndex: number(), lastTerm: number() },
    { ...envelope, type: 'voteResponse', pre: flag(), granted: flag() },
    { ...envelope, type: 'snapshot', snapshot: { index: number(), term: number(), membership } },
    { ...envelope, type: 'timeoutNow' },
    { ...envelope, type: 'readIndex', context: number() },
    { ...envelope, type: 'readIndexResponse', context: number(), index: number() },
  ];
  return all[randomInt(random, all.length)] as Message;
}

t.test('every message comes out as it went in', async (t) => {
  const random = seededRandom(1);
  const types = new Set<string>();
  for (let i = 0; i < 3000; i++) {
    const message = anyMessage(random);
    types.add(message.type);
    t.strictSame(decodeMessage(encodeMessage(message), BETWEEN), { ok: true, value: message });
  }
  t.equal(types.size, 10);
});

t.test('a message is small', async (t) => {
  const data = new Uint8Array(100);
  const entries = [{ term: 7, index: 1001, type: 'command' as const, data }];
  const append = { ...BETWEEN, type: 'append' as const, term: 7, prevIndex: 1000, prevTerm: 7, commit: 999, entries };
  t.equal(encodeMessage(append).length, 100 + 11);
  t.equal(encodeMessage({ ...BETWEEN, type: 'heartbeat', term: 7, commit: 1000, round: 0 }).length, 5);
});

t.test('a message that is cut, changed or made up is refused or read as another one, and never throws', async (t) => {
  const random = seededRandom(2);
  let refused = 0;
  for (let i = 0; i < 5000; i++) {
    const bytes = encodeMessage(anyMessage(random)).slice();
    const cut = bytes.subarray(0, randomInt(random, bytes.length));
    t.notOk(decodeMessage(cut, BETWEEN).ok, 'each byte counts');
    for (let n = 0; n <= randomInt(random, 3); n++) bytes[randomInt(random, bytes.length)] = randomInt(random, 256);
    const decoded = decodeMessage(bytes, BETWEEN);
    if (!decoded.ok) refused++;
    else if (decoded.value.type === 'append') {
      const { entries, prevTerm, term } = decoded.value;
      for (const entry of entries) t.ok(entry.term >= prevTerm && entry.term <= term);
    }
    const noise = Uint8Array.from({ length: randomInt(random, 40) }, () => randomInt(random, 256));
    if (!decodeMessage(noise, BETWEEN).ok) refused++;
  }
  t.ok(refused > 500, `${refused} refused`);
});

t.test('what claims to be longer than it is takes no memory', async (t) => {
  // append, term 1, prev 0/0, commit 0, 2^49 entries
  const bytes = new Uint8Array([0, 1, 0, 0, 0, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 1]);
  t.match(decodeMessage(bytes, BETWEEN), { ok: false, error: /append/ });
});
