import {
  closeSync,
  fstatSync,
  mkdtempSync,
  openSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { type ClientDb, openClientDb, type TaskRecord } from '../../lib/storage/client-db.js';
import { nodeDisk } from '../../lib/storage/disk.js';
import type { Allocation, TaskState } from '../../lib/structs/allocation.js';
import type { Job } from '../../lib/structs/job.js';
import { fakeAlloc, fakeGroup, fakeJob, fakeState, fakeTask } from '../client/fakes.js';

function folder(t: Test): string {
  const dir = mkdtempSync(join(tmpdir(), 'client-db-'));
  t.teardown(() => rmSync(dir, { recursive: true, force: true }));
  return dir;
}

const record = (taskId: string, restarts = 0): TaskRecord => ({
  taskId,
  handle: { driver: 'fake', version: 1, taskId, state: { pid: 7 } },
  state: fakeState({ State: 'running', Restarts: restarts }),
  restarts: { count: restarts, intervalStartMs: 5 },
});

/** What a memory holds, as data. */
function contents(db: ClientDb): unknown {
  return { allocs: [...db.allocs], lastIndex: db.lastIndex };
}

t.test('what was put is there after opening again, without a close', async (t) => {
  const dir = folder(t);
  const db = openClientDb(dir);
  const job = fakeJob();
  db.putAlloc(fakeAlloc('n', job, { ID: 'a' }));
  db.putAlloc(fakeAlloc('n', job, { ID: 'b' }));
  db.putTask('a', 'web', record('a/web/1'));
  db.putHealth('a', { Healthy: true, Timestamp: 't', Canary: false, ModifyIndex: 0 });
  db.removeAlloc('b');
  db.putLastIndex(42);
  const again = openClientDb(dir);
  t.same(contents(again), contents(db));
  t.equal(again.lastIndex, 42);
  t.same(again.allocs.get('a')?.tasks, { web: record('a/web/1') });
  t.same(again.allocs.get('a')?.alloc.Job, job);
  t.same(again.problems, []);
  t.equal(statSync(join(dir, 'client.log')).mode & 0o777, 0o600);
  await db.close();
  await again.close();
});

t.test('what is put after the end is not stored, and damages no file that was opened since', async (t) => {
  const dir = folder(t);
  const db = openClientDb(dir);
  db.putAlloc(fakeAlloc('n', fakeJob(), { ID: 'a' }));
  await db.close();
  const others = Array.from({ length: 20 }, (_, i) => openSync(join(dir, `other-${i}`), 'w+'));
  db.removeAlloc('a');
  db.putLastIndex(7);
  await db.sync();
  for (const other of others) {
    t.equal(fstatSync(other).size, 0);
    closeSync(other);
  }
  const again = openClientDb(dir);
  t.same([...again.allocs.keys()], ['a']);
  t.equal(again.lastIndex, 0);
  await again.close();
});

t.test('a file that is closed is neither read nor written nor closed again', async (t) => {
  const path = join(folder(t), 'file');
  const file = nodeDisk.open(path, 'create');
  file.close();
  const other = openSync(`${path}-other`, 'w+');
  t.throws(() => file.write(Buffer.from('x'), 0), /closed/);
  t.throws(() => file.read(Buffer.alloc(1), 0), /closed/);
  t.throws(() => file.close(), /closed/);
  await t.rejects(file.sync(), /closed/);
  t.equal(fstatSync(other).size, 0);
  closeSync(other);
});

t.test('no allocation loses its job, however often the file is rewritten meanwhile', async (t) => {
  const dir = folder(t);
  const db = openClientDb(dir);
  // Some of these jobs are what makes the file too large.
  for (let i = 0; i < 40; i++) {
    const job = fakeJob(fakeGroup(), { Meta: { number: String(i), filler: 'x'.repeat(150_000) } });
    db.putAlloc(fakeAlloc('n', job, { ID: `a${i}` }));
    if (i > 0) db.removeAlloc(`a${i - 1}`);
    const again = openClientDb(dir);
    const seen = [...again.allocs].map(([id, { alloc }]) => [id, alloc.Job?.Meta?.['number']]);
    t.strictSame(seen, [[`a${i}`, String(i)]]);
    await again.close();
  }
  await db.close();
});

t.test('a job is written once for its allocations, and one job is not taken for another', async (t) => {
  const dir = folder(t);
  const db = openClientDb(dir);
  const job = fakeJob(fakeGroup(), { Meta: { mark: 'once-only' } });
  for (const ID of ['a', 'b', 'c']) db.putAlloc(fakeAlloc('n', job, { ID }));
  t.equal(readFileSync(join(dir, 'client.log'), 'utf8').split('once-only').length, 2);
  const other = fakeJob(fakeGroup([fakeTask({ Name: 'other' })]));
  db.putAlloc(fakeAlloc('n', other, { ID: 'd' }));
  const again = openClientDb(dir);
  t.equal(again.allocs.get('a')?.alloc.Job, again.allocs.get('b')?.alloc.Job, 'and shared in memory');
  t.equal(again.allocs.get('d')?.alloc.Job?.TaskGroups[0]?.Tasks[0]?.Name, 'other');
  await db.close();
  await again.close();
});

t.test('a file that ends at any byte opens with all records that are whole', async (t) => {
  const dir = folder(t);
  const path = join(dir, 'client.log');
  const db = openClientDb(dir);
  const ends: { size: number; contents: unknown }[] = [{ size: statSync(path).size, contents: contents(db) }];
  // As small as can be: every byte costs an opening.
  const job = { ID: 'j' } as Job;
  const alloc = { ID: 'a', Job: job } as Allocation;
  const slim = (taskId: string): TaskRecord => ({ ...record(taskId), state: { State: 'running' } as TaskState });
  const steps: (() => void)[] = [
    () => db.putAlloc(alloc),
    () => db.putTask('a', 'web', slim('1')),
    () => db.putTask('a', 'web', slim('2')),
    () => db.putLastIndex(7),
    () => db.removeAlloc('a'),
  ];
  for (const step of steps) {
    step();
    ends.push({ size: statSync(path).size, contents: JSON.parse(JSON.stringify(contents(db))) });
  }
  await db.close();
  const whole = readFileSync(path);
  for (let size = 0; size <= whole.length; size++) {
    writeFileSync(path, whole.subarray(0, size));
    const cut = openClientDb(dir);
    const expected = ends.findLast((end) => end.size <= size) ?? ends[0];
    // The first put writes two records, the job and the allocation: between them the state is as before it.
    t.strictSame(
      JSON.parse(JSON.stringify(contents(cut))),
      JSON.parse(JSON.stringify(expected?.contents)),
      `at ${size}`,
    );
    if (size % 7 !== 0) {
      await cut.close();
      continue;
    }
    // What is written after a cut is found again.
    cut.putLastIndex(99);
    await cut.close();
    const after = openClientDb(dir);
    t.equal(after.lastIndex, 99);
    await after.close();
  }
});

t.test('damage is told, and what was cut off is kept beside', async (t) => {
  const dir = folder(t);
  const path = join(dir, 'client.log');
  const db = openClientDb(dir);
  db.putLastIndex(1);
  const whole = statSync(path).size;
  db.putLastIndex(2);
  db.putLastIndex(3);
  await db.close();
  const bytes = readFileSync(path);
  bytes[whole + 10] = (bytes[whole + 10] ?? 0) ^ 1;
  writeFileSync(path, bytes);
  const again = openClientDb(dir);
  t.equal(again.lastIndex, 1);
  t.match(again.problems, [/torn or damaged .* set aside/]);
  const kept = readdirSync(dir).find((name) => name.startsWith('client.log.corrupt-'));
  t.ok(kept);
  t.same(readFileSync(join(dir, kept ?? '')), bytes.subarray(whole));
  await again.close();
});

t.test('a data directory of another version is refused in words, and left alone', async (t) => {
  const dir = folder(t);
  const path = join(dir, 'client.log');
  writeFileSync(path, 'meshnomad client state 2\nxyz');
  t.throws(() => openClientDb(dir), { code: 'E_STORAGE', message: /client state 2.*belongs to another version/ });
  t.equal(readFileSync(path, 'utf8'), 'meshnomad client state 2\nxyz');
});

t.test('a directory that cannot be written is an error in words', async (t) => {
  const path = join(folder(t), 'file');
  writeFileSync(path, '');
  t.throws(() => openClientDb(join(path, 'client')), { code: 'E_STORAGE', message: /cannot write/ });
});

t.test('the file is rewritten when most of it is no longer wanted', async (t) => {
  const dir = folder(t);
  const path = join(dir, 'client.log');
  const db = openClientDb(dir);
  db.putAlloc(fakeAlloc('n', fakeJob(), { ID: 'a' }));
  for (let i = 0; i < 4000; i++) db.putTask('a', 'web', record(`a/web/${i}`, i));
  t.ok(statSync(path).size < 600 * 1024);
  db.putLastIndex(4);
  const again = openClientDb(dir);
  t.same(contents(again), contents(db));
  t.equal(again.allocs.get('a')?.tasks['web']?.taskId, 'a/web/3999');
  await db.close();
  await again.close();
});

t.test('a refused write is an error, and made up for by the next that works', async (t) => {
  const dir = folder(t);
  const db = openClientDb(dir);
  db.putAlloc(fakeAlloc('n', fakeJob(), { ID: 'a' }));
  const { log } = db as unknown as { log: { append: (payload: string) => void } };
  const append = log.append.bind(log);
  log.append = () => {
    throw new Error('ENOSPC: no space left on device');
  };
  t.throws(() => db.putTask('a', 'web', record('a/web/1')), /ENOSPC/);
  log.append = append;
  db.putLastIndex(3);
  const again = openClientDb(dir);
  t.equal(again.allocs.get('a')?.tasks['web']?.taskId, 'a/web/1');
  t.equal(again.lastIndex, 3);
  await db.sync();
  await again.close();
  await db.close();
});
