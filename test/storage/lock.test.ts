import { spawn } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import t from 'tap';
import { acquireLock } from '../../lib/storage/index.js';

function folder(t: Tap): string {
  const path = mkdtempSync(join(tmpdir(), 'meshnomad-lock-'));
  t.teardown(() => rmSync(path, { recursive: true, force: true }));
  return path;
}

type Tap = { teardown: (fn: () => void) => void };

t.test('a data directory has one holder; who comes second learns who it is and what to do', async (t) => {
  const path = folder(t);
  const lock = acquireLock(path);
  t.throws(() => acquireLock(path), {
    code: 'E_CONFLICT',
    message: new RegExp(`in use by process ${process.pid}: stop that agent, or give this one another -data-dir`),
  });
  lock.release();
  lock.release();
  acquireLock(path).release();
  t.same(readdirSync(path), [], 'nothing is left behind');
});

t.test(
  'the lock of a dead process is taken over, also if its number lives on in another process or boot',
  async (t) => {
    const path = folder(t);
    const file = join(path, 'agent.lock');
    acquireLock(path);
    const mine = JSON.parse(readFileSync(file, 'utf8'));
    t.equal(mine.pid, process.pid);
    const dead = await deadPid();
    for (const stale of [
      JSON.stringify({ ...mine, pid: dead }),
      JSON.stringify({ ...mine, started: '1' }),
      JSON.stringify({ ...mine, boot: 'another' }),
      'garbage',
      '',
    ]) {
      writeFileSync(file, stale);
      const lock = acquireLock(path);
      t.equal(JSON.parse(readFileSync(file, 'utf8')).pid, process.pid, `in place of ${stale}`);
      lock.release();
    }
  },
);

t.test('a folder that cannot be written is said to be so', async (t) => {
  const file = join(folder(t), 'file');
  writeFileSync(file, '');
  t.throws(() => acquireLock(join(file, 'below')), { code: 'E_STORAGE' });
});

function deadPid(): Promise<number> {
  return new Promise((resolve) => {
    const child = spawn('true');
    child.once('exit', () => resolve(child.pid ?? 0));
  });
}
