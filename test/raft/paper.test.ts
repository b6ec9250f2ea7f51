import t from 'tap';
import { encodeMembership } from '../../lib/raft/index.js';
import { command, entry, Machine } from './machine.js';
import { World } from './world.js';

// One test for each rule of the Raft paper (extended version): the boxes of figure 2, then sections 5 to 8.

const OF_TERM_9 = [
  { type: 'append', term: 9, prevIndex: 1, prevTerm: 1, entries: [], commit: 0 },
  { type: 'appendResponse', term: 9, outcome: { ok: true, match: 0 } },
  { type: 'heartbeat', term: 9, commit: 0, round: 0 },
  { type: 'heartbeatResponse', term: 9, round: 0 },
  { type: 'vote', term: 9, pre: false, transfer: true, lastIndex: 0, lastTerm: 0 },
  { type: 'voteResponse', term: 9, pre: false, granted: false },
  { type: 'snapshot', term: 9, snapshot: { index: 1, term: 1, membership: { voters: ['a', 'b', 'c'], learners: [] } } },
  { type: 'timeoutNow', term: 9 },
  { type: 'readIndex', term: 9, context: 1 },
  { type: 'readIndexResponse', term: 9, context: 1, index: 1 },
] as const;

t.test('figure 2, state: term, vote and log are written before any answer that rests on them', async (t) => {
  const machine = new Machine({});
  machine.step('b', { type: 'append', term: 4, prevIndex: 1, prevTerm: 1, entries: [entry(4, 2)], commit: 0 });
  const ready = machine.raft.ready();
  t.match(ready, { hardState: { term: 4 }, entries: [{ index: 2 }], messages: [], mustSync: true });
  t.match(ready.messagesAfterPersist, [{ type: 'appendResponse', outcome: { ok: true, match: 2 } }]);
});

t.test('figure 2, all servers: what is committed is applied, in order, once', async (t) => {
  const machine = new Machine({ terms: [1, 1, 1] });
  machine.step('b', { type: 'heartbeat', term: 1, commit: 3, round: 0 }).settle();
  machine.step('b', { type: 'heartbeat', term: 1, commit: 3, round: 0 }).settle();
  machine.step('b', { type: 'heartbeat', term: 1, commit: 4, round: 0 }).settle();
  t.same(
    machine.applied.map(({ index }) => index),
    [1, 2, 3, 4],
  );
});

t.test('figure 2, all servers: a higher term in any message makes a follower of that term', async (t) => {
  for (const message of OF_TERM_9) {
    for (const role of ['follower', 'leader'] as const) {
      const machine = new Machine({});
      if (role === 'leader') machine.elect();
      machine.step('b', message);
      // Told to stand, it stands in the term after.
      const expected = message.type === 'timeoutNow' ? { role: 'candidate', term: 10 } : { role: 'follower', term: 9 };
      t.match(machine.raft, expected, `${role} meets ${message.type}`);
    }
  }
});

t.test('figure 2, all servers: a message of a lower term changes nothing', async (t) => {
  for (const message of OF_TERM_9) {
    const machine = new Machine({ term: 20, terms: [15] });
    machine.step('b', message).settle();
    t.match(machine.raft, { role: 'follower', term: 20, leader: '', lastIndex: 2, committed: 1 }, message.type);
    t.equal(machine.disk.hardState.vote, '', message.type);
  }
});

t.test(
  'figure 2, followers: silence for an election time-out makes a candidate; a leader’s word does not',
  async (t) => {
    const machine = new Machine({});
    for (let i = 0; i < 50; i++) {
      machine.tick(5).step('b', { type: 'heartbeat', term: 1, commit: 1, round: 0 });
    }
    t.equal(machine.raft.role, 'follower');
    machine.tick(20);
    t.equal(machine.raft.role, 'preCandidate');
  },
);

t.test('figure 2, followers: who has given its vote waits a whole time-out anew', async (t) => {
  const machine = new Machine({});
  machine.tick(9);
  machine.step('b', { type: 'vote', term: 2, pre: false, transfer: false, lastIndex: 1, lastTerm: 1 }).settle();
  machine.tick(9);
  t.equal(machine.raft.role, 'follower');
});

