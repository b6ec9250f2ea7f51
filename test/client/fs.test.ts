import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { appendFileSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Duplex } from 'node:stream';
import t, { type Test } from 'tap';
import { listFiles, statFile } from '../../lib/client/fs/list.js';
import { startOf, streamLogs } from '../../lib/client/fs/logs.js';
import { type FrameOutput, serveFrames } from '../../lib/client/fs/output.js';
import { resolveInside } from '../../lib/client/fs/paths.js';
import { streamFile } from '../../lib/client/fs/stream.js';
import { systemTimers } from '../../lib/client/timers.js';
import { MeshError } from '../../lib/structs/errors.js';
import type { StreamFrame } from '../../lib/structs/rpc.js';
import { until } from './fakes.js';

const timers = systemTimers(() => Date.now());

function allocDir(t: Test): string {
  const dir = mkdtempSync(join(tmpdir(), 'client-fs-'));
  t.teardown(() => rmSync(dir, { recursive: true, force: true }));
  for (const path of ['alloc/logs', 'web/local', 'web/secrets', 'web/private']) {
    mkdirSync(join(dir, path), { recursive: true });
  }
  return dir;
}

/** An output that keeps what it is given. */
function keep(): FrameOutput & { text: () => string; frames: StreamFrame[]; end: () => void } {
  const frames: StreamFrame[] = [];
  const gone = new AbortController();
  return {
    frames,
    signal: gone.signal,
    end: () => gone.abort(),
    write: async (frame) => {
      frames.push(frame);
    },
    text: () => Buffer.concat(frames.flatMap(({ Data }) => (Data ? [Data] : []))).toString(),
  };
}

t.test('paths stay inside the allocation', async (t) => {
  const dir = allocDir(t);
  symlinkSync('/etc', join(dir, 'web/local/out'));
  symlinkSync('../../alloc', join(dir, 'web/local/in'));
  for (const path of ['../x', 'web/../../x', '/../etc/passwd', 'web/local/out/passwd', 'web/local/out']) {
    await t.rejects(resolveInside(dir, path), { code: 'E_BAD_REQUEST', message: /escapes/ }, path);
  }
  for (const path of ['', '/', 'web/local', '/web/../alloc/logs', 'web/local/in/logs', 'web//local/.']) {
    await t.resolves(resolveInside(dir, path), path);
  }
  await t.rejects(resolveInside(dir, 'web/nothing'), { code: 'E_NOT_FOUND' });
});

t.test('what a task exchanges for a link while it is looked at is not shown', { timeout: 120_000 }, async (t) => {
  const dir = allocDir(t);
  const host = mkdtempSync(join(tmpdir(), 'fs-host-'));
  t.teardown(() => rmSync(host, { recursive: true, force: true }));
  writeFileSync(join(host, 'of-the-host'), '');
  const local = join(dir, 'web/local');
  mkdirSync(join(local, 'x'));
  symlinkSync(host, join(local, 'link'));
  const turns = `const { renameSync: r } = require('node:fs'); process.chdir(${JSON.stringify(local)});
    console.log(); for (;;) { r('x', 'y'); r('link', 'x'); r('x', 'link'); r('y', 'x'); }`;
  const child = spawn(process.execPath, ['-e', turns], { stdio: ['ignore', 'pipe', 'inherit'] });
  t.teardown(async () => {
    const over = once(child, 'close');
    child.kill('SIGKILL');
    await over;
  });
  await once(child.stdout, 'data');
  let seen = 0;
  for (let i = 0; i < 3_000 || (seen === 0 && i < 300_000); i++) {
    const files = await listFiles(dir, 'web/local/x').catch(() => null);
    if (files) seen++;
    if (files?.some(({ Name }) => Name === 'of-the-host')) t.fail('the host was shown');
  }
  t.ok(seen > 0);
});

t.test('a log that the task has replaced by a link or a pipe shows nothing of the host', async (t) => {
  const dir = allocDir(t);
  const log = (type: 'stdout' | 'stderr', logDir = join(dir, 'alloc/logs')) => {
    const where = { logDir, task: 'web', type, offset: 0, origin: 'start' as const };
    return streamLogs({ ...where, follow: false, isOver: () => true, timers }, keep());
  };
  symlinkSync('/etc/passwd', join(dir, 'alloc/logs/web.stdout.0'));
  execFileSync('mkfifo', [join(dir, 'alloc/logs/web.stderr.0')]);
  await t.rejects(log('stdout'), { code: 'E_BAD_REQUEST', message: /web.stdout.0 is not a regular file/ });
  await t.rejects(log('stderr'), { code: 'E_BAD_REQUEST', message: /web.stderr.0 is not a regular file/ });
  symlinkSync(join(dir, 'alloc/logs'), join(dir, 'linked'));
  await t.rejects(log('stdout', join(dir, 'linked')), { code: 'E_BAD_REQUEST' });
});

