// What is let go of a core leaves its neighbours provable: whoever has not copied them yet still can.
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Duplex, PassThrough } from 'node:stream';
import t from 'tap';
import { openCores } from '../../lib/storage/cores.js';
import { silentLog } from '../../lib/util/log.js';

t.test('blocks beside those that were let go are copied by who comes later', { timeout: 60_000 }, async (t) => {
  const dir = mkdtempSync(join(tmpdir(), 'cores-clear-'));
  const [near, far] = [
    await openCores(join(dir, 'a'), { log: silentLog }),
    await openCores(join(dir, 'b'), { log: silentLog }),
  ];
  t.teardown(async () => {
    await Promise.all([near.close(), far.close()]);
    rmSync(dir, { recursive: true });
  });
  const core = await near.own('x', null);
  for (let block = 0; block < 40; block++) await core.append([Buffer.alloc(100, block)]);
  await Promise.all([core.clear(5, 9), core.clear(13, 14), core.clear(21, 38)]);
  const copy = await far.other(core.key, null);
  const [up, down] = [new PassThrough(), new PassThrough()];
  near.replicate(Duplex.from({ readable: up, writable: down }), 'answers');
  far.replicate(Duplex.from({ readable: down, writable: up }), 'asks');
  for (let block = 0; block < 40; block++) {
    if (await core.has(block)) t.equal((await copy.get(block))[0], block, `block ${block}`);
  }
});
