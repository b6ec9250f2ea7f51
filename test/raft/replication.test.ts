import t from 'tap';
import { Progress } from '../../lib/raft/progress.js';
import { quorumValue } from '../../lib/raft/quorum.js';
import { command, entry, Machine } from './machine.js';
import { CALM, World } from './world.js';

t.test('a new leader opens its term with an empty entry and sends it to all', async (t) => {
  const machine = new Machine({ terms: [1] });
  const sent = machine.elect();
  t.match(sent, [
    { type: 'append', to: 'b', prevIndex: 2, prevTerm: 1, entries: [{ type: 'noop', index: 3, term: 2 }] },
    { type: 'append', to: 'c', prevIndex: 2, prevTerm: 1, entries: [{ type: 'noop', index: 3, term: 2 }] },
  ]);
});

t.test(
  'an entry is committed once a majority has it on disk, the leader included only after its own write',
  async (t) => {
    const machine = new Machine({});
    machine.elect();
    machine.ack('b', 2);
    t.equal(machine.raft.committed, 2);
    machine.raft.propose(command('x'));
    const ready = machine.raft.ready();
    t.match(ready.messages, [{ type: 'append', entries: [{ index: 3 }] }], 'it may be sent before it is written');
    machine.step('b', { type: 'appendResponse', term: 2, outcome: { ok: true, match: 3 } });
    t.equal(machine.raft.committed, 2, 'one of three: the leader has not written it');
    machine.persist(ready);
    machine.raft.advance();
    t.equal(machine.raft.committed, 3);
  },
);

t.test('a leader counts only what it has written, not what came in meanwhile', async (t) => {
  const machine = new Machine({});
  machine.elect();
  machine.ack('b', 2);
  machine.raft.propose(command('x'));
  const ready = machine.raft.ready();
  machine.raft.propose(command('y'));
  machine.persist(ready);
  machine.step('b', { type: 'appendResponse', term: 2, outcome: { ok: true, match: 4 } });
  machine.raft.advance();
  t.equal(machine.raft.committed, 3, 'entry 4 is on one disk only');
});

t.test('a follower applies only what it has written, though it knows more to be committed', async (t) => {
  const machine = new Machine({});
  machine.step('b', { type: 'append', term: 1, prevIndex: 1, prevTerm: 1, entries: [entry(1, 2)], commit: 2 });
  const ready = machine.raft.ready();
  t.notOk(ready.committed.some(({ index }) => index === 2));
  machine.persist(ready);
  machine.raft.advance();
  t.match(machine.raft.ready().committed, [{ index: 2 }]);
});

t.test('two followers commit without the leader’s disk, but it applies only what it has written itself', async (t) => {
  const machine = new Machine({});
  machine.elect();
  machine.ack('b', 2);
  machine.raft.propose(command('x'));
  const ready = machine.raft.ready();
  for (const id of ['b', 'c']) machine.step(id, { type: 'appendResponse', term: 2, outcome: { ok: true, match: 3 } });
  t.equal(machine.raft.committed, 3);
  t.same(ready.committed, []);
  t.notOk(machine.applied.some(({ index }) => index === 3));
  machine.persist(ready);
  machine.raft.advance();
  machine.settle();
  t.equal(machine.applied.at(-1)?.index, 3);
});

t.test(
  'entries of an earlier term are never committed by counting, only with one of the own term (§5.4.2)',
  async (t) => {
    const machine = new Machine({ terms: [2, 2], term: 3 });
    machine.elect();
    machine.ack('b', 3);
    t.equal(machine.raft.committed, 1, 'a majority has entry 3 of term 2, and that is not enough');
    machine.ack('b', 4);
    t.equal(machine.raft.committed, 4);
  },
);

