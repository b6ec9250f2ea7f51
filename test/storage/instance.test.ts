import { cpSync, mkdtempSync, renameSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import t from 'tap';
import { openInstance } from '../../lib/storage/index.js';
import type { MeshError } from '../../lib/structs/errors.js';
import { seededRandom } from '../../lib/util/random.js';
import { FaultyDisk } from './faulty-disk.js';

const MINE = { id: 'one', instance: '0123456789abcdef', starts: 3, admitted: true, epoch: 1, abandoned: false };

t.test('what was saved is there after a power failure, the old or the new whatever the moment', async (t) => {
  for (let operations = 0; operations < 12; operations++) {
    const disk = new FaultyDisk();
    const store = openInstance('/data', { disk });
    t.equal(store.load(), null);
    await store.save(MINE);
    disk.operationsLeft = operations;
    const isSaved = await store.save({ ...MINE, starts: 4 }).then(
      () => true,
      () => false,
    );
    disk.crash(seededRandom(operations));
    const kept = openInstance('/data', { disk }).load();
    t.ok(kept?.starts === 4 || (!isSaved && kept?.starts === 3), `after ${operations} operations: ${kept?.starts}`);
    t.strictSame(kept, { ...MINE, starts: kept?.starts });
  }
});

t.test('a folder that was copied shows, one that was renamed or opened again does not', async (t) => {
  const parent = mkdtempSync(join(tmpdir(), 'meshnomad-instance-'));
  t.teardown(() => rmSync(parent, { recursive: true, force: true }));
  const folder = join(parent, 'first');
  await openInstance(folder).save(MINE);
  t.equal(openInstance(folder).moved, false);
  cpSync(folder, join(parent, 'copy'), { recursive: true });
  t.equal(openInstance(join(parent, 'copy')).moved, true);
  t.strictSame(openInstance(join(parent, 'copy')).load(), MINE);
  renameSync(folder, join(parent, 'renamed'));
  t.equal(openInstance(join(parent, 'renamed')).moved, false);
  const copied = openInstance(join(parent, 'copy'));
  await copied.save(MINE);
  t.equal(openInstance(join(parent, 'copy')).moved, false, 'its new place is its place');
});

t.test('a damaged file, or one of another version, is refused', async (t) => {
  const disk = new FaultyDisk();
  await openInstance('/data', { disk }).save(MINE);
  const bytes = disk.bytes('/data/instance.json');
  const text = new TextDecoder().decode(bytes);
  bytes.set(new TextEncoder().encode(text.replace('"format":1', '"format":2')));
  t.throws(() => openInstance('/data', { disk }), { code: 'E_NOT_SUPPORTED', message: /format version 2/ });
  bytes.fill(0x20);
  t.throws(() => openInstance('/data', { disk }), { code: 'E_STORAGE', message: /instance.json is damaged/ });
});

t.test('no bit that flips in it makes this server somebody else', async (t) => {
  const disk = new FaultyDisk();
  await openInstance('/data', { disk }).save(MINE);
  const bytes = disk.bytes('/data/instance.json');
  let refused = 0;
  for (let bit = 0; bit < 8 * bytes.length; bit++) {
    const at = bit >> 3;
    const before = bytes[at] as number;
    bytes[at] = before ^ (1 << (bit & 7));
    try {
      const read = JSON.stringify(openInstance('/data', { disk }).load());
      if (read !== JSON.stringify(MINE)) t.fail(`bit ${bit}: ${read}`);
    } catch (error) {
      if (!['E_STORAGE', 'E_NOT_SUPPORTED'].includes((error as MeshError).code)) throw error;
      refused++;
    }
    bytes[at] = before;
  }
  t.ok(refused > 4 * bytes.length, `${refused} of ${8 * bytes.length} were seen`);
});
