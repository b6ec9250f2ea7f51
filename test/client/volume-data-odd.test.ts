// Trees that are rare, and are to come back all the same: very deep ones, files from before 1970, large holes, many attributes.
import { execFileSync } from 'node:child_process';
import {
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  truncateSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import type { WrittenSnapshot } from '../../lib/structs/volume-data.js';
import { type FakeNode, KEY, Nodes, OP } from './volume-data-nodes.js';

const NO_ATTR = (() => {
  try {
    execFileSync('getfattr', ['--version'], { stdio: 'ignore' });
    return false;
  } catch {
    return 'needs the package attr';
  }
})();

/** Puts the volume of a node back as the snapshot has it, in its place. */
const putBack = (node: FakeNode, Snapshot: WrittenSnapshot) =>
  node.done({ Kind: 'restore', ID: OP(2), Key: KEY, Snapshot, Holders: [], Volume: node.volume({ Replaces: true }) });

t.test('a tree comes back that is deeper than a path may be long, and is backed up again', async (t) => {
  const nodes = new Nodes(t);
  const node = await nodes.start('a');
  const dir = await node.create('db');
  // Each step is taken from the one before, as no program may say the whole path.
  const step = 'd'.repeat(200);
  const steps = 30;
  execFileSync(
    'sh',
    ['-c', `for i in $(seq ${steps}); do mkdir ${step} && cd -P ${step} || exit 1; done; echo deep > f`],
    {
      cwd: dir,
    },
  );
  t.teardown(() => execFileSync('rm', ['-rf', nodes.dir]));
  const snapshot = await node.backUp();
  t.match(snapshot, { Files: 1, Skipped: 0 });
  t.match(await node.backUp(snapshot), { Files: 1 }, 'the next backup reads the manifest of the first');
  execFileSync('rm', ['-rf', join(dir, step)]);
  await putBack(node, snapshot);
  const read = `for i in $(seq ${steps}); do cd -P ${step} || exit 1; done; cat f`;
  t.equal(execFileSync('sh', ['-c', read], { cwd: dir, encoding: 'utf8' }), 'deep\n');
});

t.test('many tiny files that are as they were are not stored again', async (t) => {
  const node = await new Nodes(t).start('a');
  const dir = await node.create('db');
  // A few bytes each: as many as go into a block are far from filling it.
  for (let i = 0; i < 6_000; i++) writeFileSync(join(dir, `f${i}`), `${i}`);
  const first = await node.backUp();
  const second = await node.backUp(first);
  t.ok(second.StoredBytes < first.StoredBytes / 2, `${second.StoredBytes} of ${first.StoredBytes} bytes`);
});

t.test('names of what is left out cannot drive a terminal', async (t) => {
  const node = await new Nodes(t).start('a');
  const dir = await node.create('db');
  execFileSync('mkfifo', [join(dir, 'a\x1b[31m\nb')]);
  const { Notes } = await node.backUp();
  t.ok(Notes.includes('a\\x1b[31m\\x0ab: it is no file, directory or link'), Notes.join());
});

t.test('a file from before 1970 has its time again', async (t) => {
  const node = await new Nodes(t).start('a');
  const dir = await node.create('db');
  const old = new Date('1965-03-01T12:00:00Z');
  writeFileSync(join(dir, 'old'), 'x');
  utimesSync(join(dir, 'old'), old, old);
  const snapshot = await node.backUp();
  rmSync(join(dir, 'old'));
  await putBack(node, snapshot);
  t.same(lstatSync(join(dir, 'old')).mtime, old);
});

t.test('a large hole comes back as one, and the file is as long as it was', async (t) => {
  const node = await new Nodes(t).start('a');
  const dir = await node.create('db');
  writeFileSync(join(dir, 'image'), 'begin');
  truncateSync(join(dir, 'image'), 64 * 1024 * 1024);
  const snapshot = await node.backUp();
  rmSync(join(dir, 'image'));
  await putBack(node, snapshot);
  t.equal(statSync(join(dir, 'image')).size, 64 * 1024 * 1024);
  t.ok(statSync(join(dir, 'image')).blocks < 100);
  t.equal(readFileSync(join(dir, 'image')).subarray(0, 5).toString(), 'begin');
});

t.test('attributes of more files than are told at once come back', { skip: NO_ATTR }, async (t) => {
  const node = await new Nodes(t).start('a');
  const dir = await node.create('db');
  mkdirSync(join(dir, 'sub'));
  // Text for the program that sets them: more than 256 KiB.
  const value = 'v'.repeat(1000);
  for (let i = 0; i < 200; i++) {
    writeFileSync(join(dir, 'sub', `f${i}`), 'x');
    execFileSync('setfattr', ['-n', 'user.who', '-v', `${value}${i % 3}`, join(dir, 'sub', `f${i}`)]);
  }
  const shown = (): string =>
    execFileSync('getfattr', ['-R', '-d', '-m', '-', '.'], { cwd: dir, encoding: 'utf8' })
      .split('\n\n')
      .sort()
      .join('\n');
  const before = shown();
  const snapshot = await node.backUp();
  rmSync(join(dir, 'sub'), { recursive: true });
  await putBack(node, snapshot);
  t.equal(readdirSync(join(dir, 'sub')).length, 200);
  t.equal(shown(), before);
});
