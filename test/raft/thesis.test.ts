import t from 'tap';
import { encodeMembership } from '../../lib/raft/index.js';
import { command, entry, Machine } from './machine.js';

// Rules of the Raft dissertation (Ongaro 2014) that the paper leaves out, as far as no other file here holds them: README.md says where
// each rule's test is.

const VOTE = { type: 'vote', term: 2, transfer: false, lastIndex: 1, lastTerm: 1 } as const;

t.test('§3.10: the successor is told to stand once it has everything, and not before', async (t) => {
  const machine = new Machine({});
  machine.elect();
  machine.ack('b', 2);
  t.ok(machine.raft.propose(command('x')).ok);
  machine.settle();
  t.ok(machine.raft.transferLeadership('b').ok);
  t.notOk(machine.settle().some(({ type }) => type === 'timeoutNow'));
  t.match(
    machine.ack('b', 3).filter(({ type }) => type === 'timeoutNow'),
    [{ to: 'b', term: 2 }],
  );
});

t.test(
  '§3.10: who is told to stand does so at once, without a trial, and says that the leader wishes it',
  async (t) => {
    const machine = new Machine({});
    machine.step('b', { type: 'heartbeat', term: 1, commit: 1, round: 0 }).settle();
    machine.step('b', { type: 'timeoutNow', term: 1 });
    t.match(machine.settle(), [
      { type: 'vote', to: 'b', term: 2, pre: false, transfer: true },
      { type: 'vote', to: 'c', term: 2, pre: false, transfer: true },
    ]);
  },
);

t.test('§3.10: who may not lead does not stand though it is told to', async (t) => {
  const machine = new Machine({ voters: ['b', 'c'], learners: ['a'] });
  machine.step('b', { type: 'timeoutNow', term: 1 });
  t.same(machine.settle(), []);
  t.match(machine.raft, { role: 'follower', term: 1 });
});

t.test('§4.1: a change is refused while the one before is in the log and not committed', async (t) => {
  const machine = new Machine({ voters: ['a', 'b'] });
  machine.elect();
  machine.ack('b', 2);
  t.ok(machine.raft.proposeChange({ type: 'addLearner', id: 'c' }).ok);
  machine.settle();
  t.match(machine.raft.proposeChange({ type: 'addVoter', id: 'c' }), { ok: false, error: { kind: 'pending' } });
  machine.ack('b', 3);
  t.ok(machine.raft.proposeChange({ type: 'addVoter', id: 'c' }).ok);
});

t.test('§4.1: the majority of a change is that of the membership it brings', async (t) => {
  const machine = new Machine({ voters: ['a', 'b'] });
  machine.elect();
  machine.ack('b', 2);
  t.ok(machine.raft.proposeChange({ type: 'addVoter', id: 'c' }).ok);
  machine.settle();
  t.equal(machine.raft.committed, 2, 'one of three');
  machine.ack('c', 3);
  t.equal(machine.raft.committed, 3, 'two of three, the new one among them');
});

t.test('§4.2.1: a learner that is asked votes: it may be a voter by now and not know it', async (t) => {
  const machine = new Machine({ voters: ['b', 'c'], learners: ['a'] });
  t.match(machine.step('b', { ...VOTE, pre: false }).settle(), [{ type: 'voteResponse', granted: true }]);
  t.equal(machine.disk.hardState.vote, 'b', 'and it is bound by that as anybody is');
  t.match(machine.step('c', { ...VOTE, pre: false }).settle(), [{ granted: false }]);
});

t.test('§4.2.1: the answers of learners make no leader and confirm no read', async (t) => {
  const machine = new Machine({ voters: ['a', 'b', 'c'], learners: ['l'] });
  machine.step('b', { type: 'timeoutNow', term: 1 }).settle();
  machine.step('l', { type: 'voteResponse', term: 2, pre: false, granted: true });
  t.equal(machine.raft.role, 'candidate');
  machine.step('b', { type: 'voteResponse', term: 2, pre: false, granted: true }).settle();
  t.equal(machine.raft.role, 'leader');
  machine.ack('b', 2);
  machine.raft.readIndex(1);
  machine.settle();
  machine.step('l', { type: 'heartbeatResponse', term: 2, round: 1 });
  t.same(machine.raft.ready().reads, []);
});

t.test('§4.2.2: who is being removed may stand until that is committed, and does not count itself', async (t) => {
  const machine = new Machine({ term: 2 });
  const removal = entry(2, 2, 'config', encodeMembership({ voters: ['b', 'c'], learners: [] }));
  machine.step('b', { type: 'append', term: 2, prevIndex: 1, prevTerm: 1, entries: [removal], commit: 1 }).settle();
  machine.step('b', { type: 'timeoutNow', term: 2 }).settle();
  t.match(machine.raft, { role: 'candidate', term: 3 });
  machine.step('b', { type: 'voteResponse', term: 3, pre: false, granted: true });
  t.equal(machine.raft.role, 'candidate', 'one of the two that count');
  machine.step('c', { type: 'voteResponse', term: 3, pre: false, granted: true });
  t.equal(machine.raft.role, 'leader');
  machine.settle();
  machine.ack('b', 3);
  t.equal(machine.raft.committed, 1);
  machine.ack('c', 3);
  t.match(machine.raft, { committed: 3, role: 'follower' });
  machine.tick(60);
  t.same(machine.settle(), [], 'now it is out');
});

