import t from 'tap';
import { DurableSide } from '../../lib/server/consensus-durable.js';
import { checkStores, openStores, restoreSnapshot } from '../../lib/server/consensus-stores.js';
import type { Disk } from '../../lib/storage/index.js';
import { EntryChain } from '../../lib/storage/index.js';
import { silentLog } from '../../lib/util/log.js';
import { seededRandom } from '../../lib/util/random.js';
import { FaultyDisk } from '../storage/faulty-disk.js';
import { createLedger } from './ledger.js';

const MEMBERS = { voters: ['a', 'b', 'c'], learners: [] };
const SNAPSHOT = { index: 10, term: 5, membership: MEMBERS };
const VOTE = { term: 5, vote: '', commit: 10 };

/** The disk as stores see it; only the lock is none. */
function unlocked(disk: FaultyDisk): Disk {
  return {
    makeDir: () => disk.makeDir(),
    list: (path) => disk.list(path),
    open: (path, mode) => disk.open(path, mode),
    rename: (from, to) => disk.rename(from, to),
    remove: (path) => disk.remove(path),
    syncDir: (path) => disk.syncDir(path),
    lock: () => ({ release() {} }),
  };
}

async function* rows(...indexes: number[]): AsyncIterable<Uint8Array> {
  for (const index of indexes) yield Buffer.from(`${JSON.stringify({ index, value: `v${index}` })}\n`);
}

/** A follower of term 1 with entries of its own, and a leader's snapshot that has arrived. */
async function follower(disk: FaultyDisk, logged: number) {
  const stores = await openStores({ dataDir: '/data', disk: unlocked(disk), segmentBytes: 1024, log: silentLog });
  if (stores.log.lastIndex() === 0) {
    await stores.stable.save({ term: 1, vote: '', commit: 0 });
    const entries = Array.from({ length: logged }, (_, i) => ({
      index: i + 1,
      term: 1,
      type: 'noop' as const,
      data: new Uint8Array(20),
    }));
    await stores.log.append(entries);
  }
  return stores;
}

// The log may end before the snapshot, or go on beyond it with entries that nobody else has.
for (const logged of [4, 15]) {
  t.test(`a power failure at any moment of taking a snapshot over, the log ending at ${logged}`, async (t) => {
    let installed = 0;
    for (let operations = 0; operations < 40; operations++) {
      const disk = new FaultyDisk();
      const stores = await follower(disk, logged);
      await stores.snapshots.save(SNAPSHOT, rows(3, 9));
      disk.operationsLeft = operations;
      const fsm = createLedger();
      const durable = new DurableSide({ chain: new EntryChain(), stores, fsm, now: () => 0, log: silentLog });
      const isWhole = await durable.install(SNAPSHOT, VOTE).then(
        () => true,
        () => false,
      );
      if (isWhole) {
        installed++;
        t.match(stores.stable.load(), { term: 5 }, 'the term is durable before the log is of it');
        t.same([stores.log.firstIndex(), stores.log.lastIndex(), stores.log.term(10)], [11, 10, 5]);
      }
      disk.crash(seededRandom(operations));
      const again = await openStores({ dataDir: '/data', disk: unlocked(disk), segmentBytes: 1024, log: silentLog });
      const state = createLedger();
      t.match(await restoreSnapshot(again, state, silentLog), { index: 10 }, 'what arrived is not lost');
      t.same(
        state.rows.map(({ index }) => index),
        [3, 9],
      );
      t.doesNotThrow(() => checkStores(again), `after ${operations} operations it starts`);
      t.same([again.log.firstIndex(), again.log.lastIndex()], [11, 10], 'the log goes on after the snapshot');
    }
    t.ok(installed > 10 && installed < 35, `${installed} were whole`);
  });
}

t.test('a refusal while a snapshot is taken over is repaired by beginning anew at it', async (t) => {
  for (let operations = 0; operations < 12; operations++) {
    const disk = new FaultyDisk();
    const stores = await follower(disk, 15);
    await stores.snapshots.save(SNAPSHOT, rows(3));
    const fsm = createLedger();
    const durable = new DurableSide({ chain: new EntryChain(), stores, fsm, now: () => 0, log: silentLog });
    disk.operationsLeft = operations;
    const error = await durable.install(SNAPSHOT, VOTE).catch((cause: unknown) => cause);
    disk.operationsLeft = Number.POSITIVE_INFINITY;
    if (error === undefined) break;
    t.match(error, { code: 'E_STORAGE' });
    t.match(await durable.repair(), { index: 10 });
    t.same([fsm.rows.length, stores.log.firstIndex(), stores.log.lastIndex()], [1, 11, 10]);
    t.match(stores.stable.load(), { term: 5 });
  }
});