t.test('figure 2, candidates: a new term, the own vote, a request to every other voter', async (t) => {
  const machine = new Machine({ learners: ['l'] });
  machine.step('b', { type: 'timeoutNow', term: 1 });
  const sent = machine.settle();
  t.match(machine.disk.hardState, { term: 2, vote: 'a' });
  t.same(
    sent.map(({ type, to, term }) => [type, to, term]),
    [
      ['vote', 'b', 2],
      ['vote', 'c', 2],
    ],
  );
});

t.test('figure 2, candidates: votes of a majority make a leader, the own one counts', async (t) => {
  const machine = new Machine({ voters: ['a', 'b', 'c', 'd', 'e'] });
  machine.step('b', { type: 'timeoutNow', term: 1 }).settle();
  machine.step('b', { type: 'voteResponse', term: 2, pre: false, granted: true });
  machine.step('b', { type: 'voteResponse', term: 2, pre: false, granted: true });
  t.equal(machine.raft.role, 'candidate', 'one voter is counted once');
  machine.step('x', { type: 'voteResponse', term: 2, pre: false, granted: true });
  t.equal(machine.raft.role, 'candidate', 'who is no voter is not counted');
  machine.step('c', { type: 'voteResponse', term: 2, pre: false, granted: true });
  t.equal(machine.raft.role, 'leader');
});

t.test('figure 2, candidates: without a decision the next time-out begins a new election', async (t) => {
  const machine = new Machine({});
  machine.step('b', { type: 'timeoutNow', term: 1 }).settle();
  t.equal(machine.raft.role, 'candidate');
  machine.tick(20);
  t.match(machine.settle(), [
    { type: 'vote', pre: true, term: 3 },
    { type: 'vote', pre: true, term: 3 },
  ]);
});

t.test('figure 2, candidates: the leader of the same term is followed', async (t) => {
  for (const message of OF_TERM_9) {
    if (message.type !== 'append' && message.type !== 'heartbeat' && message.type !== 'snapshot') continue;
    const machine = new Machine({ term: 8 });
    machine.step('c', { type: 'timeoutNow', term: 8 }).settle();
    machine.step('b', message);
    t.match(machine.raft, { role: 'follower', term: 9, leader: 'b' }, message.type);
  }
});

t.test('figure 2, leaders: word at once upon election, and again whenever nothing else is to be said', async (t) => {
  const machine = new Machine({});
  const opening = machine.elect();
  t.same(
    opening.map(({ type, to }) => [type, to]),
    [
      ['append', 'b'],
      ['append', 'c'],
    ],
  );
  machine.tick(1);
  t.match(machine.settle(), [
    { type: 'heartbeat', to: 'b' },
    { type: 'heartbeat', to: 'c' },
  ]);
});

t.test('figure 2, leaders: a command is appended at once and answered when it is applied', async (t) => {
  const machine = new Machine({});
  machine.elect();
  machine.ack('b', 2);
  t.same(machine.raft.propose(command('x')), { ok: true, value: 3 });
  t.equal(machine.raft.lastIndex, 3);
  machine.settle();
  t.equal(machine.applied.at(-1)?.index, 2);
  machine.ack('b', 3);
  t.equal(machine.applied.at(-1)?.index, 3);
});

t.test('figure 2, leaders: after a refusal an earlier place is tried, until the logs agree', async (t) => {
  const machine = new Machine({ terms: [2, 3, 4, 5], term: 5 });
  machine.elect();
  const refuse = (index: number, hintIndex: number, hintTerm: number) =>
    machine
      .step('b', { type: 'appendResponse', term: 6, outcome: { ok: false, index, hintIndex, hintTerm } })
      .settle()
      .map((message) => ('prevIndex' in message ? message.prevIndex : -1));
  t.same(refuse(5, 4, 4), [4]);
  t.same(refuse(4, 3, 2), [2], 'no entry of term 2 lies above 2 here');
  t.same(refuse(2, 1, 1), [1]);
  t.same(refuse(4, 3, 2), [], 'a late refusal is not taken for news');
});

