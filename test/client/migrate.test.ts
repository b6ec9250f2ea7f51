import {
  mkdirSync,
  mkdtempSync,
  readFileSync,
  readlinkSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { SnapshotReceiver } from '../../lib/client/migrate/receive.js';
import { snapshotFrames } from '../../lib/client/migrate/send.js';
import type { SnapshotEntry, SnapshotFrame } from '../../lib/structs/rpc-migrate.js';
import { isMigrateToken, migrateToken } from '../../lib/transport/migrate-token.js';

const PATHS = ['alloc/data', 't/local'];

function folder(t: Test): { from: string; staging: string; outside: string } {
  const root = mkdtempSync(join(tmpdir(), 'migrate-test-'));
  t.teardown(() => rmSync(root, { recursive: true, force: true }));
  const [from, staging, outside] = ['from', 'staging', 'outside'].map((name) => join(root, name)) as [
    string,
    string,
    string,
  ];
  for (const dir of [from, staging, outside]) mkdirSync(dir);
  return { from, staging, outside };
}

const taken: SnapshotReceiver[] = [];
t.afterEach(async () => {
  for (const one of taken.splice(0)) await one.close();
});

function receiver(staging: string, most = Number.POSITIVE_INFINITY): SnapshotReceiver {
  const accept = async (bytes: number): Promise<void> => {
    if (bytes > most) throw new Error('no room');
  };
  const made = new SnapshotReceiver({ staging, allowed: PATHS, accept, progress: () => {} });
  taken.push(made);
  return made;
}

async function* only(
  frames: AsyncIterable<SnapshotFrame> | SnapshotFrame[],
  count = Number.POSITIVE_INFINITY,
): AsyncGenerator<SnapshotFrame> {
  let left = count;
  for await (const frame of frames) {
    if (left-- <= 0) throw new Error('the link broke');
    yield frame;
  }
}

t.test('data comes over whole, however often the stream breaks', async (t) => {
  const { from, staging } = folder(t);
  mkdirSync(join(from, 'alloc/data/sub'), { recursive: true });
  mkdirSync(join(from, 't/local'), { recursive: true });
  writeFileSync(join(from, 'alloc/data/big'), Buffer.alloc(300_000, 7), { mode: 0o640 });
  writeFileSync(join(from, 'alloc/data/sub/empty'), '');
  writeFileSync(join(from, 't/local/x'), 'x');
  writeFileSync(join(from, 't/other'), 'not data');
  symlinkSync('/etc/passwd', join(from, 'alloc/data/link'));
  const taking = receiver(staging);
  for (const breaks of [2, 4, 5, 6, 7, 8]) {
    const frames = only(snapshotFrames(from, PATHS, taking.mark), breaks);
    await taking.take(frames).catch((error: Error) => t.equal(error.message, 'the link broke'));
  }
  t.equal(await taking.take(only(snapshotFrames(from, PATHS, taking.mark))), true);
  t.same(readFileSync(join(staging, 'alloc/data/big')), Buffer.alloc(300_000, 7));
  t.equal(statSync(join(staging, 'alloc/data/big')).mode & 0o7777, 0o640);
  t.equal(readlinkSync(join(staging, 'alloc/data/link')), '/etc/passwd', 'a link is taken as it is');
  t.equal(readFileSync(join(staging, 't/local/x'), 'utf8'), 'x');
  t.throws(() => statSync(join(staging, 't/other')));
});

t.test('a large file goes on in its middle, where its node can', async (t) => {
  const { from, staging } = folder(t);
  mkdirSync(join(from, 'alloc/data'), { recursive: true });
  const big = Buffer.from(Array.from({ length: 400_000 }, (_, i) => i % 251));
  writeFileSync(join(from, 'alloc/data/big'), big);
  const told: number[] = [];
  const taking = new SnapshotReceiver({
    staging,
    allowed: PATHS,
    accept: async () => {},
    progress: (done) => void told.push(done),
  });
  const send = (frames: AsyncIterable<SnapshotFrame>, count?: number): Promise<boolean> =>
    taking.take(only(frames, count)).catch((error: Error) => {
      t.equal(error.message, 'the link broke');
      return false;
    });
  await send(snapshotFrames(from, PATHS, taking.mark), 6);
  t.same(taking.mark, { entries: 1, bytes: 3 * 65_536 });
  t.equal(taking.part, '49 % of 390.6 KiB');
  t.ok(taking.cameOn());
  await send(snapshotFrames(from, PATHS, taking.mark), 3);
  t.same(taking.mark, { entries: 1, bytes: 4 * 65_536 });
  t.ok(taking.cameOn());
  t.same(
    told,
    [1, 2, 3, 4].map((n) => n * 65_536),
    'nothing came twice',
  );
  // One that knows of no offsets.
  await send(snapshotFrames(from, PATHS, { entries: 1, bytes: 0 }), 4);
  t.same(taking.mark, { entries: 1, bytes: 2 * 65_536 });
  t.notOk(taking.cameOn(), 'what comes again brings nothing on');
  const greedy = [
    { Entries: 2, Bytes: 400_000 },
    { Entry: { ...ENTRY, Path: 'alloc/data/big' }, From: 7 },
  ];
  await t.rejects(taking.take(only(greedy as SnapshotFrame[])), /has changed between two attempts/);
  t.equal(await send(snapshotFrames(from, PATHS, taking.mark)), true);
  t.same(readFileSync(join(staging, 'alloc/data/big')), big);
  await taking.close();
});

const ENTRY: SnapshotEntry = {
  Path: 'alloc/data',
  Kind: 'dir',
  Mode: 0o777,
  Uid: 0,
  Gid: 0,
  Mtime: 0,
  Size: 0,
  Target: '',
};
const entry = (more: Partial<SnapshotEntry>): SnapshotFrame => ({ Entry: { ...ENTRY, ...more } });
const START: SnapshotFrame[] = [{ Entries: 4, Bytes: 4 }, entry({})];

const HOSTILE: [string, SnapshotFrame[], RegExp][] = [
  ['a path that climbs', [...START, entry({ Path: 'alloc/data/../../../x', Kind: 'file' })], /leads out|no data/],
  ['an absolute path', [...START, entry({ Path: '/alloc/../../x', Kind: 'file' })], /leads out|no data/],
  ['a path beside the data', [...START, entry({ Path: 't/secrets/x', Kind: 'file' })], /no data of the allocation/],
  ['a path that only begins like data', [...START, entry({ Path: 'alloc/database', Kind: 'file' })], /no data/],
  [
    'a file over a link',
    [
      ...START,
      entry({ Path: 'alloc/data/l', Kind: 'link', Target: '../../../outside' }),
      entry({ Path: 'alloc/data/l/x', Kind: 'file' }),
    ],
    /link/,
  ],
  [
    'a link in the place of a directory',
    [{ Entries: 1, Bytes: 0 }, entry({ Kind: 'link', Target: '/etc' }), { Done: true }],
    /is no directory/,
  ],
  [
    'more data than the file has',
    [...START, entry({ Path: 'alloc/data/f', Kind: 'file', Size: 1 }), { Data: Buffer.from('ab') }],
    /more than was announced/,
  ],
  [
    'more data than all files have',
    [...START, entry({ Path: 'alloc/data/f', Kind: 'file', Size: 9 }), { Data: Buffer.from('abcdef') }],
    /more than was announced/,
  ],
  ['data of no file', [...START, { Data: Buffer.from('a') }], /more than was announced/],
  [
    'an entry in the middle of a file',
    [...START, entry({ Path: 'alloc/data/f', Kind: 'file', Size: 1 }), entry({ Path: 'alloc/data/g' })],
    /out of turn/,
  ],
  ['more entries', [{ Entries: 1, Bytes: 0 }, entry({}), entry({ Path: 'alloc/data/x' })], /out of turn/],
  ['an entry before the sizes', [entry({})], /out of turn/],
  ['sizes that cannot be', [{ Entries: -1, Bytes: 0 }], /cannot be/],
  ['a device', [...START, entry({ Path: 'alloc/data/d', Kind: 'device' as never })], /unknown kind/],
]; // prettier-ignore

for (const [what, frames, expected] of HOSTILE) {
  t.test(`a peer may not send ${what}`, async (t) => {
    const { staging, outside } = folder(t);
    await t.rejects(receiver(staging).take(only(frames)), expected);
    t.throws(() => statSync(join(outside, 'x')));
  });
}

t.test('what does not fit is not begun, and set-user-id bits do not travel', async (t) => {
  const { staging } = folder(t);
  await t.rejects(receiver(staging, 3).take(only(START)), /no room/);
  const frames: SnapshotFrame[] = [
    { Entries: 2, Bytes: 0 },
    entry({}),
    entry({ Path: 'alloc/data/f', Kind: 'file', Mode: 0o4755 }),
    { Done: true },
  ];
  t.equal(await receiver(staging).take(only(frames)), true);
  t.equal(statSync(join(staging, 'alloc/data/f')).mode & 0o7777, 0o755);
});

t.test('an end without the last entry is none', async (t) => {
  const { staging } = folder(t);
  t.equal(await receiver(staging).take(only(START)), false);
  t.equal(await receiver(staging).take(only([...START, { Done: true }])), false);
});

t.test('a token opens one allocation of one node', async (t) => {
  const token = migrateToken('secret', 'a');
  t.equal(isMigrateToken(token, 'secret', 'a'), true);
  t.equal(isMigrateToken(token, 'secret', 'b'), false);
  t.equal(isMigrateToken(token, 'other', 'a'), false);
  t.equal(isMigrateToken('', 'secret', 'a'), false);
});
