import { closeSync, openSync, readdirSync, statSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { writeCommand } from '../simulation/consensus/registers.js';
import type { Cleanup } from '../storage/feed-fakes.js';
import { tempFolder, until } from '../storage/feed-fakes.js';
import { FeedServer, FeedWorld } from './feed-world.js';

async function start(t: Cleanup, ids: string): Promise<FeedServer[]> {
  const world = new FeedWorld();
  t.teardown(() => world.closeAll());
  const servers: FeedServer[] = [];
  for (const id of ids) servers.push(await new FeedServer(world, id, tempFolder(t)).start(id === 'a'));
  await until('a leader', () => servers[0]?.consensus.isLeader === true);
  return servers;
}

async function write(leader: FeedServer, from: number, to: number): Promise<void> {
  const all = Array.from({ length: to - from }, (_, i) => writeCommand(`k${(from + i) % 50}`, `v${from + i}`));
  await Promise.all(all.map((command) => leader.consensus.propose(command)));
}

const same = (one: FeedServer, other: FeedServer): Promise<void> =>
  until(`${other.id} to have what ${one.id} has`, () => one.chain.index > 0 && one.chain.index === other.chain.index);

t.test('a server outside of the group keeps its state by the feed, and is taken in with it', async (t) => {
  const [a, b] = (await start(t, 'ab')) as [FeedServer, FeedServer];
  t.equal(b.consensus.isOutside, true);
  await write(a, 0, 500);
  await same(a, b);
  t.equal(b.fsm.hash, a.fsm.hash);
  t.match(b.part.stats().following, { kind: 'following', node: 'a' });
  t.match(b.consensus.stats(), { lastIndex: 0 }, 'raft knows nothing of it');

  await a.consensus.change({ type: 'addLearner', id: 'b' });
  await until('it to be in', () => !b.consensus.isOutside && b.consensus.membership().learners.includes('b'));
  await write(a, 500, 600);
  await same(a, b);
  t.equal(b.fsm.hash, a.fsm.hash);
  t.equal(b.said('from the state of the feed'), 1);
  t.equal(a.said('snapshot'), 0, 'the leader had to send none');
  t.ok(b.consensus.stats().snapshotIndex >= 500, 'its log begins where the feed left it');

  await a.consensus.change({ type: 'addVoter', id: 'b' });
  await until('two voters', () => b.consensus.stats().voters.length === 2);
  await write(a, 600, 700);
  await a.consensus.transferLeadership('b');
  await until('b to lead', () => b.consensus.isLeader);
  await write(b, 700, 800);
  await same(b, a);
  t.equal(a.fsm.hash, b.fsm.hash);
  t.equal(a.chain.digestText, b.chain.digestText);
});

t.test('put out of the group it goes on by the feed, over a restart too, and may come in again', async (t) => {
  const [a, b] = (await start(t, 'ab')) as [FeedServer, FeedServer];
  await a.consensus.change({ type: 'addLearner', id: 'b' });
  await write(a, 0, 100);
  await same(a, b);
  await a.consensus.change({ type: 'remove', id: 'b' });
  await write(a, 100, 200);
  await until('it to find that it is outside', () => b.consensus.isOutside, 60_000);
  await same(a, b);
  t.equal(b.fsm.hash, a.fsm.hash);

  await b.close();
  await write(a, 200, 300);
  await b.start(false);
  await same(a, b);
  t.equal(b.fsm.hash, a.fsm.hash);

  await a.consensus.change({ type: 'addLearner', id: 'b' });
  await until('it to be in', () => !b.consensus.isOutside && b.consensus.membership().learners.includes('b'));
  await write(a, 300, 400);
  await same(a, b);
  t.equal(b.fsm.hash, a.fsm.hash);
});

t.test('when another leads, its feed is followed', async (t) => {
  const [a, b, c] = (await start(t, 'abc')) as [FeedServer, FeedServer, FeedServer];
  await a.consensus.change({ type: 'addLearner', id: 'b' });
  await a.consensus.change({ type: 'addVoter', id: 'b' });
  await write(a, 0, 100);
  await same(a, c);
  await until('b to publish too', () => b.part.stats().published?.segment === 1);
  // On a slow machine it may lose the lead again, with writes under way.
  const leads = async (): Promise<boolean> => {
    if (!b.consensus.isLeader) await a.consensus.transferLeadership('b').catch(() => {});
    return b.consensus.isLeader;
  };
  await until('b to lead and to take writes', async () => {
    return (
      (await leads()) &&
      (await write(b, 100, 200).then(
        () => true,
        () => false,
      ))
    );
  });
  await until('c to follow it', async () => {
    const { following } = c.part.stats();
    return (await leads()) && following?.kind === 'following' && following.node === 'b';
  });
  await same(b, c);
  t.equal(c.fsm.hash, b.fsm.hash);
  t.equal(c.said('differs'), 0);
  t.equal(c.said('restored'), 1, 'at the same index, without a snapshot');
});

t.test('when nobody asks any more the feed ends, and begins again for the next who does', async (t) => {
  const [a, b] = (await start(t, 'ab')) as [FeedServer, FeedServer];
  await write(a, 0, 50);
  await same(a, b);
  await b.close();
  await until('the feed to end', () => a.part.stats().published === null);
  await write(a, 50, 100);
  await b.start(false);
  await same(a, b);
  t.equal(b.fsm.hash, a.fsm.hash);
  t.equal(a.said('publishes no more'), 1);
});

/** Writes garbage over the middle of every file of a store that is of this kind; returns how many there were. */
function spoil({ folder }: FeedServer, kind: string): number {
  const db = join(folder, 'cores', 'db');
  const names = readdirSync(db).filter((name) => name.endsWith(`.${kind}`));
  for (const name of names) {
    const { size } = statSync(join(db, name));
    const file = openSync(join(db, name), 'r+');
    writeSync(file, Buffer.alloc(size >> 1, 0xa5), 0, undefined, size >> 2);
    closeSync(file);
  }
  return names.length;
}

for (const [kind, words] of [
  ['sst', 'the store of cores is damaged and begun anew'],
  ['blob', 'what is here of the state feed is damaged'],
] as const) {
  t.test(`garbage in the ${kind} files of what a server has of the feed is noticed, and it begins again`, async (t) => {
    const [a, b] = (await start(t, 'ab')) as [FeedServer, FeedServer];
    await write(a, 0, 300);
    await same(a, b);
    // What the store has in its log it writes into such files when it is opened again.
    await b.close();
    await b.start(false);
    await same(a, b);
    await b.close();
    t.ok(spoil(b, kind) > 0);
    await b.start(false);
    await same(a, b);
    await write(a, 300, 400);
    await same(a, b);
    t.equal(b.fsm.hash, a.fsm.hash);
    t.equal(b.chain.digestText, a.chain.digestText);
    t.equal(b.said(words), 1, words);
  });
}

t.test('an outsider says who leads and how old its state is, and can read what was just written', async (t) => {
  const [a, b] = (await start(t, 'ab')) as [FeedServer, FeedServer];
  await write(a, 0, 100);
  await same(a, b);
  await until('the leader to be known', () => b.consensus.leader === 'a');
  await until('it to be in touch', () => b.consensus.lastContactMs() < 1000);
  await write(a, 100, 200);
  const index = await b.consensus.readIndex();
  t.ok(index >= a.chain.index && b.chain.index >= index, 'a read index is waited for');
  t.equal(b.fsm.hash, a.fsm.hash);
  await a.close();
  await until('nobody to lead', () => b.consensus.leader === '', 60_000);
  const before = b.consensus.lastContactMs();
  await until('its state to grow old', () => b.consensus.lastContactMs() > before + 500);
  await t.rejects(b.consensus.readIndex(), { code: 'E_NO_LEADER' });
});

t.test('nobody who is alone publishes anything', async (t) => {
  const [a] = (await start(t, 'a')) as [FeedServer];
  await write(a, 0, 100);
  t.equal(a.part.stats().published, null);
});