t.test('figure 2, leaders: what a majority has, of the own term, is committed (§5.3, §5.4)', async (t) => {
  const machine = new Machine({ voters: ['a', 'b', 'c', 'd', 'e'], terms: [2], term: 2 });
  machine.elect();
  machine.ack('b', 3);
  machine.ack('c', 2);
  t.equal(machine.raft.committed, 1, 'entry 2 is on three of five, but it is of term 2');
  machine.ack('c', 3);
  t.equal(machine.raft.committed, 3);
});

t.test('figure 2, RequestVote 1: no vote in a lower term', async (t) => {
  const machine = new Machine({ term: 5 });
  const ask = { type: 'vote', term: 4, transfer: false, lastIndex: 9, lastTerm: 4 } as const;
  const answers = machine
    .step('b', { ...ask, pre: false })
    .step('b', { ...ask, pre: true })
    .settle();
  t.notOk(answers.some((message) => message.type === 'voteResponse' && message.granted));
});

t.test('figure 2, RequestVote 2: a vote for who asks first in the term and whose log is up to date', async (t) => {
  const rows: [string, string, boolean][] = [
    ['', 'b', true],
    ['b', 'b', true],
    ['c', 'b', false],
    ['a', 'b', false],
  ];
  for (const [vote, asks, granted] of rows) {
    const machine = new Machine({ term: 2, vote });
    machine.step(asks, { type: 'vote', term: 2, pre: false, transfer: false, lastIndex: 1, lastTerm: 1 });
    t.match(machine.settle(), [{ granted }], `${asks} asks who has voted for ${vote || 'nobody'}`);
  }
});

t.test('figure 2, AppendEntries 1: entries of a lower term are refused', async (t) => {
  const machine = new Machine({ term: 5 });
  machine.step('b', { type: 'append', term: 4, prevIndex: 1, prevTerm: 1, entries: [entry(4, 2)], commit: 2 });
  t.match(machine.settle(), [{ term: 5, outcome: { ok: false } }]);
  t.match(machine.raft, { lastIndex: 1, committed: 1 });
});

t.test('figure 2, AppendEntries 2: entries that do not follow on from the log are refused', async (t) => {
  const machine = new Machine({ terms: [2], term: 2 });
  const rows: [number, number, boolean][] = [
    [2, 2, true],
    [2, 1, false],
    [3, 2, false],
  ];
  for (const [prevIndex, prevTerm, isOk] of rows) {
    machine.step('b', { type: 'append', term: 2, prevIndex, prevTerm, entries: [], commit: 0 });
    t.match(machine.settle(), [{ outcome: { ok: isOk } }], `after ${prevIndex}/${prevTerm}`);
  }
});

t.test('figure 2, AppendEntries 3: an entry of another term goes, with all that follow it', async (t) => {
  const machine = new Machine({ terms: [2, 2, 2], term: 3 });
  machine.step('b', { type: 'append', term: 3, prevIndex: 2, prevTerm: 2, entries: [entry(3, 3)], commit: 0 }).settle();
  t.equal(machine.raft.lastIndex, 3);
  t.same([machine.disk.term(2), machine.disk.term(3), machine.disk.term(4)], [2, 3, undefined]);
});

t.test('figure 2, AppendEntries 4: new entries are appended, known ones are not written again', async (t) => {
  const machine = new Machine({ terms: [2], term: 2 });
  machine.step('b', {
    type: 'append',
    term: 2,
    prevIndex: 1,
    prevTerm: 1,
    entries: [entry(2, 2), entry(2, 3)],
    commit: 0,
  });
  t.match(machine.raft.ready().entries, [{ index: 3 }]);
});

