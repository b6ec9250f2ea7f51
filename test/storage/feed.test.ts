import { cpSync, truncateSync } from 'node:fs';
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import t from 'tap';
import type { Entry } from '../../lib/raft/index.js';
import { takeUpFeed } from '../../lib/storage/feed-record.js';
import { seededRandom } from '../../lib/util/random.js';
import { FaultyDisk } from './faulty-disk.js';
import type { Cleanup } from './feed-fakes.js';
import { connect, Standby, tempFolder, until, Voter } from './feed-fakes.js';

async function newVoter(t: Cleanup, limits = {}): Promise<Voter> {
  const voter = await new Voter(tempFolder(t)).open(limits);
  t.teardown(() => voter.close());
  return voter;
}

async function newStandby(t: Cleanup): Promise<Standby> {
  const standby = await Standby.open(tempFolder(t));
  t.teardown(() => standby.close());
  return standby;
}

const caughtUp = (standby: Standby, voter: Voter): Promise<void> =>
  until('the standby to catch up', () => standby.chain.index === voter.chain.index);

function said(of: { logged: Voter['logged'] }, message: string): number {
  return of.logged.records.filter((record) => record.message.includes(message)).length;
}

t.test('a standby starts from a snapshot and follows', async (t) => {
  const voter = await newVoter(t);
  for (let i = 0; i < 100; i++) voter.write(`line ${i}`);
  const standby = await newStandby(t);
  connect(standby.cores, voter.cores);
  await standby.follow(voter);
  await caughtUp(standby, voter);
  for (let i = 0; i < 1000; i++) voter.write(`more ${i}`);
  await caughtUp(standby, voter);
  t.same(standby.diary.lines, voter.diary.lines);
  t.equal(standby.chain.digestText, voter.chain.digestText);
  t.same(standby.follower.meta, voter.meta);
  t.equal(said(standby, 'restored'), 1);
  t.match(standby.follower.state, { kind: 'following' });
});

t.test('a change of membership is part of what a standby knows', async (t) => {
  const voter = await newVoter(t);
  const standby = await newStandby(t);
  connect(standby.cores, voter.cores);
  await standby.follow(voter);
  voter.write('x');
  await caughtUp(standby, voter);
  voter.write(JSON.stringify({ v: 1, voters: ['a', 'b'], learners: ['c'] }), 'config');
  await caughtUp(standby, voter);
  t.same(standby.follower.meta?.membership, { voters: ['a', 'b'], learners: ['c'] });
});

t.test('a broken connection is taken up where it broke', async (t) => {
  const voter = await newVoter(t);
  const standby = await newStandby(t);
  for (let round = 0; round < 5; round++) {
    const cut = connect(standby.cores, voter.cores);
    await standby.follow(voter);
    for (let i = 0; i < 200; i++) voter.write(`round ${round} line ${i}`);
    if (round < 4) await until('something to arrive', () => standby.chain.index > round * 200);
    else await caughtUp(standby, voter);
    cut();
  }
  t.same(standby.diary.lines, voter.diary.lines);
  t.equal(said(standby, 'restored'), 1, 'the snapshot came once');
});

t.test('on a change of leader the new feed is taken up at the same index, without a snapshot', async (t) => {
  const voters = [await newVoter(t), await newVoter(t), await newVoter(t)];
  const all = (text: string): void => {
    for (const voter of voters) voter.write(text);
  };
  const standby = await newStandby(t);
  for (const voter of voters) connect(standby.cores, voter.cores);
  for (let round = 0; round < 9; round++) {
    const leader = voters[round % 3] as Voter;
    await standby.follow(leader);
    for (let i = 0; i < 50; i++) all(`round ${round} line ${i}`);
    await caughtUp(standby, leader);
  }
  t.same(standby.diary.lines, voters[0]?.diary.lines);
  t.equal(said(standby, 'restored'), 1);
  t.equal(said(standby, 'differs'), 0);
});

