import t from 'tap';
import type { SnapshotMeta, SnapshotStore } from '../../lib/raft/index.js';
import { memorySnapshots, openSnapshots } from '../../lib/storage/index.js';
import type { MeshError } from '../../lib/structs/errors.js';
import { seededRandom } from '../../lib/util/random.js';
import { FaultyDisk } from './faulty-disk.js';

const FOLDER = '/snapshots';
const meta = (index: number, term = 1): SnapshotMeta => ({ index, term, membership: { voters: ['a'], learners: [] } });

async function* pieces(...texts: string[]): AsyncIterable<Uint8Array> {
  for (const text of texts) yield new TextEncoder().encode(text);
}

async function read(store: SnapshotStore, at: SnapshotMeta): Promise<string> {
  let text = '';
  for await (const chunk of store.open(at)) text += new TextDecoder().decode(chunk);
  return text;
}

t.test('the newest two are kept, whole, with what they stand for', async (t) => {
  const disk = new FaultyDisk();
  const store = openSnapshots(FOLDER, { disk });
  t.equal(store.latest(), null);
  await store.save(meta(5), pieces('one'));
  await store.save(meta(9), pieces('two', '', '-', 'x'.repeat(700_000)));
  await store.save(meta(12, 3), pieces());
  const again = openSnapshots(FOLDER, { disk });
  t.same(again.list(), [meta(12, 3), meta(9)]);
  t.same(again.latest(), meta(12, 3));
  t.equal(await read(again, meta(9)), `two-${'x'.repeat(700_000)}`);
  t.equal(await read(again, meta(12, 3)), '');
  t.ok(again.bytes(meta(9)) > 700_000);
  await t.rejects(read(again, meta(5)), { code: 'E_STORAGE' });
  t.equal(disk.paths().length, 2);
});

t.test('others have the thread between the pieces that are written, and those that are read', async (t) => {
  const disk = new FaultyDisk();
  const store = openSnapshots(FOLDER, { disk });
  const PIECES = 8;
  let turns = 0;
  let isCounting = true;
  const count = (): void => {
    turns++;
    if (isCounting) setImmediate(count);
  };
  setImmediate(count);
  await store.save(meta(5), pieces(...Array.from({ length: PIECES }, (_, i) => String(i).repeat(70_000))));
  t.ok(turns >= PIECES - 1, `${turns} turns`);
  turns = 0;
  let most = 0;
  for await (const chunk of store.open(meta(5))) {
    most = Math.max(most, chunk.length);
  }
  isCounting = false;
  t.ok(turns >= PIECES - 1, `${turns} turns`);
  t.equal(most, 70_000, 'no more at once than was written');
});

t.test('in memory the newest is kept', async (t) => {
  const store = memorySnapshots();
  t.equal(store.latest(), null);
  await store.save(meta(5), pieces('on', 'e'));
  t.equal(await read(store, meta(5)), 'one');
  t.same(store.list(), [meta(5)]);
  t.equal(store.bytes(meta(5)), 3);
  await t.rejects(read(store, meta(4)), { code: 'E_STORAGE' });
});

t.test('every flipped bit is found, in the head when opened, else while it is read', async (t) => {
  const disk = new FaultyDisk();
  await openSnapshots(FOLDER, { disk }).save(meta(5), pieces('some state'));
  const path = disk.paths()[0] ?? '';
  for (let at = 0; at < disk.bytes(path).length; at++) {
    const bytes = disk.bytes(path);
    bytes[at] = (bytes[at] as number) ^ 4;
    const heard: MeshError[] = [];
    try {
      const store = openSnapshots(FOLDER, { disk, onDamaged: (error) => heard.push(error) });
      if (store.latest() === null) t.match(heard, [{ code: 'E_STORAGE' }], `byte ${at} of the head`);
      else await t.rejects(read(store, meta(5)), { code: 'E_STORAGE' }, `byte ${at}`);
    } catch (error) {
      t.match(error, { code: 'E_NOT_SUPPORTED' }, `byte ${at} is the version`);
    }
    bytes[at] = (bytes[at] as number) ^ 4;
  }
});

t.test('a snapshot whose file is cut short is no snapshot', async (t) => {
  const disk = new FaultyDisk();
  const store = openSnapshots(FOLDER, { disk });
  await store.save(meta(5), pieces('x'.repeat(300_000), 'y'.repeat(10)));
  const whole = disk.bytes(disk.paths()[0] ?? '').slice();
  for (const cut of [whole.length - 1, whole.length - 9, 300_000, 200]) {
    const file = disk.open(disk.paths()[0] ?? '', 'create');
    file.write(whole.subarray(0, cut), 0);
    await t.rejects(read(store, meta(5)), { code: 'E_STORAGE' }, `cut to ${cut}`);
  }
});

t.test('on a full disk the unfinished one is removed and the old ones stay', async (t) => {
  const disk = new FaultyDisk();
  const store = openSnapshots(FOLDER, { disk });
  await store.save(meta(5), pieces('old'));
  disk.capacity = 100_000;
  await t.rejects(store.save(meta(9), pieces('x'.repeat(500_000))), { code: 'E_STORAGE', message: /the disk is full/ });
  t.equal(disk.paths().length, 1);
  t.equal(await read(store, meta(5)), 'old');
});

t.test('whenever the power goes, a snapshot is whole or not there, and the one before it still is', async (t) => {
  for (let seed = 1; seed <= 300; seed++) {
    const disk = new FaultyDisk();
    const store = openSnapshots(FOLDER, { disk });
    await store.save(meta(5), pieces('old'));
    disk.operationsLeft = seed % 12;
    await store.save(meta(9), pieces('new', 'er')).catch(() => {});
    disk.crash(seededRandom(seed));
    const again = openSnapshots(FOLDER, { disk });
    const texts = await Promise.all(again.list().map((at) => read(again, at)));
    if (!['old', 'newer,old'].includes(texts.join())) t.fail(`seed=${seed}: ${texts}`);
  }
});
