import t from 'tap';
import type { Membership, MembershipChange } from '../../lib/raft/index.js';
import { changeMembership, decodeMembership, encodeMembership, MembershipHistory } from '../../lib/raft/membership.js';
import { command, entry, Machine } from './machine.js';
import { World } from './world.js';

const of = (voters: string, learners = ''): Membership => ({ voters: [...voters], learners: [...learners] });

t.test('one step: add, promote, demote, remove; never the last voter', async (t) => {
  const rows: [Membership, MembershipChange, Membership | null][] = [
    [of('a'), { type: 'addLearner', id: 'b' }, of('a', 'b')],
    [of('a', 'b'), { type: 'addVoter', id: 'b' }, of('ab')],
    [of('ab'), { type: 'addLearner', id: 'a' }, of('b', 'a')],
    [of('ab', 'c'), { type: 'remove', id: 'c' }, of('ab')],
    [of('a'), { type: 'remove', id: 'a' }, null],
    [of('a', 'b'), { type: 'addLearner', id: 'a' }, null],
    [of('a'), { type: 'addVoter', id: 'a' }, null],
    [of('a', 'b'), { type: 'addLearner', id: 'b' }, null],
    [of('a'), { type: 'remove', id: 'x' }, null],
  ];
  for (const [now, change, expected] of rows) {
    const result = changeMembership(now, change);
    t.same(result.ok ? result.value : null, expected, `${change.type} ${change.id}`);
  }
  t.same(decodeMembership(encodeMembership(of('ab', 'c'))), of('ab', 'c'));
});

t.test('history: the newest counts, a cut log brings the one before back', async (t) => {
  const history = new MembershipHistory({ index: 1, membership: of('a') });
  history.append(5, of('ab'));
  history.append(9, of('abc'));
  t.same(history.latest, of('abc'));
  t.same([history.at(1), history.at(5), history.at(8), history.at(99)], [of('a'), of('ab'), of('ab'), of('abc')]);
  history.truncateFrom(6);
  t.same(history.latest, of('ab'));
  history.compact(7);
  history.truncateFrom(2);
  t.same(history.latest, of('ab'), 'what is committed and compacted is not cut');
});

t.test('a learner gets the log and does not count towards quorum', async (t) => {
  const machine = new Machine({ voters: ['a'], learners: ['b'] });
  machine.elect();
  machine.ack('b', 2);
  t.ok(machine.raft.propose(command('x')).ok);
  t.match(machine.settle()[0], { type: 'append', to: 'b' });
  t.equal(machine.raft.committed, 3, 'the sole voter alone decides');
});

t.test('a learner does not campaign', async (t) => {
  const machine = new Machine({ voters: ['b'], learners: ['a'] });
  machine.tick(100);
  t.same(machine.settle(), []);
});

t.test('a learner forgets a leader that fell silent, and then helps to elect another', async (t) => {
  const machine = new Machine({ voters: ['b', 'c'], learners: ['a'] });
  machine.step('b', { type: 'heartbeat', term: 1, commit: 1, round: 0 }).settle();
  machine.tick(9);
  t.equal(machine.raft.leader, 'b');
  machine.tick(11);
  t.equal(machine.raft.leader, '');
  const ask = { type: 'vote', term: 2, pre: true, transfer: false, lastIndex: 1, lastTerm: 1 } as const;
  t.match(machine.step('c', ask).settle(), [{ granted: true }]);
});

t.test('a change counts from the moment it is in the log, and the next waits for its commit', async (t) => {
  const machine = new Machine({});
  machine.elect();
  t.match(machine.raft.proposeChange({ type: 'addVoter', id: 'd' }), { error: { kind: 'pending' } }, 'own term first');
  machine.ack('b', 2);
  t.ok(machine.raft.proposeChange({ type: 'addVoter', id: 'd' }).ok);
  t.same(machine.raft.membership.voters, ['a', 'b', 'c', 'd']);
  t.match(machine.raft.proposeChange({ type: 'remove', id: 'b' }), { error: { kind: 'pending' } });
  machine.settle();
  machine.ack('b', 3);
  t.equal(machine.raft.committed, 2, 'two of four are no majority');
  machine.ack('c', 3);
  t.equal(machine.raft.committed, 3);
  t.match(machine.raft.proposeChange({ type: 'remove', id: 'x' }), { error: { kind: 'invalid' } });
  t.ok(machine.raft.proposeChange({ type: 'remove', id: 'b' }).ok);
});

t.test('a follower whose log is cut returns to the membership before', async (t) => {
  const machine = new Machine({ term: 2 });
  const change = entry(2, 2, 'config', encodeMembership(of('abcd')));
  machine.step('b', { type: 'append', term: 2, prevIndex: 1, prevTerm: 1, entries: [change], commit: 0 }).settle();
  t.same(machine.raft.membership, of('abcd'));
  machine.restart();
  t.same(machine.raft.membership, of('abcd'), 'also after a restart');
  machine.step('c', { type: 'append', term: 3, prevIndex: 1, prevTerm: 1, entries: [entry(3, 2)], commit: 0 }).settle();
  t.same(machine.raft.membership, of('abc'));
});

t.test('a leader that removes itself serves until that is committed, then withdraws', async (t) => {
  const machine = new Machine({});
  machine.elect();
  machine.ack('b', 2);
  t.ok(machine.raft.proposeChange({ type: 'remove', id: 'a' }).ok);
  machine.settle();
  machine.ack('b', 3);
  t.equal(machine.raft.role, 'leader', 'one of the two that remain');
  machine.ack('c', 3);
  t.equal(machine.raft.role, 'follower');
  t.equal(machine.raft.committed, 3);
  machine.tick(100);
  t.same(machine.settle(), [], 'and does not campaign');
});

t.test('one voter becomes three and one again, without a gap', async (t) => {
  const world = new World(5, ['a', 'b', 'c'], ['a']);
  const change = (step: MembershipChange): void => {
    t.ok(
      world.run(50, () => world.leader?.proposeChange(step).ok === true),
      `${step.type} ${step.id}`,
    );
  };
  for (const id of ['b', 'c']) {
    change({ type: 'addLearner', id });
    t.ok(world.run(50, () => world.server(id).applied > 0));
    change({ type: 'addVoter', id });
  }
  t.ok(world.run(50, () => world.up.every(({ raft }) => raft.membership.voters.length === 3)));
  world.crash(world.server('a'));
  t.ok(world.run(100, () => world.leader !== undefined));
  world.start(world.server('a'));
  for (const id of ['a', 'b', 'c'].filter((id) => id !== world.leader?.id)) change({ type: 'remove', id });
  const written = world.leader?.propose(command('alone'));
  t.ok(world.run(20, () => written?.ok === true && world.committed >= written.value));
});