t.test('a new leader whose feed is behind is waited for', async (t) => {
  const [first, second] = [await newVoter(t), await newVoter(t)];
  const standby = await newStandby(t);
  for (const voter of [first, second]) connect(standby.cores, voter.cores);
  const missed: string[] = [];
  for (let i = 0; i < 100; i++) {
    first.write(`line ${i}`);
    if (i < 50) second.write(`line ${i}`);
    else missed.push(`line ${i}`);
  }
  await standby.follow(first);
  await caughtUp(standby, first);
  await standby.follow(second);
  await until('the change', () => standby.follower.state.kind === 'following');
  for (const text of [...missed, 'and one more']) second.write(text);
  await caughtUp(standby, second);
  t.same(standby.diary.lines, second.diary.lines);
  t.equal(said(standby, 'restored'), 1);
});

t.test('a history that differs is found by its digest, and the state rebuilt from a snapshot, loudly', async (t) => {
  const [first, second] = [await newVoter(t), await newVoter(t)];
  for (let i = 0; i < 100; i++) {
    first.write(`line ${i}`);
    second.write(i === 60 ? 'another line' : `line ${i}`);
  }
  const standby = await newStandby(t);
  for (const voter of [first, second]) connect(standby.cores, voter.cores);
  await standby.follow(first);
  await caughtUp(standby, first);
  await standby.follow(second);
  second.write('the next');
  await caughtUp(standby, second);
  t.same(standby.diary.lines, second.diary.lines);
  t.equal(said(standby, 'differs'), 1);
  t.equal(standby.logged.records.find(({ message }) => message.includes('differs'))?.level, 'error');
  t.equal(said(standby, 'restored'), 2);
});

t.test('two segments are kept; who comes late or lags starts from a snapshot', async (t) => {
  const voter = await newVoter(t, { segmentBytes: 100_000 });
  const live = await newStandby(t);
  const early = await newStandby(t);
  connect(live.cores, voter.cores);
  const cut = connect(early.cores, voter.cores);
  voter.write('first');
  for (const standby of [live, early]) {
    await standby.follow(voter);
    await caughtUp(standby, voter);
  }
  cut();
  const line = 'x'.repeat(500);
  while (voter.publisher.stats().segment < 5) {
    for (let i = 0; i < 20; i++) voter.write(`${voter.chain.index} ${line}`);
    await until('the live one', () => live.chain.index > voter.chain.index - 100);
  }
  await caughtUp(live, voter);
  t.same(live.diary.lines, voter.diary.lines);
  t.equal(said(live, 'restored'), 1, 'who keeps up is led from segment to segment');
  const { Secret = '', Segments = [] } = voter.publisher.address ?? {};
  t.equal(Segments.length, 2);
  const oldest = await voter.cores.own('feed-1-1', Buffer.from(Secret, 'hex'));
  t.ok(oldest.length > 0);
  t.equal(await oldest.local(0), null, 'its blocks are gone');
  const late = await newStandby(t);
  for (const standby of [early, late]) {
    connect(standby.cores, voter.cores);
    await standby.follow(voter);
    await caughtUp(standby, voter);
    t.same(standby.diary.lines, voter.diary.lines);
  }
  t.equal(said(early, 'restored'), 2);
  t.equal(said(late, 'restored'), 1);
});

t.test('a standby passes on what it has: the voter need not be reached by everybody', async (t) => {
  const voter = await newVoter(t);
  const near = await newStandby(t);
  const far = await newStandby(t);
  connect(near.cores, voter.cores);
  connect(far.cores, near.cores);
  for (let i = 0; i < 500; i++) voter.write(`line ${i}`);
  await near.follow(voter);
  await caughtUp(near, voter);
  await far.follow(voter);
  voter.write('live');
  await caughtUp(far, voter);
  t.same(far.diary.lines, voter.diary.lines);
});

t.test('without the secret the blocks are noise', async (t) => {
  const voter = await newVoter(t);
  await until('the feed to begin', () => voter.publisher.address !== null);
  voter.write('a very plain text');
  await until('the feed', () => voter.publisher.stats().publishedIndex === 1);
  const spy = await newStandby(t);
  connect(spy.cores, voter.cores);
  const { Segments = [], Secret = '' } = voter.publisher.address ?? {};
  const read = async (secret: Buffer): Promise<string> => {
    const core = await spy.cores.other(Buffer.from(Segments[0]?.Key ?? '', 'hex'), secret);
    let text = '';
    for (let at = 0; at < 3; at++) text += Buffer.from(await core.get(at)).toString('latin1');
    await core.close();
    return text;
  };
  t.notOk((await read(Buffer.alloc(32, 1))).includes('plain'));
  t.ok((await read(Buffer.from(Secret, 'hex'))).includes('plain'));
});