t.test('figure 2, AppendEntries 5: committed up to what the leader says, not beyond the last new entry', async (t) => {
  const machine = new Machine({ terms: [1, 1, 1] });
  machine.step('b', { type: 'append', term: 1, prevIndex: 1, prevTerm: 1, entries: [entry(1, 2)], commit: 4 });
  t.equal(machine.raft.committed, 2);
  machine.step('b', { type: 'append', term: 1, prevIndex: 2, prevTerm: 1, entries: [entry(1, 3)], commit: 2 });
  t.equal(machine.raft.committed, 2);
});

t.test('§5.1: a term never goes back, over a restart either', async (t) => {
  const machine = new Machine({ term: 7, vote: 'c' });
  machine.step('b', { type: 'heartbeat', term: 8, commit: 1, round: 0 }).settle();
  machine.restart();
  t.equal(machine.raft.term, 8);
  t.equal(machine.disk.hardState.vote, '', 'the vote of the older term is void');
});

t.test('§5.2: election time-outs are drawn at random', async (t) => {
  const seen = new Set<number>();
  for (let draw = 0; draw < 1; draw += 0.05) {
    const machine = new Machine({});
    machine.restart({ random: { next: () => draw } });
    let ticks = 0;
    while (machine.raft.role === 'follower' && ticks < 99) {
      machine.tick(1);
      ticks++;
    }
    t.ok(ticks >= 10 && ticks < 17, `${ticks} ticks`);
    seen.add(ticks);
  }
  t.equal(seen.size, 7);
});

t.test('§5.3: two entries of one index and term are the same, and so is all before them', async (t) => {
  const world = new World(11, ['a', 'b', 'c'], ['a', 'b', 'c']);
  world.faults = { loss: 0.2, duplicate: 0.2, delayMax: 4, diskDone: 0.5 };
  for (let i = 0; i < 400; i++) {
    world.leader?.propose(command(String(i)));
    world.step();
  }
  t.ok(world.committed > 50, 'the world throws when it meets two that differ');
});

t.test('§5.4.1: the later last term wins, then the longer log', async (t) => {
  const machine = new Machine({ terms: [3, 3], term: 3 });
  const isGranted = (lastIndex: number, lastTerm: number) => {
    const fresh = new Machine({ terms: [3, 3], term: 3 });
    fresh.step('b', { type: 'vote', term: 4, pre: false, transfer: false, lastIndex, lastTerm });
    return fresh.settle().some((message) => message.type === 'voteResponse' && message.granted);
  };
  t.equal(machine.raft.lastIndex, 3);
  t.same(
    [isGranted(1, 4), isGranted(3, 3), isGranted(4, 3), isGranted(2, 3), isGranted(9, 2)],
    [true, true, true, false, false],
  );
});

t.test('§5.4.2: a leader does not replace or delete its own entries', async (t) => {
  const machine = new Machine({ terms: [2, 2], term: 2 });
  machine.elect();
  t.throws(() => machine.step('b', { type: 'append', term: 3, prevIndex: 1, prevTerm: 1, entries: [], commit: 0 }));
  t.equal(machine.raft.lastIndex, 4);
});

t.test('§5.5: messages may be repeated: the second time changes nothing', async (t) => {
  const machine = new Machine({ term: 2 });
  const append = { type: 'append', term: 2, prevIndex: 1, prevTerm: 1, entries: [entry(2, 2)], commit: 2 } as const;
  const first = machine.step('b', append).settle();
  const again = machine.step('b', append).settle();
  t.same(again, first);
  t.match(machine.raft, { lastIndex: 2, committed: 2 });
  t.equal(machine.applied.length, 2);
});

t.test('§6: the newest membership in the log is in force, committed or not', async (t) => {
  const machine = new Machine({ term: 2 });
  const data = encodeMembership({ voters: ['a', 'b'], learners: ['c'] });
  const change = entry(2, 2, 'config', data);
  machine.step('b', { type: 'append', term: 2, prevIndex: 1, prevTerm: 1, entries: [change], commit: 0 });
  t.same(machine.raft.membership, { voters: ['a', 'b'], learners: ['c'] });
  t.equal(machine.raft.committed, 1);
});

