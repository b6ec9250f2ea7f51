import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import t, { type Test as TapTest } from 'tap';
import { createAddressBook } from '../../lib/transport/mesh/address-book.js';
import { silentLog } from '../../lib/util/log.js';
import { createSimulatedClock } from '../support/simulated-clock.js';

function folderOf(t: TapTest): string {
  const folder = mkdtempSync(join(tmpdir(), 'meshnomad-book-'));
  t.teardown(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}

const KEY = 'a'.repeat(64);
const at = (n: number) => ({ host: `10.0.0.${n}`, port: 49_737 });

t.test('addresses are found again after a restart, the latest first, a few a member', async (t) => {
  const path = join(folderOf(t), 'mesh', 'addresses');
  const clock = createSimulatedClock();
  const book = createAddressBook({ path, clock, log: silentLog });
  for (let n = 1; n <= 12; n++) book.add(KEY, [at(n)]);
  book.add(KEY, [{ host: 'fe80::1', port: 1 }, at(12)]);
  await clock.advance(3_000);
  const again = createAddressBook({ path, clock, log: silentLog });
  t.same(again.find(KEY), [{ host: 'fe80::1', port: 1 }, at(12), at(11), at(10), at(9), at(8), at(7), at(6)]);
  t.same(again.find('b'.repeat(64)), []);
});

t.test('what is not yet on disk is written at the end; nothing new is not written', async (t) => {
  const path = join(folderOf(t), 'addresses');
  const clock = createSimulatedClock();
  const book = createAddressBook({ path, clock, log: silentLog });
  book.add(KEY, [at(1)]);
  book.close();
  t.equal(readFileSync(path, 'utf8'), `${KEY} 10.0.0.1:49737\n`);
  writeFileSync(path, '');
  book.add(KEY, [at(1)]);
  await clock.advance(5_000);
  t.equal(readFileSync(path, 'utf8'), '');
});

t.test('a damaged book is read as far as it makes sense, and an unwritable one is no reason to stop', async (t) => {
  const path = join(folderOf(t), 'addresses');
  writeFileSync(path, `rubbish\n${KEY} 10.0.0.1:49737 nonsense:99999999 :0\n${'\0'.repeat(99)}`);
  const clock = createSimulatedClock();
  t.same(createAddressBook({ path, clock, log: silentLog }).find(KEY), [at(1)]);
  const book = createAddressBook({ path: join(path, 'below-a-file', 'addresses'), clock, log: silentLog });
  book.add(KEY, [at(2)]);
  book.close();
  t.same(book.find(KEY), [at(2)]);
});