t.test('§6.2: a leader steps down when it has not heard a majority for one election time-out', async (t) => {
  const leads = (voters: string[], heard: string[], ticks: number): boolean => {
    const machine = new Machine({ voters });
    machine.elect();
    // What was heard during the election counts for the first look.
    machine.tick(10).settle();
    for (let i = 0; i < ticks; i++) {
      for (const from of heard) machine.step(from, { type: 'heartbeatResponse', term: machine.raft.term, round: 0 });
      machine.tick(1).settle();
    }
    return machine.raft.role === 'leader';
  };
  t.ok(leads(['a', 'b', 'c'], [], 9), 'not earlier');
  t.notOk(leads(['a', 'b', 'c'], [], 10));
  t.ok(leads(['a', 'b', 'c'], ['b'], 30));
  t.notOk(leads(['a', 'b', 'c', 'd', 'e'], ['b'], 10));
  t.ok(leads(['a', 'b', 'c', 'd', 'e'], ['b', 'c'], 30));
  t.notOk(leads(['a', 'b', 'c'], ['x'], 10), 'who is no voter does not count');
});

t.test('§6.4: a read gets the commit index of the moment it was asked', async (t) => {
  const machine = new Machine({});
  machine.elect();
  machine.ack('b', 2);
  machine.raft.readIndex(1);
  machine.settle();
  machine.raft.propose(command('x'));
  machine.settle();
  machine.ack('b', 3);
  machine.step('b', { type: 'heartbeatResponse', term: 2, round: 1 });
  t.same(machine.raft.ready().reads, [{ context: 1, index: 2 }]);
});

t.test('§6.4: reads that wait for a majority are void when the leader steps down', async (t) => {
  const machine = new Machine({});
  machine.elect();
  machine.ack('b', 2);
  machine.raft.readIndex(1);
  machine.settle();
  machine.step('c', { type: 'append', term: 3, prevIndex: 2, prevTerm: 2, entries: [entry(3, 3)], commit: 2 }).settle();
  machine.step('b', { type: 'heartbeatResponse', term: 2, round: 1 });
  machine.step('b', { type: 'heartbeatResponse', term: 3, round: 1 });
  t.notOk(machine.raft.hasReady());
  t.equal(machine.elect().length > 0, true);
  machine.step('b', { type: 'heartbeatResponse', term: machine.raft.term, round: 1 });
  t.same(machine.raft.hasReady() ? machine.raft.ready().reads : [], [], 'nor does its next term answer them');
});

t.test('§9.6: a trial changes neither term nor vote of who answers it, and binds to nobody', async (t) => {
  const machine = new Machine({ term: 1 });
  t.match(machine.step('b', { ...VOTE, pre: true }).settle(), [{ pre: true, granted: true, term: 2 }]);
  t.match(machine.step('c', { ...VOTE, pre: true, term: 7 }).settle(), [{ pre: true, granted: true, term: 7 }]);
  t.match(machine.disk.hardState, { term: 1, vote: '' });
  t.match(machine.step('c', { ...VOTE, pre: false }).settle(), [{ pre: false, granted: true }]);
});

t.test(
  '§9.6: a trial that a majority grants is followed by the election, one that it refuses by patience',
  async (t) => {
    const asks = (): Machine => {
      const machine = new Machine({});
      machine.raft.campaign();
      machine.settle();
      return machine;
    };
    const wins = asks();
    wins.step('b', { type: 'voteResponse', term: 2, pre: true, granted: true });
    t.match(wins.settle(), [{ type: 'vote', pre: false, term: 2 }, {}]);
    t.match(wins.disk.hardState, { term: 2, vote: 'a' });
    const loses = asks();
    for (const id of ['b', 'c']) loses.step(id, { type: 'voteResponse', term: 1, pre: true, granted: false });
    t.match(loses.raft, { role: 'follower', term: 1 });
    t.equal(loses.disk.hardState.vote, '');
  },
);

t.test('§10.2.1: others write at the same time as the leader: its messages do not wait for its disk', async (t) => {
  const machine = new Machine({});
  machine.elect();
  machine.ack('b', 2);
  machine.raft.propose(command('x'));
  const ready = machine.raft.ready();
  t.match(ready.messages, [{ type: 'append', to: 'b', entries: [{ index: 3 }] }]);
  machine.step('b', { type: 'appendResponse', term: 2, outcome: { ok: true, match: 3 } });
  t.equal(machine.raft.committed, 2, 'but it counts itself only once it has written');
  machine.persist(ready);
  machine.raft.advance();
  t.equal(machine.raft.committed, 3);
});