/** Opens the feed of a voter again as its next start would: what is in the log after the snapshot is applied once more. */
async function startAgain(voter: Voter, entries: readonly Entry[], replayFrom = 0): Promise<Voter> {
  const next = new Voter(voter.folder);
  for (const entry of entries.slice(0, replayFrom)) next.apply(entry);
  await next.open();
  for (const entry of entries.slice(replayFrom)) next.apply(entry);
  return next;
}

function entriesOf(count: number): Entry[] {
  return Array.from({ length: count }, (_, i) => {
    const data = new TextEncoder().encode(`line ${i}`);
    return { index: i + 1, term: 1, type: 'command', data };
  });
}

t.test('after a restart the feed goes on where it ended', async (t) => {
  const entries = entriesOf(120);
  const voter = await new Voter(tempFolder(t)).open();
  for (const entry of entries.slice(0, 100)) voter.apply(entry);
  await until('the feed', () => voter.publisher.stats().publishedIndex === 100);
  const first = voter.publisher.address?.Segments[0]?.Key;
  const { blocks } = voter.publisher.stats();
  await voter.close();
  const again = await startAgain(voter, entries, 40);
  t.teardown(() => again.close());
  await until('the rest to be published', () => again.publisher.stats().publishedIndex === 120);
  t.equal(again.publisher.address?.Segments[0]?.Key, first);
  t.equal(again.publisher.stats().blocks, blocks + 1);
  const standby = await newStandby(t);
  connect(standby.cores, again.cores);
  await standby.follow(again);
  await caughtUp(standby, again);
  t.same(standby.diary.lines, again.diary.lines);
  t.equal(said(again, 'anew'), 0);
});

t.test('a feed that ended before the snapshot that raft starts from goes on with a snapshot', async (t) => {
  const entries = entriesOf(200);
  const voter = await new Voter(tempFolder(t)).open();
  for (const entry of entries.slice(0, 100)) voter.apply(entry);
  const standby = await newStandby(t);
  const cut = connect(standby.cores, voter.cores);
  await standby.follow(voter);
  await caughtUp(standby, voter);
  cut();
  await voter.close();
  const again = await startAgain(voter, entries, 150);
  t.teardown(() => again.close());
  connect(standby.cores, again.cores);
  await standby.follow(again);
  await caughtUp(standby, again);
  t.same(standby.diary.lines, again.diary.lines);
  t.equal(said(standby, 'restored'), 2);
});

t.test(
  'a feed that was not closed is gone on with in other cores: blocks that others have may have been lost',
  async (t) => {
    const entries = entriesOf(150);
    const voter = await new Voter(tempFolder(t)).open();
    for (const entry of entries.slice(0, 50)) voter.apply(entry);
    await until('the feed', () => voter.publisher.stats().publishedIndex === 50);
    await voter.cores.sync();
    // What is on the disk when the power goes a moment later.
    const image = tempFolder(t);
    cpSync(voter.folder, image, { recursive: true });
    for (const entry of entries.slice(50, 100)) voter.apply(entry);
    const standby = await newStandby(t);
    const cut = connect(standby.cores, voter.cores);
    await standby.follow(voter);
    await caughtUp(standby, voter);
    const first = voter.publisher.address?.Segments[0]?.Key;
    cut();
    await voter.close();

    const again = await startAgain({ folder: image } as Voter, entries, 40);
    t.teardown(() => again.close());
    connect(standby.cores, again.cores);
    await standby.follow(again);
    await caughtUp(standby, again);
    t.not(again.publisher.address?.Segments[0]?.Key, first);
    t.same(standby.diary.lines, again.diary.lines);
    t.equal(said(standby, 'differs'), 0);
  },
);