t.test('what a directory holds', async (t) => {
  const dir = allocDir(t);
  writeFileSync(join(dir, 'web/local/b.txt'), 'text', { mode: 0o640 });
  mkdirSync(join(dir, 'web/local/a'), { mode: 0o755 });
  t.match(await listFiles(dir, 'web/local'), [
    { Name: 'a', IsDir: true, FileMode: 'drwxr-xr-x' },
    { Name: 'b.txt', IsDir: false, Size: 4, FileMode: '-rw-r-----' },
  ]);
  t.match(await statFile(dir, '/web/local/b.txt'), {
    Name: 'b.txt',
    Size: 4,
    ContentType: 'text/plain; charset=utf-8',
  });
  await t.rejects(listFiles(dir, 'web/local/b.txt'), { code: 'E_BAD_REQUEST' });
});

t.test('secrets are not read', async (t) => {
  const dir = allocDir(t);
  writeFileSync(join(dir, 'web/secrets/key'), 'x');
  writeFileSync(join(dir, 'web/private/key'), 'x');
  symlinkSync('../secrets/key', join(dir, 'web/local/link'));
  for (const path of ['web/secrets/key', 'web/private/key', 'web/local/link']) {
    const read = streamFile({ allocDir: dir, path, offset: 0, origin: 'start', follow: false, timers }, keep());
    await t.rejects(read, { message: /Reading secret file prohibited/ }, path);
  }
});

t.test('a file from an offset, from its end, and no more than a limit', async (t) => {
  const dir = allocDir(t);
  writeFileSync(join(dir, 'web/local/f'), '0123456789');
  const read = async (fields: { offset: number; origin?: 'start' | 'end'; limit?: number }): Promise<string> => {
    const output = keep();
    const rest = { path: 'web/local/f', follow: false, timers };
    await streamFile({ allocDir: dir, origin: 'start', ...rest, ...fields }, output);
    return output.text();
  };
  t.equal(await read({ offset: 0 }), '0123456789');
  t.equal(await read({ offset: 4 }), '456789');
  t.equal(await read({ offset: 3, origin: 'end' }), '789');
  t.equal(await read({ offset: 30, origin: 'end' }), '0123456789');
  t.equal(await read({ offset: 2, limit: 3 }), '234');
});

t.test('a followed file: growth, truncation, deletion', async (t) => {
  const dir = allocDir(t);
  const path = join(dir, 'web/local/f');
  writeFileSync(path, 'one');
  const output = keep();
  const where = { allocDir: dir, path: 'web/local/f', offset: 0, origin: 'start' as const };
  const done = streamFile({ ...where, follow: true, timers }, output);
  await until(() => output.text() === 'one', 'first');
  appendFileSync(path, 'two');
  await until(() => output.text() === 'onetwo', 'grown');
  truncateSync(path, 0);
  await until(() => output.frames.some(({ FileEvent }) => FileEvent === 'file truncated'), 'truncated');
  appendFileSync(path, 'x');
  await until(() => output.text() === 'onetwox', 'again');
  rmSync(path);
  await done;
  t.equal(output.frames.at(-1)?.FileEvent, 'file deleted');
});

t.test('where an offset lies in rotated logs', async (t) => {
  const files = [
    { index: 3, size: 10 },
    { index: 4, size: 5 },
    { index: 5, size: 7 },
  ];
  for (const [offset, origin, index, position] of [
    [0, 'start', 3, 0],
    [9, 'start', 3, 9],
    [10, 'start', 4, 0],
    [16, 'start', 5, 1],
    [99, 'start', 5, 7],
    [0, 'end', 5, 7],
    [7, 'end', 5, 0],
    [8, 'end', 4, 4],
    [99, 'end', 3, 0],
  ] as const) {
    t.same(startOf(files, offset, origin), { index, position }, `${offset} from ${origin}`);
  }
  t.same(startOf([], 5, 'end'), { index: 0, position: 0 });
});

