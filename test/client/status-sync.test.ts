import t from 'tap';
import { StatusSync } from '../../lib/client/status-sync.js';
import type { ClientAllocUpdate } from '../../lib/structs/rpc.js';
import { silentLog } from '../../lib/util/log.js';
import { seededRandom } from '../../lib/util/random.js';
import { FakeTimers } from './fakes.js';

interface Sent {
  ids: string[];
  done: () => void;
  fail: (error: Error) => void;
}

function sync() {
  const timers = new FakeTimers();
  const sent: Sent[] = [];
  const status = new StatusSync({
    timers,
    random: seededRandom(1),
    log: silentLog,
    send: (updates) =>
      new Promise((resolve, reject) => {
        sent.push({
          ids: updates.map(({ ID, ClientDescription }) => `${ID}${ClientDescription}`),
          done: resolve,
          fail: reject,
        });
      }),
  });
  const put = (id: string, text = '', urgent = false): void =>
    status.put(id, () => ({ ID: id, ClientDescription: text }) as ClientAllocUpdate, urgent);
  return { timers, sent, status, put };
}

const settled = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

t.test('nothing is said before a server knows the node', async (t) => {
  const { timers, sent, status, put } = sync();
  put('a', '', true);
  timers.advance(10_000);
  t.equal(sent.length, 0);
  status.open();
  timers.advance(0);
  t.same(sent[0]?.ids, ['a']);
});

t.test('changes are sent together, the newest of each, after 200 ms; urgent ones take all along at once', async (t) => {
  const { timers, sent, status, put } = sync();
  status.open();
  put('a', '1');
  timers.advance(100);
  put('a', '2');
  put('b', '1');
  timers.advance(99);
  t.equal(sent.length, 0);
  timers.advance(1);
  t.same(sent[0]?.ids, ['a2', 'b1']);
  sent[0]?.done();
  await settled();
  put('c');
  put('d', '', true);
  timers.advance(0);
  t.same(sent[1]?.ids, ['c', 'd']);
});

t.test('one batch at a time; what fails is sent again unless something newer is there', async (t) => {
  const { timers, sent, status, put } = sync();
  status.open();
  put('a', '1', true);
  put('b', '1', true);
  timers.advance(0);
  put('a', '2', true);
  timers.advance(1_000);
  t.equal(sent.length, 1);
  sent[0]?.fail(new Error('no leader'));
  await settled();
  t.equal(status.pending, 2);
  timers.advance(1_000);
  t.same(sent[1]?.ids.sort(), ['a2', 'b1']);
  sent[1]?.done();
  await settled();
  t.equal(status.pending, 0);
  timers.advance(60_000);
  t.equal(sent.length, 2);
});
