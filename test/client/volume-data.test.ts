import { execFileSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import {
  cpSync,
  existsSync,
  linkSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import t from 'tap';
import { openCores } from '../../lib/storage/cores.js';
import type { WrittenSnapshot } from '../../lib/structs/volume-data.js';
import { byteStream } from '../../lib/transport/byte-stream.js';
import { coreToken } from '../../lib/transport/core-token.js';
import { messagePair } from '../../lib/transport/local.js';
import { silentLog } from '../../lib/util/log.js';
import { CONTEXT, FakeNode, fill, KEY, Nodes, OP, treeOf } from './volume-data-nodes.js';

t.test('a volume comes back as it was: in its place, and on a node that never had it', async (t) => {
  const nodes = new Nodes(t);
  const [a, b] = [await nodes.start('a'), await nodes.start('b')];
  const dir = await a.create('db');
  fill(dir);
  const before = treeOf(dir);
  const snapshot = await a.backUp();
  t.match(snapshot, { Files: 7, Skipped: 0, Changed: 0 });

  rmSync(join(dir, 'big'));
  writeFileSync(join(dir, 'later'), 'x');
  await a.done({
    Kind: 'restore',
    ID: OP(2),
    Key: KEY,
    Snapshot: snapshot,
    Holders: [],
    Volume: a.volume({ Replaces: true }),
  });
  t.strictSame(treeOf(dir), before, 'in its place');
  t.ok(statSync(join(dir, 'sparse')).blocks < 1000, 'holes stay holes');
  t.strictSame(readdirSync(join(a.dir, 'volumes')), [OP(1)], 'nothing is left beside it');

  const Holders = [a.holder(snapshot.Core, 'b')];
  const { HostPath = '' } = await b.done({
    Kind: 'restore',
    ID: OP(3),
    Key: KEY,
    Snapshot: snapshot,
    Holders,
    Volume: b.volume(),
  });
  t.strictSame(treeOf(HostPath), before, 'elsewhere');
  t.match(b.volumes.offered, { db: { ID: OP(1), Path: HostPath } });
});

const ACL = '0x0200000001000600ffffffff02000600e803000004000400ffffffff10000600ffffffff20000400ffffffff';

t.test('extended attributes come back: of users, ACLs, capabilities of programs', async (t) => {
  const nodes = new Nodes(t);
  const [a, b] = [await nodes.start('a'), await nodes.start('b')];
  const dir = await a.create('db');
  const odd = 'a b=\n"#\\';
  mkdirSync(join(dir, 'sub'));
  for (const name of ['plain', 'program', `sub/${odd}`]) writeFileSync(join(dir, name), name);
  writeFileSync(Buffer.concat([Buffer.from(`${dir}/caf`), Buffer.of(0xe9)]), 'no UTF-8');
  const set = (path: string, name: string, value: string): void => {
    execFileSync('setfattr', ['-h', '-n', name, '-v', value, path]);
  };
  set(dir, 'user.of-the-volume', '0x00ff');
  set(join(dir, 'sub', odd), 'user.a=b c', 'x\ny');
  set(join(dir, 'sub'), 'user.empty', '');
  const isRoot = process.getuid?.() === 0;
  // Read by uid 1000, whatever the mode says; cap_net_raw.
  set(join(dir, 'plain'), 'system.posix_acl_access', ACL);
  if (isRoot) set(join(dir, 'program'), 'security.capability', '0x0100000200200000000000000000000000000000');
  linkSync(join(dir, 'program'), join(dir, 'twin'));
  const attributes = (path: string): string =>
    execFileSync('sh', ['-c', 'getfattr -R -P -h -d -m - -e hex . | sort'], { cwd: path, encoding: 'latin1' });
  const before = attributes(dir);
  t.equal(before.match(/=0x/g)?.length, isRoot ? 6 : 4);
  const first = await a.backUp();
  t.strictSame(first.Notes, []);
  set(join(dir, 'plain'), 'user.later', 'x');
  const second = await a.backUp(first);
  const restored = async (id: number, snapshot: WrittenSnapshot): Promise<string> => {
    const Holders = [a.holder(snapshot.Core, 'b')];
    const Volume = b.volume({ ID: OP(id + 10), Name: `db${id}` });
    const order = { Kind: 'restore' as const, ID: OP(id), Key: KEY, Snapshot: snapshot, Holders, Volume };
    return attributes((await b.done(order)).HostPath ?? '');
  };
  t.equal(await restored(7, first), before);
  t.equal(await restored(8, second), attributes(dir), 'what was changed of a file whose content was not');
});

t.test('what did not change is not stored again, wherever in a file the change is', async (t) => {
  const a = await new Nodes(t).start('a');
  const dir = await a.create('db');
  const content = randomBytes(8_000_000);
  writeFileSync(join(dir, 'big'), content);
  writeFileSync(join(dir, 'other'), randomBytes(2_000_000));
  const first = await a.backUp();
  t.ok(first.NewBytes >= 10_000_000 && first.NewBytes < 10_100_000);
  const same = await a.backUp(first);
  // A block with little in it is packed anew with what comes, so that it can be let go: 64 KiB at most.
  t.ok(same.StoredBytes < 70_000, `nothing changed: ${same.NewBytes}, ${same.StoredBytes}`);
  writeFileSync(
    join(dir, 'big'),
    Buffer.concat([content.subarray(0, 4_000_000), Buffer.from('+'), content.subarray(4_000_000)]),
  );
  const shifted = await a.backUp(same);
  t.ok(shifted.NewBytes < 1_100_000, `a byte was put in between: ${shifted.NewBytes}`);
  t.equal(shifted.Core, first.Core);
});

t.test('a core is gone on with only where nobody can have blocks of it that are not here any more', async (t) => {
  const nodes = new Nodes(t);
  let a = await nodes.start('a');
  writeFileSync(join(await a.create('db'), 'rows'), randomBytes(100_000));
  const archives = join(a.dir, 'archives');
  const file = join(archives, 'archive-archive.json');
  let last = await a.backUp();
  const again = async (change: () => void): Promise<{ isSame: boolean }> => {
    await a.data.close();
    change();
    a = await nodes.start('a');
    const before = last;
    last = await a.backUp(before);
    return { isSame: last.Core === before.Core };
  };
  const record = (changes: object) => () =>
    writeFileSync(file, JSON.stringify({ ...JSON.parse(readFileSync(file, 'utf8')), ...changes }));
  const boot = readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim();
  const copied = (): void => {
    cpSync(archives, `${archives}.copy`, { recursive: true });
    renameSync(archives, `${archives}.old`);
    renameSync(`${archives}.copy`, archives);
  };
  t.ok((await again(() => {})).isSame, 'all was synced');
  t.ok((await again(record({ busyBoot: boot }))).isSame, 'the agent was killed: what it wrote is with the kernel');
  t.notOk((await again(record({ busyBoot: 'another' }))).isSame, 'the machine was cut off while something was written');
  t.ok((await again(() => {})).isSame);
  t.notOk((await again(copied)).isSame, 'a copy of the data was put in its place');
  t.notOk((await again(record({ length: 10_000 }))).isSame, 'blocks are missing');
  t.ok((await again(() => {})).isSame);
});

/** Corestore closes what nobody has open for eight seconds. */
const LONGER_THAN_OPEN_MS = 11_000;

t.test('whoever copies slowly gets all of it', { timeout: 60_000 }, async (t) => {
  const nodes = new Nodes(t);
  const a = await nodes.start('a');
  writeFileSync(join(await a.create('db'), 'rows'), randomBytes(2_000_000));
  const { Core, Length } = await a.backUp();
  const cores = await openCores(join(nodes.dir, 'slow'), { log: silentLog });
  const [near, far] = messagePair();
  const { Token } = a.holder(Core, 'slow');
  a.data.streamHandlers()['VolumeData.Replicate']?.({ NodeID: 'a', Asker: 'slow', Core, Token }, far, CONTEXT);
  cores.replicate(byteStream(near), 'asks');
  const copy = await cores.other(Buffer.from(Core, 'hex'), null);
  await copy.get(0);
  await sleep(LONGER_THAN_OPEN_MS);
  const late = Array.from({ length: Length - 1 }, (_, i) => copy.get(i + 1));
  const all = await Promise.race([Promise.all(late), sleep(30_000, null, { ref: false })]);
  t.equal(all?.length, Length - 1);
  near.destroy();
  await cores.close();
});

t.test('a copy is made by those with the right to it, and says nothing to who has it', async (t) => {
  const nodes = new Nodes(t);
  const [a, b, c] = [await nodes.start('a'), await nodes.start('b'), await nodes.start('c')];
  const dir = await a.create('db');
  writeFileSync(join(dir, 'secret'), 'PLAINTEXT-MARKER '.repeat(5000));
  const snapshot = await a.backUp();
  const { Core, Length } = snapshot;
  const { Ranges = [] } = await a.done({ Kind: 'list', Core, Length });
  t.strictSame(Ranges, [[0, Length]]);
  await b.done({ Kind: 'hold', Core, Ranges, Holders: [a.holder(Core, 'b')] });
  t.strictSame((await b.done({ Kind: 'list', Core, Length })).Ranges, [[0, Length]]);
  t.match(
    await c.ask({ Kind: 'list', Core, Length }),
    { State: 'failed', Code: 'E_NOT_FOUND' },
    'one without it says so',
  );

  // The node that wrote it is lost.
  await a.data.close();
  nodes.all.delete('a');
  rmSync(a.dir, { recursive: true });
  const bytes = readdirSync(join(b.dir, 'archives', 'cores', 'db')).map((name) =>
    readFileSync(join(b.dir, 'archives', 'cores', 'db', name)).toString('latin1'),
  );
  t.notOk(
    bytes.some((text) => text.includes('PLAINTEXT-MARKER')),
    'no content in clear',
  );
  t.notOk(
    bytes.some((text) => text.includes('secret')),
    'and no name',
  );

  const order = { Kind: 'restore' as const, Snapshot: snapshot, Holders: [b.holder(Core, 'c')], Volume: c.volume() };
  const other = randomBytes(32).toString('base64');
  t.match(await c.ask({ ...order, ID: OP(4), Key: other }), { State: 'failed', Message: /damaged or not ours/ });
  t.strictSame(readdirSync(join(c.dir, 'volumes')), [], 'and nothing is left of the attempt');
  const { HostPath = '' } = await c.done({ ...order, ID: OP(5), Key: KEY });
  t.equal(readFileSync(join(HostPath, 'secret'), 'utf8'), 'PLAINTEXT-MARKER '.repeat(5000));
});

t.test('who is not answered asks again', { timeout: 60_000 }, async (t) => {
  const nodes = new Nodes(t);
  const [a, b] = [await nodes.start('a'), await nodes.start('b')];
  writeFileSync(join(await a.create('db'), 'rows'), 'one');
  const { Core, Length } = await a.backUp();
  nodes.unheard = 1;
  await b.done({ Kind: 'hold', Core, Ranges: [[0, Length]], Holders: [a.holder(Core, 'b')] });
  t.strictSame((await b.done({ Kind: 'list', Core, Length })).Ranges, [[0, Length]]);
});

t.test('nobody copies a core without a token for it', async (t) => {
  const nodes = new Nodes(t);
  const [a] = [await nodes.start('a'), await nodes.start('b')];
  const [near, far] = messagePair();
  const heard = new Promise((resolve) => near.once('error', resolve));
  far.on('error', () => {});
  const args = { NodeID: 'a', Asker: 'b', Core: 'ab'.repeat(32), Token: coreToken('another', 'ab'.repeat(32), 'b') };
  a.data.streamHandlers()['VolumeData.Replicate']?.(args, far, CONTEXT);
  t.match(await heard, { code: 'E_PERMISSION_DENIED' });
});

t.test('what is let go gives its place back; what later backups need stays', async (t) => {
  const a = await new Nodes(t).start('a');
  const dir = await a.create('db');
  writeFileSync(join(dir, 'stays'), randomBytes(1_000_000));
  writeFileSync(join(dir, 'goes'), randomBytes(8_000_000));
  const first = await a.backUp();
  rmSync(join(dir, 'goes'));
  const second = await a.backUp(first);
  const { Core, Length } = second;
  const stale = await a.ask({ Kind: 'prune', Key: KEY, Core, Length: first.Length, Snapshots: [first] });
  t.match(stale, { State: 'failed', Code: 'E_CONFLICT' }, 'who does not know of the newest prunes nothing');
  const stored = (): number => {
    const db = join(a.dir, 'archives', 'cores', 'db');
    return readdirSync(db).reduce((sum, name) => sum + statSync(join(db, name)).size, 0);
  };
  const before = stored();
  const { Ranges = [] } = await a.done({ Kind: 'prune', Key: KEY, Core, Length, Snapshots: [second] });
  t.ok(stored() < before - 7_000_000, `${before} bytes on the disk became ${stored()}`);
  const left = Ranges.reduce((sum, [start, end]) => sum + end - start, 0);
  t.ok(left < Length / 2, `${left} of ${Length} blocks are left`);
  await a.done({
    Kind: 'restore',
    ID: OP(6),
    Key: KEY,
    Snapshot: second,
    Holders: [],
    Volume: a.volume({ Replaces: true }),
  });
  t.strictSame(readdirSync(dir), ['stays']);
  const third = await a.backUp(second);
  t.equal(third.Core, Core);
  t.match(await a.ask({ Kind: 'drop', Core, Length }), { State: 'failed', Code: 'E_CONFLICT' });
  await a.done({ Kind: 'drop', Core, Length: third.Length });
  t.not((await a.backUp()).Core, Core, 'a new core is begun');
});

t.test('an order that comes before the node knows its volumes again waits until it does', async (t) => {
  const nodes = new Nodes(t);
  const a = await nodes.start('a');
  const dir = await a.create('db');
  writeFileSync(join(dir, 'x'), '1');
  await a.data.close();
  const again = new FakeNode(nodes, 'a');
  nodes.all.set('a', again);
  const early = again.backUp();
  await again.volumes.open();
  await again.data.open();
  t.equal((await early).Files, 1);
});

t.test('a store whose agent was killed while it was being made is made by the next one', async (t) => {
  const a = await new Nodes(t).start('a');
  await a.create('db');
  mkdirSync(join(a.dir, 'archives', 'cores'), { recursive: true });
  writeFileSync(join(a.dir, 'archives', 'cores', 'CORESTORE'), '');
  t.equal((await a.backUp()).Files, 0);
});

t.test('a volume that is in use is not exchanged', async (t) => {
  const a = await new Nodes(t).start('a');
  const dir = await a.create('db');
  writeFileSync(join(dir, 'x'), '1');
  const snapshot = await a.backUp();
  a.used.add(dir);
  const order = { Kind: 'restore' as const, ID: OP(7), Key: KEY, Snapshot: snapshot, Holders: [] };
  t.match(await a.ask({ ...order, Volume: a.volume({ Replaces: true }) }), { State: 'failed', Code: 'E_CONFLICT' });
  t.ok(existsSync(join(dir, 'x')));
});

t.test('a restore that has ended is not done again, after a restart of the agent neither', async (t) => {
  const nodes = new Nodes(t);
  const a = await nodes.start('a');
  const dir = await a.create('db');
  writeFileSync(join(dir, 'x'), 'old');
  const snapshot = await a.backUp();
  const order = {
    Kind: 'restore' as const,
    ID: OP(8),
    Key: KEY,
    Snapshot: snapshot,
    Holders: [],
    Volume: a.volume({ Replaces: true }),
  };
  await a.done(order);
  writeFileSync(join(dir, 'x'), 'new');
  await a.data.close();
  const again = await nodes.start('a');
  await again.done(order);
  t.equal(readFileSync(join(dir, 'x'), 'utf8'), 'new');
});
