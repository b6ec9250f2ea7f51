import t from 'tap';
import { voteResult } from '../../lib/raft/quorum.js';
import { Machine } from './machine.js';
import { World } from './world.js';

t.test('a sole voter leads as soon as it campaigns, and at its first tick', async (t) => {
  const machine = new Machine({ voters: ['a'] });
  machine.raft.campaign();
  t.equal(machine.raft.role, 'leader');
  const restarted = new Machine({ voters: ['a'] });
  restarted.tick(1);
  t.equal(restarted.raft.role, 'leader');
  restarted.settle();
  t.match(restarted.applied.at(-1), { type: 'noop', term: 2, index: 2 });
});

t.test('a sole voter tells nobody of its term before that is on disk', async (t) => {
  const machine = new Machine({ voters: ['a'], learners: ['b'] });
  machine.raft.campaign();
  const ready = machine.raft.ready();
  t.same(ready.messages, []);
  t.ok(ready.messagesAfterPersist.length > 0);
  t.match(ready.hardState, { term: 2, vote: 'a' });
});

t.test(
  'a follower campaigns after one to one and two thirds election time-outs of silence, with a trial that changes no term',
  async (t) => {
    const machine = new Machine({ term: 5 });
    machine.tick(9);
    t.same(machine.settle(), [], 'not before the time-out');
    machine.tick(8);
    const sent = machine.settle();
    t.equal(machine.raft.role, 'preCandidate');
    t.equal(machine.disk.hardState.term, 5);
    t.match(sent, [
      { type: 'vote', to: 'b', pre: true, term: 6 },
      { type: 'vote', to: 'c', pre: true, term: 6 },
    ]);
  },
);

t.test(
  'of two that ask at the same time one goes first, and the other waits; later neither holds the other up',
  async (t) => {
    const trial = { type: 'vote', term: 2, pre: true, transfer: false, lastIndex: 1, lastTerm: 1 } as const;
    const asking = (id: string): Machine => {
      const machine = new Machine({});
      machine.restart({ id, heartbeatTicks: 4 });
      while (machine.raft.role === 'follower') machine.tick(1);
      t.equal(machine.raft.role, 'preCandidate');
      machine.settle();
      return machine;
    };
    t.match(asking('a').step('b', trial).settle(), [{ type: 'voteResponse', granted: false }], 'a goes first');
    const second = asking('b');
    t.match(second.step('a', trial).settle(), [{ type: 'voteResponse', granted: true }]);
    t.equal(second.raft.role, 'follower', 'b has let it go first');
    const longer = { ...trial, lastIndex: 2 };
    t.match(asking('a').step('b', longer).settle(), [{ granted: true }], 'a longer log is the first in any case');
    const later = asking('a');
    later.tick(2).settle();
    t.match(later.step('b', trial).settle(), [{ granted: true }], 'the questions did not cross');
  },
);

t.test('a trial that nobody has answered is repeated after one or two heartbeats', async (t) => {
  const machine = new Machine({});
  machine.restart({ heartbeatTicks: 4 });
  while (machine.raft.role === 'follower') machine.tick(1);
  machine.settle();
  t.match(machine.tick(3).settle(), []);
  t.match(machine.tick(4).settle(), [
    { type: 'vote', to: 'b', pre: true, term: 2 },
    { type: 'vote', to: 'c', pre: true, term: 2 },
  ]);
});

t.test('vote requests leave only after the own vote is on disk (§5.2)', async (t) => {
  const machine = new Machine({});
  machine.tick(20).settle();
  machine.step('b', { type: 'voteResponse', term: 2, pre: true, granted: true });
  const ready = machine.raft.ready();
  t.match(ready.hardState, { term: 2, vote: 'a' });
  t.same(ready.messages, []);
  t.match(ready.messagesAfterPersist, [
    { type: 'vote', pre: false },
    { type: 'vote', pre: false },
  ]);
});

t.test('one vote a term, first come first served, also after a restart (§5.2)', async (t) => {
  const machine = new Machine({});
  const ask = { type: 'vote', term: 2, pre: false, transfer: false, lastIndex: 1, lastTerm: 1 } as const;
  t.match(machine.step('b', ask).settle(), [{ type: 'voteResponse', to: 'b', granted: true }]);
  t.match(machine.step('c', ask).settle(), [{ type: 'voteResponse', to: 'c', granted: false }]);
  machine.restart();
  t.match(machine.step('c', ask).settle(), [{ type: 'voteResponse', to: 'c', granted: false }]);
  t.match(machine.step('b', ask).settle(), [{ type: 'voteResponse', to: 'b', granted: true }]);
});

t.test('a vote is on disk before it is given', async (t) => {
  const machine = new Machine({});
  machine.step('b', { type: 'vote', term: 2, pre: false, transfer: false, lastIndex: 1, lastTerm: 1 });
  const ready = machine.raft.ready();
  t.same(ready.messages, []);
  t.match(ready.hardState, { term: 2, vote: 'b' });
  t.ok(ready.mustSync);
  t.match(ready.messagesAfterPersist, [{ granted: true }]);
});

t.test('a candidate whose log is behind gets no vote (§5.4.1)', async (t) => {
  const rows: [number, number, boolean][] = [
    // last index, last term, granted; the voter ends with index 3 in term 2
    [3, 2, true],
    [4, 2, true],
    [2, 2, false],
    [9, 1, false],
    [1, 3, true],
  ];
  for (const [lastIndex, lastTerm, granted] of rows) {
    for (const pre of [true, false]) {
      const machine = new Machine({ terms: [2, 2], term: 4 });
      const sent = machine.step('b', { type: 'vote', term: 5, pre, transfer: false, lastIndex, lastTerm }).settle();
      t.match(sent, [{ type: 'voteResponse', pre, granted }], `last entry ${lastIndex}/${lastTerm}, pre ${pre}`);
    }
  }
});