t.test('logs are one stream over rotation, and following ends with the task', async (t) => {
  const dir = allocDir(t);
  const logDir = join(dir, 'alloc/logs');
  const file = (n: number): string => join(logDir, `web.stdout.${n}`);
  writeFileSync(file(0), 'a0');
  writeFileSync(file(1), 'a1');
  writeFileSync(join(logDir, 'web.stderr.0'), 'not this');
  writeFileSync(join(logDir, 'web2.stdout.0'), 'nor this');
  const output = keep();
  let over = false;
  const where = { logDir, task: 'web', type: 'stdout' as const, offset: 0, origin: 'start' as const, timers };
  const done = streamLogs({ ...where, follow: true, isOver: () => over }, output);
  await until(() => output.text() === 'a0a1', 'what was there');
  appendFileSync(file(1), 'b1');
  await until(() => output.text() === 'a0a1b1', 'growth');
  // The writer finishes one file and goes on in the next; the oldest is removed.
  appendFileSync(file(1), 'c1');
  writeFileSync(file(2), 'a2');
  rmSync(file(0));
  await until(() => output.text() === 'a0a1b1c1a2', 'rotation');
  over = true;
  appendFileSync(file(2), 'z');
  await done;
  t.equal(output.text(), 'a0a1b1c1a2z');
});

t.test('property: a reader that follows a rotating writer sees each byte once', async (t) => {
  const dir = allocDir(t);
  const logDir = join(dir, 'alloc/logs');
  const output = keep();
  let over = false;
  const where = { logDir, task: 'web', type: 'stdout' as const, offset: 0, origin: 'start' as const, timers };
  let written = '';
  let index = 0;
  writeFileSync(join(logDir, 'web.stdout.0'), '');
  const done = streamLogs({ ...where, follow: true, isOver: () => over }, output);
  for (let i = 0; i < 300; i++) {
    const line = `line ${i}\n`;
    if (i % 7 === 6) index++;
    appendFileSync(join(logDir, `web.stdout.${index}`), line);
    written += line;
    if (i % 3 === 0) await new Promise((resolve) => setImmediate(resolve));
  }
  over = true;
  appendFileSync(join(logDir, `web.stdout.${index}`), 'end');
  await done;
  t.equal(output.text(), `${written}end`);
});

t.test('without following, logs end at what is there; none is an empty stream', async (t) => {
  const dir = allocDir(t);
  const output = keep();
  const where = { logDir: join(dir, 'alloc/logs'), task: 'web', type: 'stdout' as const, timers };
  const options = { ...where, offset: 0, origin: 'start' as const, follow: false, isOver: () => false };
  await streamLogs(options, output);
  t.equal(output.text(), '');
  rmSync(dir, { recursive: true });
  await t.rejects(streamLogs(options, output), { code: 'E_NOT_FOUND', message: /was collected/ });
});

t.test('a served stream waits for its reader, ends, and fails with the error', async (t) => {
  const frames: unknown[] = [];
  const [near, far] = pair();
  serveFrames(near, async ({ write }) => {
    for (let i = 0; i < 100; i++) await write({ Offset: i });
  });
  for await (const frame of far) frames.push(frame);
  t.equal(frames.length, 100);
  const [bad, badFar] = pair();
  const failed = new Promise((resolve) => bad.on('error', resolve));
  badFar.resume();
  serveFrames(bad, async () => {
    throw new MeshError('E_NOT_FOUND', 'no');
  });
  t.match(await failed, { code: 'E_NOT_FOUND' });
  const [left, leftFar] = pair();
  let aborted = false;
  serveFrames(left, async ({ signal, write }) => {
    while (!signal.aborted) {
      await write({});
      await new Promise((resolve) => setImmediate(resolve));
    }
    aborted = true;
  });
  leftFar.destroy();
  left.destroy();
  await until(() => aborted, 'noticed that the reader left');
});

/** Two ends of an object stream. */
function pair(): [Duplex, Duplex] {
  const ends: Duplex[] = [];
  let wake: (() => void) | null = null;
  const near = new Duplex({
    objectMode: true,
    read() {},
    write(chunk, _encoding, done) {
      if (ends[1]?.push(chunk)) done();
      else wake = done;
    },
    final(done) {
      ends[1]?.push(null);
      done();
    },
  });
  const far = new Duplex({
    objectMode: true,
    read() {
      const resume = wake;
      wake = null;
      resume?.();
    },
    write: (_chunk, _encoding, done) => done(),
  });
  ends.push(near, far);
  return [near, far];
}
