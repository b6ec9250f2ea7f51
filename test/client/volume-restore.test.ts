import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { type ChunkRef, type Entry, encodeEntry, encodeNote, encodeRefs, PackWriter } from '../../lib/archive/index.js';
import { ArchiveCipher } from '../../lib/client/volume-data/archive-cipher.js';
import { BlockSource } from '../../lib/client/volume-data/block-source.js';
import { restoreTree } from '../../lib/client/volume-data/restore-tree.js';
import { encodeRoot } from '../../lib/client/volume-data/snapshot-root.js';
import { commitSwap, endSwap, prepareSwap, swapOf, sweepSwaps, undoSwap } from '../../lib/client/volume-data/swap.js';
import { noProgress } from '../../lib/structs/volume-data.js';

const OP = '00000000-0000-0000-0000-000000000001';

function scratch(t: Test): string {
  const dir = mkdtempSync(join(tmpdir(), 'volume-restore-'));
  t.teardown(() => rmSync(dir, { recursive: true, force: true }));
  return dir;
}

const entry = (path: string, changes: Partial<Entry> = {}): Entry => ({
  path,
  kind: 'file',
  mode: 0o755,
  uid: process.getuid?.() ?? 0,
  gid: process.getgid?.() ?? 0,
  mtimeNs: 0n,
  ctimeNs: 0n,
  ino: 0n,
  size: 0,
  isSparse: false,
  target: '',
  ...changes,
});
const ROOT = encodeEntry(entry('', { kind: 'dir' }));
const dir = (path: string): Uint8Array => encodeEntry(entry(path, { kind: 'dir' }));
const link = (path: string, target: string): Uint8Array => encodeEntry(entry(path, { kind: 'symlink', target }));
const same = (path: string, target: string): Uint8Array => encodeEntry(entry(path, { kind: 'hardlink', target }));

/** Restores what somebody with the key of the archive made up: these records, and one chunk that files may be made of. */
async function restore(
  t: Test,
  records: (chunk: ChunkRef) => Uint8Array[],
): Promise<{ into: string; outside: string }> {
  const base = scratch(t);
  const [into, outside] = [join(base, 'into'), join(base, 'outside')];
  for (const path of [into, outside]) mkdirSync(path);
  writeFileSync(join(outside, 'theirs'), 'untouched');
  const cipher = new ArchiveCipher('archive', Buffer.alloc(32, 1));
  const key = Buffer.alloc(32, 2);
  const blocks: Uint8Array[] = [];
  const put = (body: Uint8Array): number => blocks.push(cipher.seal(key.toString('hex'), blocks.length, body)) - 1;
  const chunkOf = (content: Uint8Array): ChunkRef => {
    const pack = new PackWriter();
    const address = cipher.address(content);
    const slot = pack.add({ address, size: content.length, isDeflated: false, data: content });
    return { address, block: put(pack.finish()), slot, size: content.length, stored: content.length };
  };
  const manifest = [chunkOf(Buffer.concat(records(chunkOf(Buffer.from('content')))))];
  const { body, digest } = encodeRoot({ startedNs: 0n, files: 1, bytes: 7, sparseBytes: 0, manifest });
  const Block = put(body);
  const source = new BlockSource({ key, get: async (index) => blocks[index] as Uint8Array }, cipher);
  const snapshot = { Core: '', Block, Length: blocks.length, Digest: digest };
  const { signal } = new AbortController();
  try {
    await restoreTree({ source, snapshot, into, spareBytes: 0, warn: () => {}, progress: noProgress(), signal });
  } finally {
    t.strictSame(readdirSync(outside), ['theirs'], 'nothing is written elsewhere');
    t.equal(readFileSync(join(outside, 'theirs'), 'utf8'), 'untouched');
  }
  return { into, outside };
}

t.test('a manifest that was made up writes nothing outside of the directory', async (t) => {
  const { into } = await restore(t, (chunk) => [
    ROOT,
    encodeEntry(entry('file', { size: 7 })),
    encodeRefs([chunk]),
    link('out', '../outside'),
  ]);
  t.equal(readFileSync(join(into, 'file'), 'utf8'), 'content', 'a good one is restored, its links as they are');
  const hostile: Record<string, (chunk: ChunkRef) => Uint8Array[]> = {
    'through a link': (chunk) => [
      ROOT,
      link('out', '../outside'),
      encodeEntry(entry('out/new', { size: 7 })),
      encodeRefs([chunk]),
    ],
    'over a link': (chunk) => [
      ROOT,
      link('x', '../outside/theirs'),
      encodeEntry(entry('x', { size: 7 })),
      encodeRefs([chunk]),
    ],
    'a directory over a link': () => [ROOT, link('out', '../outside'), dir('out'), dir('out/new')],
    'a hard link to a file elsewhere': () => [ROOT, link('out', '../outside'), same('mine', 'out/theirs')],
    'a hard link to a link': () => [ROOT, link('x', '../outside/theirs'), same('mine', 'x')],
    'content without a file': (chunk) => [ROOT, encodeRefs([chunk])],
    'content for a link': (chunk) => [ROOT, link('x', '../outside/theirs'), encodeRefs([chunk])],
    'more than a file says': (chunk) => [ROOT, encodeEntry(entry('x', { size: 3 })), encodeRefs([chunk])],
    'less than a file says': (chunk) => [ROOT, encodeEntry(entry('x', { size: 300 })), encodeRefs([chunk])],
    'a file below a file': () => [ROOT, encodeEntry(entry('x')), encodeEntry(entry('x/y'))],
    'a directory that is not there': () => [ROOT, encodeEntry(entry('no/file'))],
    'a name twice': () => [ROOT, encodeEntry(entry('x')), encodeEntry(entry('x'))],
    'the volume as a file': () => [encodeEntry(entry(''))],
    'a chunk that is another one': (chunk) => [
      ROOT,
      encodeEntry(entry('x', { size: 7 })),
      encodeRefs([{ ...chunk, address: new Uint8Array(16) }]),
    ],
  };
  for (const [what, records] of Object.entries(hostile)) {
    await t.rejects(restore(t, records), { code: 'E_STORAGE' }, what);
  }
});

