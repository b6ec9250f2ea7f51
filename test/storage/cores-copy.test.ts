// What is copied from core to core.
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Duplex, PassThrough } from 'node:stream';
import t, { type Test } from 'tap';
import { type Cores, openCores } from '../../lib/storage/cores.js';
import { silentLog } from '../../lib/util/log.js';

/** Two stores on one machine. */
async function stores(t: Test): Promise<[Cores, Cores]> {
  const dir = mkdtempSync(join(tmpdir(), 'cores-copy-'));
  const [near, far] = [
    await openCores(join(dir, 'a'), { log: silentLog }),
    await openCores(join(dir, 'b'), { log: silentLog }),
  ];
  t.teardown(async () => {
    await Promise.all([near.close(), far.close()]);
    rmSync(dir, { recursive: true });
  });
  return [near, far];
}

/** Both ends of a cable. */
function cable(): [Duplex, Duplex] {
  const [up, down] = [new PassThrough(), new PassThrough()];
  return [Duplex.from({ readable: up, writable: down }), Duplex.from({ readable: down, writable: up })];
}

t.test('blocks beside those that were let go are copied by who comes later', { timeout: 60_000 }, async (t) => {
  const [near, far] = await stores(t);
  const core = await near.own('x', null);
  for (let block = 0; block < 40; block++) await core.append([Buffer.alloc(100, block)]);
  await Promise.all([core.clear(5, 9), core.clear(13, 14), core.clear(21, 38)]);
  const copy = await far.other(core.key, null);
  const [here, there] = cable();
  near.replicate(here, 'answers');
  far.replicate(there, 'asks');
  for (let block = 0; block < 40; block++) {
    if (await core.has(block)) t.equal((await copy.get(block))[0], block, `block ${block}`);
  }
});

t.test('a core that is copied alone brings nothing of others along', { timeout: 60_000 }, async (t) => {
  const [near, far] = await stores(t);
  const [other, core] = [await near.own('other', null), await near.own('core', null)];
  for (let block = 0; block < 40; block++)
    await Promise.all([core.append([Buffer.from('a')]), other.append([Buffer.from('b')])]);
  const [copyOfOther, copy] = [await far.other(other.key, null), await far.other(core.key, null)];
  const [here, there] = cable();
  core.replicate(here, 'answers');
  copy.replicate(there, 'asks');
  copyOfOther.get(0).catch(() => {});
  for (let block = 0; block < 40; block++) t.equal(String(await copy.get(block)), 'a');
  t.equal(copyOfOther.length, 0);
});
