import { mkdtempSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import t from 'tap';
import { Ballast } from '../../lib/storage/index.js';

t.test('room is laid aside whole, once, and kept while the disk has room', (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'ballast-test-'));
  t.teardown(() => rmSync(folder, { recursive: true, force: true }));
  const ballast = new Ballast(folder);
  t.equal(ballast.giveUp(), false, 'nothing to give up');
  ballast.fill();
  const { size, blocks, mtimeMs } = statSync(join(folder, 'ballast'));
  t.equal(size, 2 << 20);
  t.ok(blocks * 512 >= size, 'its room is taken on the disk');
  ballast.fill();
  t.equal(statSync(join(folder, 'ballast')).mtimeMs, mtimeMs);
  t.equal(ballast.giveUp(), false, 'there is room');
  t.equal(statSync(join(folder, 'ballast')).size, 2 << 20);
  t.end();
});
