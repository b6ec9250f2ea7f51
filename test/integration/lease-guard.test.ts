import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import t, { type Test } from 'tap';
import { LeaseGuard, uptimeMs } from '../../lib/client/lease-guard.js';
import { VOLUME_LEASE } from '../../lib/structs/rpc-volume.js';
import { mayMount, ownMounts } from '../support/own-mounts.js';

// What no agent is there to stop is stopped all the same when its lease has ended: real mounts, real processes, and a guard that
// is a process of its own.

ownMounts(import.meta.url);
const skip = mayMount ? false : 'mounts need root';
const WAIT_MS = 90_000;

async function until(what: string, holds: () => boolean): Promise<void> {
  const endMs = Date.now() + WAIT_MS;
  while (!holds()) {
    if (Date.now() > endMs) throw new Error(`waited in vain: ${what}`);
    await wait(50);
  }
}

const isAlive = ({ exitCode, signalCode }: ChildProcess): boolean => exitCode === null && signalCode === null;
const isMounted = (target: string): boolean => readFileSync('/proc/self/mountinfo', 'utf8').includes(` ${target} `);

/** Guards of the file. What one of them has begun is not another: a fork looks like its parent until it runs its program. */
function guards(file: string): number {
  const parents = new Map<number, number>();
  for (const pid of readdirSync('/proc').map(Number).filter(Number.isInteger)) {
    try {
      if (pid === process.pid || !readFileSync(`/proc/${pid}/cmdline`, 'utf8').split('\0').includes(file)) continue;
      const stat = readFileSync(`/proc/${pid}/stat`, 'latin1');
      parents.set(pid, Number(stat.slice(stat.lastIndexOf(')') + 4).split(' ')[0]));
    } catch {
      // It has ended by itself.
    }
  }
  return [...parents.values()].filter((parent) => !parents.has(parent)).length;
}

function createWorld(t: Test) {
  const dir = mkdtempSync(join(tmpdir(), 'lease-'));
  const target = join(dir, 'target');
  mkdirSync(target);
  execFileSync('mount', ['-t', 'tmpfs', 'tmpfs', target]);
  const children: ChildProcess[] = [];
  const run = (program: string, ...args: string[]): ChildProcess => {
    const child = spawn(program, args, { stdio: 'ignore' });
    children.push(child);
    return child;
  };
  t.teardown(async () => {
    for (const child of children) child.kill('SIGKILL');
    if (isMounted(target)) execFileSync('umount', ['-l', target]);
    rmSync(dir, { recursive: true });
    await until('the guard ends', () => guards(join(dir, 'volume-lease')) === 0);
  });
  return { dir, target, run, file: join(dir, 'volume-lease') };
}

t.test('a guard ends who writes, however it got there, when nobody renews the lease', { skip }, async (t) => {
  const { dir, target, run, file } = createWorld(t);
  const stubborn = `trap "" TERM; exec 3>${target}/open; while :; do echo row >&3; sleep 0.1; done`;
  const writer = run('/bin/sh', '-c', stubborn);
  // A container sees the volume at another place, in a view of its own.
  const contained = run('unshare', '--mount', 'sleep', '1000');
  const bystander = run('sleep', '1000');
  await until('it writes', () => existsSync(join(target, 'open')));
  const guard = new LeaseGuard(dir);
  guard.keep({ renewedUptimeMs: uptimeMs(), targets: [target] });
  guard.keep({ renewedUptimeMs: uptimeMs(), targets: [target] });
  t.equal(guards(file), 1, 'one is enough');
  await wait(3_000);
  t.ok(isAlive(writer) && isMounted(target), 'while the lease stands nothing happens');
  t.strictSame(guard.read()?.targets, [target], 'an agent that comes back reads what it left');

  guard.keep({ renewedUptimeMs: uptimeMs() - VOLUME_LEASE.passOnAfterMs, targets: [target] });
  await until('both are ended', () => !isAlive(writer) && !isAlive(contained));
  await until('it is unmounted', () => !isMounted(target));
  await until('its work is done', () => guards(file) === 0);
  t.ok(isAlive(bystander), 'who has nothing to do with it goes on');
  t.notOk(existsSync(file));
});

t.test(
  'what cannot be ended now, in the middle of an upgrade for one, is ended as soon as that is over',
  { skip },
  async (t) => {
    const { dir, target, run, file } = createWorld(t);
    const writer = run('/bin/sh', '-c', `exec 3>${target}/open; exec sleep 1000`);
    await until('it writes', () => existsSync(join(target, 'open')));
    const part = join(dir, 'part.cjs');
    const before = process.env['NODE_OPTIONS'];
    process.env['NODE_OPTIONS'] = `--require ${part}`;
    const guard = new LeaseGuard(dir);
    guard.keep({ renewedUptimeMs: uptimeMs() - VOLUME_LEASE.passOnAfterMs, targets: [target] });
    if (before === undefined) delete process.env['NODE_OPTIONS'];
    else process.env['NODE_OPTIONS'] = before;
    await wait(3_000);
    t.ok(isAlive(writer) && guards(file) > 0, 'somebody still means to do it');
    writeFileSync(part, '');
    await until('it is ended and unmounted', () => !isAlive(writer) && !isMounted(target));
    await until('its work is done', () => guards(file) === 0);
  },
);

t.test('who lets go of the volumes needs no guard', { skip }, async (t) => {
  const { dir, target, file } = createWorld(t);
  const guard = new LeaseGuard(dir);
  guard.keep({ renewedUptimeMs: uptimeMs(), targets: [target] });
  t.equal(guards(file), 1);
  guard.keep({ renewedUptimeMs: uptimeMs(), targets: [] });
  await until('it goes', () => guards(file) === 0);
  t.ok(isMounted(target));
});