t.test('a backup that was put back publishes in other cores than those that went on without it', async (t) => {
  const entries = entriesOf(150);
  const voter = await new Voter(tempFolder(t)).open();
  for (const entry of entries.slice(0, 50)) voter.apply(entry);
  await until('the feed', () => voter.publisher.stats().publishedIndex === 50);
  const first = voter.publisher.address?.Segments[0]?.Key;
  await voter.close();
  const backup = tempFolder(t);
  cpSync(voter.folder, backup, { recursive: true });
  const restored = await startAgain({ folder: backup } as Voter, entries, 50);
  await until('the feed of the copy', () => restored.publisher.address !== null);
  t.not(restored.publisher.address?.Segments[0]?.Key, first);
  await restored.close();
  const again = await startAgain(voter, entries, 50);
  t.teardown(() => again.close());
  await until('the feed', () => again.publisher.address !== null);
  t.equal(again.publisher.address?.Segments[0]?.Key, first);
});

t.test('whenever the power goes while a feed is taken up, no name is given twice', async (t) => {
  const random = seededRandom(7);
  for (let operations = 0; operations < 12; operations++) {
    const disk = new FaultyDisk();
    const names: string[] = [];
    const take = async (): Promise<void> => {
      const { record } = await takeUpFeed('feed', disk);
      names.push(`${record.generation}`);
    };
    await take();
    for (let cuts = 0; cuts < 3; cuts++) {
      disk.operationsLeft = operations;
      await take().catch(() => {});
      // The power is back.
      disk.crash(random);
      disk.operationsLeft = Number.POSITIVE_INFINITY;
    }
    disk.operationsLeft = Number.POSITIVE_INFINITY;
    await take();
    t.equal(new Set(names).size, names.length, `${operations} operations: ${names}`);
  }
});

t.test('a feed that does not agree with the raft log is begun anew', async (t) => {
  const entries = entriesOf(120);
  for (const replayFrom of [50, 100]) {
    const voter = await new Voter(tempFolder(t)).open();
    for (const entry of entries.slice(0, 100)) voter.apply(entry);
    await until('the feed', () => voter.publisher.stats().publishedIndex === 100);
    await voter.close();
    const others = entries.map((entry) => (entry.index === 30 ? { ...entry, term: 0 } : entry));
    const again = await startAgain(voter, others, replayFrom);
    t.teardown(() => again.close());
    await until('the rest to be published', () => again.publisher.stats().publishedIndex === 120);
    t.equal(said(again, 'begun anew'), 1, `replayed from ${replayFrom}`);
    const standby = await newStandby(t);
    connect(standby.cores, again.cores);
    await standby.follow(again);
    await caughtUp(standby, again);
    t.equal(standby.chain.digestText, again.chain.digestText);
  }
});

t.test('a damaged store is put aside and begun anew, on both sides', async (t) => {
  const entries = entriesOf(100);
  const voter = await new Voter(tempFolder(t)).open();
  for (const entry of entries) voter.apply(entry);
  const folder = tempFolder(t);
  const first = await Standby.open(folder);
  connect(first.cores, voter.cores);
  await first.follow(voter);
  await caughtUp(first, voter);
  await first.close();
  await voter.close();
  for (const damaged of [voter.folder, folder]) {
    const db = join(damaged, 'cores', 'db');
    for (const name of await readdir(db)) if (name.startsWith('MANIFEST')) truncateSync(join(db, name), 10);
  }
  const again = await startAgain(voter, entries);
  t.teardown(() => again.close());
  t.ok(said(again, 'damaged') > 0);
  const standby = await Standby.open(folder);
  t.teardown(() => standby.close());
  connect(standby.cores, again.cores);
  await standby.follow(again);
  await caughtUp(standby, again);
  t.same(standby.diary.lines, again.diary.lines);
});

t.test('an entry too large for a block is carried by a snapshot', async (t) => {
  const voter = await newVoter(t);
  const standby = await newStandby(t);
  connect(standby.cores, voter.cores);
  await standby.follow(voter);
  voter.write('small');
  await caughtUp(standby, voter);
  voter.write('x'.repeat(9 * 1024 * 1024));
  voter.write('small again');
  await caughtUp(standby, voter);
  t.same(standby.diary.lines, voter.diary.lines);
  t.equal(said(standby, 'restored'), 2);
});