t.test('§6: while a leader is heard, a request for a vote is ignored and its term too', async (t) => {
  const machine = new Machine({});
  machine.step('b', { type: 'heartbeat', term: 1, commit: 1, round: 0 }).settle();
  machine.tick(9).step('c', { type: 'vote', term: 5, pre: false, transfer: false, lastIndex: 9, lastTerm: 4 });
  t.same(machine.settle(), []);
  t.equal(machine.raft.term, 1);
  machine.tick(1).step('c', { type: 'vote', term: 5, pre: false, transfer: false, lastIndex: 9, lastTerm: 4 });
  t.match(machine.settle(), [{ granted: true }]);
});

t.test('§7: a snapshot replaces a log that ends before it, or that differs', async (t) => {
  const membership = { voters: ['a', 'b', 'c', 'd'], learners: [] };
  for (const terms of [[1], [1, 1, 1, 1, 1, 1]]) {
    const machine = new Machine({ terms, term: 3 });
    machine.step('b', { type: 'snapshot', term: 3, snapshot: { index: 5, term: 2, membership } });
    const ready = machine.raft.ready();
    t.match(ready, { snapshot: { index: 5, term: 2 }, messages: [], committed: [] });
    t.match(ready.messagesAfterPersist, [{ outcome: { ok: true, match: 5 } }], 'nothing is promised before that');
    machine.persist(ready);
    machine.raft.advance();
    t.match(machine.raft, { lastIndex: 5, committed: 5, membership });
    machine.step('b', { type: 'append', term: 3, prevIndex: 5, prevTerm: 2, entries: [entry(3, 6)], commit: 6 });
    machine.settle();
    t.match(machine.applied.at(-1), { index: 6, term: 3 });
  }
});

t.test('§7: while a snapshot is being installed there is no log to stand for election with', async (t) => {
  const machine = new Machine({ terms: [1], term: 3 });
  const membership = { voters: ['a', 'b', 'c'], learners: [] };
  machine.step('b', { type: 'snapshot', term: 3, snapshot: { index: 5, term: 2, membership } });
  const ready = machine.raft.ready();
  machine.tick(50).step('b', { type: 'timeoutNow', term: 3 });
  t.match(machine.raft, { role: 'follower', term: 3 });
  machine.persist(ready);
  machine.raft.advance();
  machine.settle();
  machine.tick(20);
  t.equal(machine.raft.role, 'preCandidate');
});

t.test('§7: a log that holds the snapshot’s last entry is kept, with what follows it', async (t) => {
  const machine = new Machine({ terms: [2, 2, 2, 2], term: 3 });
  const membership = { voters: ['a', 'b', 'c'], learners: [] };
  machine.step('b', { type: 'snapshot', term: 3, snapshot: { index: 3, term: 2, membership } });
  const ready = machine.raft.ready();
  t.equal(ready.snapshot, null);
  t.match(machine.raft, { lastIndex: 5, committed: 3 });
});

t.test('§7: a snapshot of what is committed already is only acknowledged', async (t) => {
  const machine = new Machine({ terms: [1, 1, 1] });
  machine.step('b', { type: 'heartbeat', term: 1, commit: 4, round: 0 }).settle();
  const membership = { voters: ['x'], learners: [] };
  machine.step('b', { type: 'snapshot', term: 1, snapshot: { index: 2, term: 1, membership } });
  t.match(machine.settle(), [{ outcome: { ok: true, match: 4 } }]);
  t.same(machine.raft.membership.voters, ['a', 'b', 'c']);
});

t.test('§8: a leader opens its term with an empty entry, and reads wait for its commit', async (t) => {
  const machine = new Machine({ terms: [1] });
  t.match(machine.elect(), [{ entries: [{ type: 'noop' }] }, { entries: [{ type: 'noop' }] }]);
  machine.raft.readIndex(1);
  machine.step('b', { type: 'heartbeatResponse', term: 2, round: 99 });
  t.same(machine.raft.ready().reads, []);
});