t.test('a follower refuses entries that do not fit, and says where the logs may agree', async (t) => {
  const machine = new Machine({ terms: [2, 2, 5, 5], term: 6 });
  const append = (prevIndex: number, prevTerm: number) =>
    machine.step('b', { type: 'append', term: 6, prevIndex, prevTerm, entries: [], commit: 0 }).settle()[0];
  t.match(append(9, 6), { outcome: { ok: false, index: 9, hintIndex: 5, hintTerm: 5 } }, 'its log is shorter');
  t.match(append(5, 4), { outcome: { ok: false, index: 5, hintIndex: 3, hintTerm: 2 } }, 'a whole term is skipped');
  t.match(append(3, 2), { outcome: { ok: true, match: 3 } });
});

t.test('conflicting entries are replaced, agreeing ones kept, in whatever order messages come (§5.3)', async (t) => {
  const machine = new Machine({ terms: [2, 2, 2], term: 3 });
  const entries = [entry(2, 2), entry(3, 3)];
  machine.step('b', { type: 'append', term: 3, prevIndex: 1, prevTerm: 1, entries, commit: 0 }).settle();
  t.equal(machine.raft.lastIndex, 3);
  t.equal(machine.disk.term(3), 3);
  machine.step('b', { type: 'append', term: 3, prevIndex: 3, prevTerm: 3, entries: [entry(3, 4)], commit: 0 }).settle();
  machine.step('b', { type: 'append', term: 3, prevIndex: 1, prevTerm: 1, entries, commit: 0 }).settle();
  t.equal(machine.raft.lastIndex, 4, 'an older message does not cut what came after it');
});

t.test('a follower commits no further than the message that it accepted reaches (§5.3)', async (t) => {
  const machine = new Machine({ terms: [2, 2], term: 3 });
  machine.step('b', { type: 'append', term: 3, prevIndex: 1, prevTerm: 1, entries: [entry(2, 2)], commit: 3 }).settle();
  t.equal(machine.raft.committed, 2, 'entry 3 may still be another leader’s');
});

t.test('an acceptance leaves only after the entries are on disk', async (t) => {
  const machine = new Machine({});
  machine.step('b', { type: 'append', term: 1, prevIndex: 1, prevTerm: 1, entries: [entry(1, 2)], commit: 0 });
  const ready = machine.raft.ready();
  t.same(ready.messages, []);
  t.match(ready.messagesAfterPersist, [{ type: 'appendResponse', outcome: { ok: true, match: 2 } }]);
  t.ok(ready.mustSync);
});

t.test('entries replaced while their write is under way are written again', async (t) => {
  const machine = new Machine({ term: 2 });
  machine.step('b', {
    type: 'append',
    term: 2,
    prevIndex: 1,
    prevTerm: 1,
    entries: [entry(2, 2), entry(2, 3)],
    commit: 0,
  });
  const ready = machine.raft.ready();
  machine.step('c', { type: 'append', term: 3, prevIndex: 2, prevTerm: 2, entries: [entry(3, 3)], commit: 3 });
  machine.persist(ready);
  machine.raft.advance();
  machine.settle();
  t.equal(machine.disk.term(3), 3);
  t.equal(machine.applied.at(-1)?.term, 3);
});

t.test('a leader finds the point of agreement term by term, then sends ahead', async (t) => {
  const machine = new Machine({ terms: [2, 2, 4, 4, 4], term: 4 });
  machine.elect();
  const refused = machine
    .step('b', { type: 'appendResponse', term: 5, outcome: { ok: false, index: 6, hintIndex: 5, hintTerm: 3 } })
    .settle();
  t.match(refused, [{ type: 'append', to: 'b', prevIndex: 3, prevTerm: 2 }]);
  const accepted = machine.ack('b', 7);
  t.match(accepted, [{ type: 'append', to: 'b', commit: 7 }], 'it learns the commit at once');
  t.equal(accepted.length, 1, 'c is still probed: one message at a time');
  machine.raft.propose(command('x'));
  const toB = () => machine.settle().filter(({ to }) => to === 'b');
  t.match(toB(), [{ entries: [{ index: 8 }] }]);
  machine.raft.propose(command('y'));
  machine.raft.propose(command('z'));
  const ahead = toB();
  t.match(ahead, [{ entries: [{ index: 9 }, { index: 10 }] }], 'without waiting for the first answer');
  t.equal(ahead.length, 1, 'and what was proposed meanwhile in one message');
});

