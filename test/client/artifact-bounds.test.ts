// What a stranger has compressed takes neither the agent's time nor its memory nor its disk.
import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { Bounds } from '../../lib/client/artifact/bounds.js';
import { archiveOf } from '../../lib/client/artifact/unpack.js';
import { unpackApart } from '../../lib/client/artifact/unpack-thread.js';
import { ZstdFrames } from '../../lib/client/artifact/zstd-frames.js';

const NEVER = new AbortController().signal;

function directory(t: Test): string {
  const dir = mkdtempSync(join(tmpdir(), 'artifact-bounds-'));
  t.teardown(() => rmSync(dir, { recursive: true, force: true }));
  mkdirSync(join(dir, 'tree'));
  return dir;
}

/** A bzip2 stream of zeros, as often as is asked for one after the other: `bzip2 -t` is content with it. */
function bomb(dir: string, megabytes: number, times: number): string {
  const one = execFileSync('bzip2', ['-9'], { input: Buffer.alloc(megabytes * 1_000_000) });
  const file = join(dir, 'bomb.bz2');
  writeFileSync(file, Buffer.concat(Array.from({ length: times }, () => one)));
  return file;
}

function order(file: string, dir: string, bytesMax: number) {
  const found = archiveOf(file, '');
  if (!found) throw new Error(`${file} is no archive`);
  return {
    file,
    archive: found.archive,
    root: join(dir, 'tree'),
    name: 'inner',
    limits: { filesMax: 10, bytesMax },
  };
}

t.test(
  'an archive that computes without end is given up when its time is over, and others go on meanwhile',
  async (t) => {
    const dir = directory(t);
    // 40 KB that are 40 GB.
    const file = bomb(dir, 40, 1_000);
    t.ok(statSync(file).size < 200_000);
    let turns = 0;
    const turn = setInterval(() => turns++, 5);
    const ending = new AbortController();
    let bytes = 0;
    const progress = (now: number): void => {
      bytes = now;
      if (turns > 20) ending.abort();
    };
    await t.rejects(unpackApart(order(file, dir, 0), { signal: ending.signal, progress }), {
      message: 'it was ended',
      recoverable: true,
    });
    clearInterval(turn);
    t.ok(bytes > 0 && turns > 20, 'this thread had its turns while the other one worked');
    const size = statSync(join(dir, 'tree/inner')).size;
    await t.rejects(unpackApart(order(file, dir, 0), { signal: ending.signal, progress }), /it was ended/);
    t.equal(statSync(join(dir, 'tree/inner')).size, size, 'nothing writes any more');
  },
);

t.test('limits and reasons are told from the thread', async (t) => {
  const dir = directory(t);
  const file = bomb(dir, 3, 2);
  const progress = (): void => {};
  await t.rejects(unpackApart(order(file, dir, 4_000_000), { signal: NEVER, progress }), {
    message: /unpacks to more than 3.8 MiB/,
    recoverable: false,
  });
  await unpackApart(order(file, dir, 6_000_000), { signal: NEVER, progress });
  t.equal(statSync(join(dir, 'tree/inner')).size, 6_000_000, 'streams that follow one another are one file');
  writeFileSync(join(dir, 'bad.tar.bz2'), 'BZh9 and nothing that makes sense');
  await t.rejects(unpackApart(order(join(dir, 'bad.tar.bz2'), dir, 0), { signal: NEVER, progress }), {
    message: 'it is no bzip2 file, or a damaged one',
    recoverable: false,
  });
  await t.rejects(unpackApart(order(join(dir, 'none.zip'), dir, 0), { signal: NEVER, progress }), /cannot be unpacked/);
});

t.test('a zstd file may be of many frames, and ask for no more memory than is usual', async (t) => {
  const look = (bytes: Uint8Array): void => {
    const frames = new ZstdFrames();
    for (const byte of bytes) frames.look(Uint8Array.of(byte));
    new ZstdFrames().look(bytes);
  };
  const text = Buffer.from(Array.from({ length: 60_000 }, (_, i) => i.toString(36)).join(' '));
  const zstd = (...args: string[]): Buffer => execFileSync('zstd', ['-q', '-c', ...args], { input: text });
  const skippable = Buffer.from('502a4d1804000000abcdabcd', 'hex');
  const good = Buffer.concat([zstd(), skippable, zstd('-19', '--no-check'), zstd(`--stream-size=${text.length}`)]);
  look(good);
  // A window of two gigabytes, alone and behind frames that are in order.
  const greedy = Buffer.from('28b52ffd00a8', 'hex');
  t.throws(() => look(greedy), /the zstd file needs 2 GiB of memory; at most 128 MiB are given/);
  t.throws(() => look(Buffer.concat([good, greedy])), /needs 2 GiB/);
  // One segment of four gigabytes.
  t.throws(() => look(Buffer.from('28b52ffda0ffffffff', 'hex')), /needs 4 GiB/);
  const dir = directory(t);
  writeFileSync(join(dir, 'a.zst'), good);
  await unpackApart(order(join(dir, 'a.zst'), dir, 0), { signal: NEVER, progress: () => {} });
  t.equal(statSync(join(dir, 'tree/inner')).size, 3 * text.length);
  writeFileSync(join(dir, 'b.zst'), Buffer.concat([good, greedy, Buffer.alloc(100)]));
  await t.rejects(unpackApart(order(join(dir, 'b.zst'), dir, 0), { signal: NEVER, progress: () => {} }), {
    message: /needs 2 GiB/,
    recoverable: false,
  });
});

t.test('all of a fetch has an end, and leaves room on the disk', async (t) => {
  const dir = directory(t);
  const caller = new AbortController();
  const late = new Bounds(dir, { timeoutMs: 1, signal: caller.signal });
  await new Promise<void>((resolve) => late.signal.addEventListener('abort', () => resolve()));
  t.equal(late.why, 'it took longer than 0.001 s');
  late.end();
  const full = new Bounds('/proc/self', { timeoutMs: 1e6, signal: caller.signal });
  await full.look('/proc/self');
  t.match(full.why, /^the disk of \/proc\/self has only 0 B left$/);
  full.end();
  const ended = new Bounds(dir, { timeoutMs: 1e6, signal: caller.signal });
  // Each attempt at a connection listens; Node would take eleven of them for a leak, and say so in the agent's log.
  const leaks: unknown[] = [];
  const onWarning = (warning: Error & { target?: unknown }): void => void leaks.push(warning.target);
  process.on('warning', onWarning);
  for (let i = 0; i < 20; i++) ended.signal.addEventListener('abort', () => {});
  await new Promise(setImmediate);
  process.off('warning', onWarning);
  t.notOk(leaks.includes(ended.signal));
  caller.abort();
  t.ok(ended.signal.aborted && ended.why === null, 'the end of the task is no fault of the source');
  ended.end();
  t.ok(existsSync(dir));
});
