import t from 'tap';
import type { ReadState } from '../../lib/raft/index.js';
import { Machine } from './machine.js';

function reads(machine: Machine): ReadState[] {
  const found: ReadState[] = [];
  while (machine.raft.hasReady()) {
    const ready = machine.raft.ready();
    machine.persist(ready);
    found.push(...ready.reads);
    machine.raft.advance();
  }
  return found;
}

t.test('a sole voter answers at once', async (t) => {
  const machine = new Machine({ voters: ['a'] });
  machine.elect();
  t.ok(machine.raft.readIndex(7).ok);
  t.same(reads(machine), [{ context: 7, index: 2 }]);
});

t.test('a leader answers after a majority has confirmed that it leads', async (t) => {
  const machine = new Machine({});
  machine.elect();
  machine.ack('b', 2);
  machine.raft.readIndex(7);
  t.same(reads(machine), []);
  machine.step('c', { type: 'heartbeatResponse', term: 2, round: 0 });
  t.same(reads(machine), [], 'an answer to an earlier heartbeat proves nothing');
  machine.step('c', { type: 'heartbeatResponse', term: 2, round: 1 });
  t.same(reads(machine), [{ context: 7, index: 2 }]);
});

t.test('a new leader answers only after it has committed an entry of its own term (§8)', async (t) => {
  const machine = new Machine({ terms: [1, 1] });
  machine.elect();
  machine.raft.readIndex(1);
  machine.step('b', { type: 'heartbeatResponse', term: 2, round: 9 });
  t.same(reads(machine), []);
  machine.step('b', { type: 'appendResponse', term: 2, outcome: { ok: true, match: 4 } });
  t.same(reads(machine), []);
  machine.step('b', { type: 'heartbeatResponse', term: 2, round: 1 });
  t.same(reads(machine), [{ context: 1, index: 4 }]);
});

t.test('a follower asks the leader; without one it says so', async (t) => {
  const machine = new Machine({});
  t.match(machine.raft.readIndex(1), { ok: false, error: { kind: 'notLeader' } });
  machine.step('b', { type: 'heartbeat', term: 1, commit: 1, round: 0 }).settle();
  t.ok(machine.raft.readIndex(3).ok);
  t.match(machine.settle(), [{ type: 'readIndex', to: 'b', context: 3 }]);
  machine.step('b', { type: 'readIndexResponse', term: 1, context: 3, index: 9 });
  t.same(reads(machine), [{ context: 3, index: 9 }]);
});

t.test('a leader answers a follower’s question', async (t) => {
  const machine = new Machine({});
  machine.elect();
  machine.ack('b', 2);
  machine.step('c', { type: 'readIndex', term: 2, context: 5 }).settle();
  const sent = machine.step('b', { type: 'heartbeatResponse', term: 2, round: 1 }).settle();
  t.match(
    sent.filter(({ type }) => type === 'readIndexResponse'),
    [{ to: 'c', context: 5, index: 2 }],
  );
});
