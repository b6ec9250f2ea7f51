import t from 'tap';
import type { Message } from '../../lib/raft/index.js';
import { CommitNews } from '../../lib/server/consensus-news.js';
import { createSimulatedTime } from './simulated-time.js';

function append(to: string, commit: number, entries = 0): Message {
  const all = Array.from({ length: entries }, (_, i) => ({
    ...{ index: commit + 1 + i, term: 1, type: 'command' as const },
    data: new Uint8Array(),
  }));
  return { type: 'append', from: 'a', to, term: 1, prevIndex: commit, prevTerm: 1, entries: all, commit };
}

function setup() {
  const time = createSimulatedTime();
  const sent: string[] = [];
  const send = (messages: readonly Message[]): void => {
    for (const message of messages) {
      sent.push(`${message.type} ${message.to}${message.type === 'append' ? ` ${message.commit}` : ''}`);
    }
  };
  return { time, sent, news: new CommitNews({ timers: time.timers, send }) };
}

t.test('word of what is committed goes with the entries that follow, and is not sent besides', async (t) => {
  const { time, sent, news } = setup();
  news.send([append('b', 7), append('c', 7)]);
  t.same(sent, []);
  await time.advance(5);
  news.send([append('b', 7, 1)]);
  t.same(sent, ['append b 7'], 'at once');
  await time.advance(60_000);
  t.same(sent, ['append b 7', 'append c 7'], 'who gets no entries hears it alone');
});

t.test('it waits for a moment, however often there is more, and the newest is told', async (t) => {
  const { time, sent, news } = setup();
  for (let commit = 1; commit <= 4; commit++) {
    news.send([append('b', commit)]);
    await time.advance(2);
  }
  t.same(sent, []);
  await time.advance(2);
  t.same(sent, ['append b 4']);
  news.send([append('b', 5)]);
  await time.advance(10);
  t.same(sent, ['append b 4', 'append b 5']);
});

t.test('everything else goes at once, and what is held when a leader steps down too', async (t) => {
  const { time, sent, news } = setup();
  const heartbeat: Message = { type: 'heartbeat', from: 'a', to: 'b', term: 1, commit: 3, round: 1 };
  news.send([append('b', 4), heartbeat]);
  t.same(sent, ['heartbeat b']);
  news.flush();
  t.same(sent, ['heartbeat b', 'append b 4']);
  await time.advance(1000);
  t.equal(sent.length, 2, 'once');
});