t.test('a file that changed while it was read has what was read of it', async (t) => {
  const { into } = await restore(t, (chunk) => [
    ROOT,
    encodeEntry(entry('x', { size: 300 })),
    encodeRefs([chunk]),
    encodeNote(),
  ]);
  t.equal(readFileSync(join(into, 'x'), 'utf8'), 'content');
});

t.test('a root that is not the one the servers know is refused', async (t) => {
  const cipher = new ArchiveCipher('archive', Buffer.alloc(32, 1));
  const key = Buffer.alloc(32, 2);
  const { body } = encodeRoot({ startedNs: 0n, files: 0, bytes: 0, sparseBytes: 0, manifest: [] });
  const block = cipher.seal(key.toString('hex'), 0, body);
  const source = new BlockSource({ key, get: async () => block }, cipher);
  const snapshot = { Core: '', Block: 0, Length: 1, Digest: createHash('sha256').update('another').digest('hex') };
  const { signal } = new AbortController();
  const options = { source, snapshot, into: scratch(t), spareBytes: 0, warn: () => {}, progress: noProgress(), signal };
  await t.rejects(restoreTree(options), { code: 'E_STORAGE', message: /not the snapshot/ });
});

/** Nothing is to be left. */
const missing = (path: string, why: Error): never => {
  throw new Error(`${path} was left: ${why.message}`);
};

t.test('what cannot be removed is told, and hinders nothing', async (t) => {
  const folder = scratch(t);
  const swap = swapOf(join(folder, 'db'), OP);
  const fixed = join(swap.replaced, 'fixed');
  const isRoot = process.getuid?.() === 0;
  const fix = (on: boolean): void => {
    if (isRoot) execFileSync('chattr', [on ? '+i' : '-i', fixed], { stdio: 'pipe' });
    else chmodSync(fixed, on ? 0 : 0o700);
  };
  mkdirSync(swap.path);
  mkdirSync(fixed, { recursive: true });
  writeFileSync(join(fixed, 'name'), 'old');
  try {
    fix(true);
  } catch {
    t.comment('this disk knows no immutable files');
    return;
  }
  t.teardown(() => existsSync(fixed) && fix(false));
  const told: string[] = [];
  const left = (path: string): void => void told.push(path);
  await endSwap(swap, left);
  await sweepSwaps(folder, () => false, left);
  t.strictSame(told, [swap.replaced, swap.replaced]);
  fix(false);
  await sweepSwaps(folder, () => false, missing);
  t.strictSame(readdirSync(folder), ['db']);
});

t.test('an exchange of directories that was cut off is taken up, or undone', async (t) => {
  const folder = scratch(t);
  const swap = swapOf(join(folder, 'db'), OP);
  const name = (path: string): string => readFileSync(join(path, 'name'), 'utf8');
  const make = (path: string, text: string): void => {
    mkdirSync(path);
    writeFileSync(join(path, 'name'), text);
  };
  make(swap.path, 'old');
  t.equal(await prepareSwap(swap), 'empty');
  writeFileSync(join(swap.staging, 'name'), 'half');
  t.equal(await prepareSwap(swap), 'empty', 'what was written by half is thrown away');
  t.strictSame(readdirSync(swap.staging), []);
  writeFileSync(join(swap.staging, 'name'), 'new');
  await commitSwap(swap);
  t.equal(name(swap.path), 'new');
  t.equal(await prepareSwap(swap), 'done', 'it had come to its end');
  await endSwap(swap, missing);
  t.strictSame(readdirSync(folder), ['db']);

  // Killed between the two renames.
  rmSync(swap.path, { recursive: true });
  make(swap.replaced, 'old');
  make(swap.staging, 'new');
  t.equal(await prepareSwap(swap), 'empty');
  t.equal(name(swap.path), 'old', 'what was there is there again');
  await undoSwap(swap);
  t.strictSame(readdirSync(folder), ['db']);

  // Nobody asks for it any more.
  rmSync(swap.path, { recursive: true });
  make(swap.replaced, 'old');
  make(swap.staging, 'new');
  await sweepSwaps(folder, (id) => id === OP, missing);
  t.equal(existsSync(swap.path), false, 'who is at work is left alone');
  await sweepSwaps(folder, () => false, missing);
  t.equal(name(swap.path), 'old');
  t.strictSame(readdirSync(folder), ['db']);
});