t.test('the window stops the leader, a heartbeat’s answer lets one more through', async (t) => {
  const progress = new Progress(1, { messagesMax: 2, bytesMax: 1000 });
  progress.becomeReplicate();
  progress.sent(1, 10);
  t.notOk(progress.paused);
  progress.sent(2, 10);
  t.ok(progress.paused, 'two messages are under way');
  progress.freeOne();
  t.notOk(progress.paused);
  progress.sent(3, 2000);
  progress.freeOne();
  t.ok(progress.paused, 'too many bytes are under way');
  t.ok(progress.accepted(3));
  t.notOk(progress.paused);
  t.notOk(progress.accepted(2), 'a late acceptance is no news');
  t.notOk(progress.refused(2, 1), 'nor is a late refusal');
  t.equal(progress.next, 4);
  progress.becomeSnapshot(10);
  t.ok(progress.paused);
  progress.becomeProbe();
  t.equal(progress.next, 11);
  progress.sent(0, 0);
  t.ok(progress.paused, 'a probe waits for its answer');
  t.ok(progress.refused(10, 7));
  t.equal(progress.next, 8);
});

t.test('the commit index is what a majority has reached', async (t) => {
  const rows: [number[], number][] = [
    [[], 0],
    [[5], 5],
    [[5, 3], 3],
    [[5, 3, 4], 4],
    [[9, 0, 0], 0],
    [[1, 2, 3, 4], 2],
    [[1, 2, 3, 4, 5], 3],
  ];
  for (const [values, expected] of rows) {
    const ids = values.map((_, i) => String(i));
    t.equal(
      quorumValue(ids, (id) => values[Number(id)] ?? 0),
      expected,
      `of ${values}`,
    );
  }
});

t.test('a follower that is behind the log gets the snapshot, and goes on from there', async (t) => {
  const world = new World(3, ['a', 'b', 'c'], ['a', 'b', 'c']);
  t.ok(world.run(100, () => world.leader !== undefined));
  const leader = world.server(world.leader?.id ?? '');
  const late = leader.id === 'c' ? world.server('b') : world.server('c');
  world.crash(late);
  for (let i = 0; i < 30; i++) {
    leader.raft?.propose(command(String(i)));
    world.step();
  }
  world.run(5);
  world.takeSnapshot(leader, 0);
  world.start(late);
  t.ok(world.run(60, () => late.applied >= 30));
  t.ok(world.seen.snapshots > 0);
  t.equal(late.digest, leader.digest);
});

t.test('messages lost in replicate state are found by the heartbeat’s answer', async (t) => {
  const world = new World(4, ['a', 'b', 'c'], ['a', 'b', 'c']);
  t.ok(world.run(100, () => world.leader !== undefined));
  world.run(5);
  world.faults = { ...CALM, loss: 1 };
  const written = world.leader?.propose(command('lost'));
  world.run(2);
  world.faults = CALM;
  t.ok(world.run(20, () => world.up.every(({ server }) => written?.ok && server.applied >= written.value)));
});

t.test('proposals are refused when too much is uncommitted, but one is always taken', async (t) => {
  const machine = new Machine({});
  machine.elect();
  t.ok(machine.raft.propose(new Uint8Array(65 * 1024 * 1024)).ok);
  t.match(machine.raft.propose(command('x')), { ok: false, error: { kind: 'busy' } });
  machine.settle();
  machine.ack('b', 3);
  t.ok(machine.raft.propose(command('x')).ok);
  const follower = new Machine({});
  t.match(follower.raft.propose(command('x')), { ok: false, error: { kind: 'notLeader', leader: '' } });
});