t.test('while a leader is heard nobody else gets a vote, unless the leader asked for it', async (t) => {
  const machine = new Machine({});
  machine.step('b', { type: 'heartbeat', term: 1, commit: 1, round: 0 }).settle();
  const ask = { type: 'vote', term: 2, pre: true, transfer: false, lastIndex: 9, lastTerm: 1 } as const;
  t.same(machine.step('c', ask).settle(), []);
  t.same(machine.step('c', { ...ask, pre: false, term: 7 }).settle(), []);
  t.equal(machine.raft.term, 1);
  t.match(machine.step('c', { ...ask, pre: false, transfer: true }).settle(), [{ granted: true, term: 2 }]);
});

t.test('a higher term makes anybody a follower, a lower one is told the present term (§5.1)', async (t) => {
  const machine = new Machine({});
  machine.elect();
  machine.step('b', { type: 'appendResponse', term: 9, outcome: { ok: false, index: 0, hintIndex: 0, hintTerm: 0 } });
  t.equal(machine.raft.role, 'follower');
  t.equal(machine.raft.term, 9);
  machine.settle();
  const sent = machine
    .step('c', { type: 'append', term: 3, prevIndex: 1, prevTerm: 1, entries: [], commit: 0 })
    .settle();
  t.match(sent, [{ type: 'appendResponse', to: 'c', term: 9 }]);
});

t.test('a candidate that hears the leader of its term follows it (§5.2)', async (t) => {
  const machine = new Machine({});
  machine.tick(20).settle();
  machine.step('b', { type: 'voteResponse', term: 2, pre: true, granted: true }).settle();
  t.equal(machine.raft.role, 'candidate');
  machine.step('c', { type: 'append', term: 2, prevIndex: 1, prevTerm: 1, entries: [], commit: 1 });
  t.equal(machine.raft.role, 'follower');
  t.equal(machine.raft.leader, 'c');
});

t.test('an election is won by a majority of the voters, and given up when that is out of reach', async (t) => {
  const rows: [string, string, string, string][] = [
    ['a', '', '', 'pending'],
    ['a', 'a', '', 'won'],
    ['abc', 'a', '', 'pending'],
    ['abc', 'ab', '', 'won'],
    ['abc', 'ax', '', 'pending'],
    ['abc', 'a', 'b', 'pending'],
    ['abc', 'a', 'bc', 'lost'],
    ['abcd', 'ab', '', 'pending'],
    ['abcd', 'ab', 'cd', 'lost'],
    ['abcd', 'abc', '', 'won'],
    ['', '', '', 'lost'],
  ];
  for (const [voters, yes, no, expected] of rows) {
    const votes = new Map([...[...yes].map((id) => [id, true] as const), ...[...no].map((id) => [id, false] as const)]);
    t.equal(voteResult([...voters], votes), expected, `${voters}: ${yes} for, ${no} against`);
  }
});

t.test('an isolated server does not disturb the others when it returns', async (t) => {
  const world = new World(7, ['a', 'b', 'c'], ['a', 'b', 'c']);
  t.ok(world.run(100, () => world.leader !== undefined));
  const leader = world.leader?.id ?? '';
  const lonely = leader === 'c' ? 'b' : 'c';
  for (const id of ['a', 'b', 'c']) if (id !== lonely) world.cut.add(`${id}>${lonely}`).add(`${lonely}>${id}`);
  const { term } = world.raft(leader);
  world.run(200);
  world.cut.clear();
  world.run(50);
  t.equal(world.leader?.id, leader);
  t.equal(world.leader?.term, term);
});

t.test('a leader without a majority steps down, and the majority elects another', async (t) => {
  const world = new World(8, ['a', 'b', 'c'], ['a', 'b', 'c']);
  t.ok(world.run(100, () => world.leader !== undefined));
  const old = world.leader?.id ?? '';
  for (const id of ['a', 'b', 'c']) if (id !== old) world.cut.add(`${id}>${old}`).add(`${old}>${id}`);
  t.ok(world.run(100, () => world.raft(old).role !== 'leader'));
  t.ok(world.run(100, () => world.leader !== undefined && world.leader.id !== old));
});

t.test('leadership is handed to an up-to-date voter within a few messages; proposals wait', async (t) => {
  const world = new World(9, ['a', 'b', 'c'], ['a', 'b', 'c']);
  t.ok(world.run(100, () => world.leader !== undefined));
  const from = world.leader;
  const to = from?.id === 'a' ? 'b' : 'a';
  world.run(5);
  t.ok(from?.transferLeadership(to).ok);
  t.match(from?.propose(new Uint8Array(1)), { ok: false, error: { kind: 'transferring', to } });
  t.ok(world.run(6, () => world.raft(to).role === 'leader'));
});

t.test('a transfer to a server that is not there is given up after one election time-out', async (t) => {
  const machine = new Machine({});
  machine.elect();
  machine.ack('b', 2);
  t.ok(machine.raft.transferLeadership('c').ok);
  t.equal(machine.raft.propose(new Uint8Array(1)).ok, false);
  for (let i = 0; i < 10; i++) {
    machine.step('b', { type: 'heartbeatResponse', term: machine.raft.term, round: 0 });
    machine.tick(1).settle();
  }
  t.ok(machine.raft.propose(new Uint8Array(1)).ok);
  t.match(machine.raft.transferLeadership('x'), { ok: false, error: { kind: 'invalid' } });
});
