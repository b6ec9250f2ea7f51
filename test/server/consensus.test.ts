import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Test } from 'tap';
import t from 'tap';
import type { ConsensusOptions, RunningConsensus } from '../../lib/server/consensus.js';
import { openConsensus } from '../../lib/server/consensus.js';
import { APPLIED_PER_TURN_BYTES } from '../../lib/server/consensus-apply.js';
import type { Timers } from '../../lib/server/timers.js';
import { systemTimers } from '../../lib/server/timers.js';
import type { LogRecord } from '../../lib/util/log.js';
import { createLog } from '../../lib/util/log.js';
import { seededRandom } from '../../lib/util/random.js';
import { FaultyDisk } from '../storage/faulty-disk.js';
import type { Ledger } from './ledger.js';
import { createLedger, write } from './ledger.js';

interface Setup {
  readonly dataDir: string;
  readonly disk: FaultyDisk;
  readonly records: LogRecord[];
  open(options?: Partial<ConsensusOptions>): Promise<{ consensus: RunningConsensus; ledger: Ledger }>;
  /** What the one opened last has applied so far; it may be asked before that is open. */
  rows(): Ledger['rows'];
  /** Closes the one opened last. */
  close(): Promise<void>;
}

/** A disk in memory (only the lock is a real file), and timers that do not wait. */
function setup(t: Test): Setup {
  const dataDir = mkdtempSync(join(tmpdir(), 'meshnomad-consensus-'));
  const disk = new FaultyDisk();
  const records: LogRecord[] = [];
  const opened: RunningConsensus[] = [];
  let rows: Ledger['rows'] = [];
  t.teardown(async () => {
    disk.failing = false;
    for (const consensus of opened) await consensus.close();
    rmSync(dataDir, { recursive: true, force: true });
  });
  return {
    dataDir,
    disk,
    records,
    rows: () => rows,
    close: async () => opened.at(-1)?.close(),
    async open(options = {}) {
      const ledger = createLedger();
      rows = ledger.rows;
      const consensus = await openConsensus({
        dataDir,
        id: 'one',
        found: true,
        fsm: ledger,
        timers: impatient,
        now: () => performance.now(),
        random: seededRandom(1),
        log: createLog((record) => records.push(record)),
        disk,
        ...options,
      });
      opened.push(consensus);
      return { consensus, ledger };
    },
  };
}

/** Timers that wait for next to nothing, and that a test run waits for. */
const impatient: Timers = {
  setTimeout(_ms, fn) {
    const timer = setTimeout(fn, 1);
    return () => clearTimeout(timer);
  },
  soon: systemTimers.soon,
};

function leads(consensus: RunningConsensus): Promise<void> {
  return new Promise((resolve) => consensus.onLeadership((now) => now && resolve()));
}

async function started(world: Setup, options?: Partial<ConsensusOptions>) {
  const { consensus, ledger } = await world.open(options);
  const elected = leads(consensus);
  consensus.start();
  await elected;
  return { consensus, ledger };
}

t.test('one voter founds a mesh, leads at once, and answers when a command is applied', async (t) => {
  const world = setup(t);
  const { consensus } = await world.open();
  t.equal(consensus.isLeader, false);
  await t.rejects(consensus.propose(write('early')), { code: 'E_NO_LEADER' });
  const elected = leads(consensus);
  consensus.start();
  await elected;
  t.same([consensus.isLeader, consensus.leader, consensus.lastContactMs()], [true, 'one', 0]);
  t.same(await consensus.propose(write('a')), { index: 3, result: 'applied a' });
  t.equal(await consensus.readIndex(), 3);
  t.match(consensus.stats(), { state: 'running', term: 2, appliedIndex: 3, voters: ['one'] });
});

t.test('what is proposed in one turn, or while a write is under way, shares a write', async (t) => {
  const world = setup(t);
  const { consensus, ledger } = await started(world);
  const before = world.disk.operations;
  const values = Array.from({ length: 200 }, (_, i) => `v${i}`);
  const outcomes = await Promise.all(values.map((value) => consensus.propose(write(value))));
  t.ok(world.disk.operations - before <= 4, `${world.disk.operations - before} disk operations for 200 proposals`);
  t.same(
    ledger.rows.map(({ value }) => value),
    values,
    'in the order in which they came',
  );
  t.same(
    outcomes.map(({ index }) => index),
    ledger.rows.map(({ index }) => index),
  );
});

t.test('after a restart leadership is told only when everything before is applied', async (t) => {
  const world = setup(t);
  const first = await started(world);
  // So large that they are not all handed out at once.
  for (const value of ['a', 'b', 'c']) await first.consensus.propose(write(value.repeat(600_000)));
  await first.consensus.close();
  const { consensus, ledger } = await world.open();
  let seen = -1;
  consensus.onLeadership((now) => {
    if (now) seen = ledger.rows.length;
  });
  const elected = leads(consensus);
  consensus.start();
  await elected;
  t.equal(seen, 3);
});

/** Timers that call `before` at the end of each turn that somebody asked for. */
const watched = (before: () => void): Timers => ({
  ...impatient,
  soon: (fn) =>
    impatient.soon(() => {
      before();
      fn();
    }),
});

t.test('what is committed together is not applied in one turn, however much it is', async (t) => {
  for (const [size, count] of [
    [20_000, 100],
    [10, 500],
  ] as const) {
    const world = setup(t);
    const counted = { seen: 0, most: 0 };
    const timers = watched(() => {
      const now = world.rows().length;
      counted.most = Math.max(counted.most, now - counted.seen);
      counted.seen = now;
    });
    const { consensus, ledger } = await started(world, { timers });
    await Promise.all(Array.from({ length: count }, (_, i) => consensus.propose(write(`${i}`.padEnd(size, 'x')))));
    const inOrder = Array.from({ length: count }, (_, i) => String(i));
    t.same(
      ledger.rows.map(({ value }) => value.replace(/x+$/, '')),
      inOrder,
    );
    const allowed = Math.min(APPLIED_PER_TURN_BYTES / size + 1, 32);
    t.ok(counted.most > 1 && counted.most <= allowed, `${counted.most} of ${size} bytes in one turn`);
  }
});

t.test('closed while it rests from applying, it applies the rest of what is committed', async (t) => {
  const world = setup(t);
  let closed: Promise<void> | null = null;
  const timers = watched(() => {
    if (world.rows().length > 0) closed ??= world.close();
  });
  const { consensus, ledger } = await started(world, { timers });
  const proposed = Array.from({ length: 100 }, (_, i) => consensus.propose(write(`${i}`.padEnd(20_000, 'x'))));
  const outcomes = await Promise.all(proposed);
  t.not(closed, null);
  await closed;
  t.equal(ledger.rows.length, 100);
  t.same(
    outcomes.map(({ index }) => index),
    ledger.rows.map(({ index }) => index),
  );
});

t.test('a write that fails while it rests from applying fails nothing that was committed before', async (t) => {
  const world = setup(t);
  const timers = watched(() => {
    if (world.rows().length > 0 && world.rows().length < 100) world.disk.failing = true;
  });
  const { consensus, ledger } = await started(world, { timers });
  const proposed = Array.from({ length: 100 }, (_, i) => consensus.propose(write(`${i}`.padEnd(20_000, 'x'))));
  while (ledger.rows.length === 0) await new Promise((resolve) => setImmediate(resolve));
  await t.rejects(consensus.propose(write('on a bad disk')), { code: 'E_STORAGE' });
  t.equal((await Promise.allSettled(proposed)).length, 100);
  t.equal(ledger.rows.length, 100, 'what was committed is applied');
  const healed = leads(consensus);
  world.disk.failing = false;
  await healed;
  await consensus.propose(write('after'));
  t.equal(ledger.rows.at(-1)?.value, 'after');
  t.equal(new Set(ledger.rows.map(({ index }) => index)).size, ledger.rows.length);
});

t.test('a listener that fails does not stop consensus', async (t) => {
  const world = setup(t);
  const { consensus } = await world.open();
  consensus.onLeadership(() => {
    throw new Error('planted');
  });
  const elected = leads(consensus);
  consensus.start();
  await elected;
  await consensus.propose(write('a'));
  t.ok(world.records.some(({ level, fields }) => level === 'error' && /planted/.test(String(fields['error']))));
});

t.test('close finishes what was proposed, and then refuses', async (t) => {
  const world = setup(t);
  const { consensus, ledger } = await started(world);
  const heard: boolean[] = [];
  consensus.onLeadership((now) => heard.push(now));
  const proposed = consensus.propose(write('last'));
  await consensus.close();
  t.equal((await proposed).result, 'applied last');
  t.same(heard, [false]);
  t.equal(ledger.rows.length, 1);
  await t.rejects(consensus.propose(write('late')), { code: 'E_NO_LEADER', message: /shutting down/ });
  await consensus.close();
});

t.test('started with a disk that takes nothing, it answers no read before it has replayed its log', async (t) => {
  const world = setup(t);
  const before = await started(world);
  await before.consensus.propose(write('acknowledged'));
  // As the power cut left it: how far all was committed is known no better than from the last election.
  const disk = world.disk.copy(world.disk.location);
  await before.consensus.close();
  const { consensus, ledger } = await world.open({ disk });
  disk.failing = true;
  consensus.start();
  while (consensus.stats().state !== 'broken') await new Promise((resolve) => setTimeout(resolve, 5));
  await t.rejects(consensus.readIndex());
  t.same(ledger.rows, [], 'it knows of nothing yet');
  const healed = leads(consensus);
  disk.failing = false;
  await healed;
  t.equal(await consensus.readIndex(), consensus.appliedIndex());
  t.same(
    ledger.rows.map(({ value }) => value),
    ['acknowledged'],
  );
});

t.test('a full disk: proposals fail with E_STORAGE, reads of the state go on, and it heals by itself', async (t) => {
  const world = setup(t);
  const { consensus, ledger } = await started(world);
  await consensus.propose(write('before'));
  const heard: boolean[] = [];
  consensus.onLeadership((now) => heard.push(now));
  world.disk.capacity = 300_000;
  const large = 'x'.repeat(400_000);
  await t.rejects(consensus.propose(write(large)), { code: 'E_STORAGE', message: /the disk is full/ });
  await t.rejects(consensus.propose(write('refused')), { code: 'E_STORAGE' });
  t.equal(consensus.isLeader, false);
  t.equal(consensus.stats().state, 'broken');
  t.equal(consensus.leader, '');
  t.equal(await consensus.readIndex(), 3, 'what was acknowledged can be read');
  const healed = leads(consensus);
  world.disk.capacity = Number.POSITIVE_INFINITY;
  await healed;
  await consensus.propose(write('after'));
  t.same(
    ledger.rows.map(({ value }) => value),
    ['before', 'after'],
    'what was refused is not there',
  );
  t.same(heard, [false, true]);
  await consensus.close();
  world.disk.crash(seededRandom(5));
  const again = await started(world);
  t.same(
    again.ledger.rows.map(({ value }) => value),
    ['before', 'after'],
    'nor after a power failure',
  );
});

t.test('it can be closed while the disk refuses', async (t) => {
  const world = setup(t);
  const { consensus } = await started(world);
  world.disk.failing = true;
  await t.rejects(consensus.propose(write('a')), { code: 'E_STORAGE' });
  await consensus.close();
  t.equal(consensus.stats().state, 'closed');
  world.disk.failing = false;
  for (let turn = 0; turn < 50; turn++) await new Promise(setImmediate);
  t.equal(consensus.stats().state, 'closed', 'no repair brings it back');
});

t.test('a failed sync acknowledges nothing, and what it may have lost does not come back', async (t) => {
  for (let seed = 1; seed <= 20; seed++) {
    const world = setup(t);
    const { consensus, ledger } = await started(world);
    await consensus.propose(write('before'));
    world.disk.failNextSync = true;
    const healed = leads(consensus);
    await t.rejects(consensus.propose(write('lost')), { code: 'E_STORAGE' });
    await healed;
    await consensus.propose(write('after'));
    await consensus.close();
    world.disk.crash(seededRandom(seed));
    const again = await started(world);
    t.same(again.ledger.rows, ledger.rows);
    t.same(
      ledger.rows.map(({ value }) => value),
      ['before', 'after'],
    );
  }
});

t.test('snapshots shorten the log; the damaged newest one is passed over for the one before', async (t) => {
  const world = setup(t);
  const limits = { snapshotBytes: 2000, segmentBytes: 1000 };
  const { consensus, ledger } = await started(world, { limits });
  for (let i = 0; i < 400; i++) await consensus.propose(write(`value-${i}`));
  const { snapshotIndex } = consensus.stats();
  t.ok(snapshotIndex > 100, `the newest is at ${snapshotIndex}`);
  await consensus.close();
  const kept = (part: string) => world.disk.paths().filter((path) => path.includes(part));
  t.equal(kept('/snapshots/').length, 2);
  const again = await started(world, { limits });
  t.same(again.ledger.rows, ledger.rows);
  await again.consensus.close();
  const newest = kept('/snapshots/').sort().at(-1) ?? '';
  world.disk.bytes(newest).fill(7, 300, 320);
  const third = await started(world, { limits });
  t.same(third.ledger.rows, ledger.rows, 'the log still reaches back to the older one');
  await third.consensus.close();
  for (const path of kept('/snapshots/')) world.disk.bytes(path).fill(7, 300, 320);
  await t.rejects(world.open({ limits }), { code: 'E_STORAGE', message: /are in no snapshot that can be read/ });
});

t.test('a snapshot that cannot be written is tried again later, and nothing else suffers', async (t) => {
  const world = setup(t);
  const { consensus, ledger } = await started(world, { limits: { snapshotBytes: 1000 } });
  const original = ledger.snapshot;
  ledger.snapshot = () =>
    async function* () {
      yield new Uint8Array(1);
      throw Object.assign(new Error('disk'), { code: 'EIO' });
    };
  for (let i = 0; i < 100; i++) await consensus.propose(write(`value-${i}`));
  t.equal(consensus.stats().snapshotIndex, 0);
  t.ok(world.records.some(({ level, message }) => level === 'warn' && /no snapshot could be written/.test(message)));
  ledger.snapshot = original;
  for (let i = 0; i < 3; i++) await consensus.propose(write('x'.repeat(600_000)));
  await consensus.close();
  t.ok(consensus.stats().snapshotIndex > 0);
});

t.test('a command that cannot be applied is told to its proposer, and the others go on', async (t) => {
  const { consensus, ledger } = await started(setup(t));
  const [defect, good] = await Promise.allSettled([
    consensus.propose(write('defect')),
    consensus.propose(write('good')),
  ]);
  t.match(defect, { status: 'rejected', reason: { code: 'E_INTERNAL' } });
  t.match(good, { status: 'fulfilled' });
  t.equal(ledger.rows.length, 1);
});

t.test('a data directory is for one server and one process', async (t) => {
  const world = setup(t);
  const { consensus } = await started(world);
  await t.rejects(world.open(), { code: 'E_CONFLICT', message: /in use by process/ });
  await consensus.close();
  await t.rejects(world.open({ id: 'two' }), { code: 'E_CONFLICT', message: /belongs to server one, this is two/ });
});

t.test('a log that lost acknowledged entries is not started from', async (t) => {
  const world = setup(t);
  const { consensus } = await started(world);
  await consensus.propose(write('a'));
  await consensus.close();
  for (const path of world.disk.paths()) if (path.includes('/log/')) world.disk.remove(path);
  await t.rejects(world.open(), { code: 'E_STORAGE', message: /ends at entry 0, though 3 were committed/ });
});

t.test('a log whose vote is gone is not started from', async (t) => {
  const world = setup(t);
  const { consensus } = await started(world);
  await consensus.close();
  for (const path of world.disk.paths()) if (path.endsWith('vote.json')) world.disk.remove(path);
  await t.rejects(world.open(), { code: 'E_STORAGE', message: /term and vote are of term 0 or missing/ });
});

t.test('a mesh founded while the power fails is founded again', async (t) => {
  for (let operations = 0; operations < 16; operations++) {
    const world = setup(t);
    world.disk.operationsLeft = operations;
    const opened = await world.open().catch((error: Error) => error);
    if (!(opened instanceof Error)) await opened.consensus.close();
    world.disk.crash(seededRandom(operations));
    const { consensus } = await started(world);
    t.equal((await consensus.propose(write('a'))).result, 'applied a', `after ${operations} operations`);
  }
});

t.test('without a data directory everything is in memory', async (t) => {
  const world = setup(t);
  const { consensus, ledger } = await started(world, { dataDir: null, limits: { snapshotBytes: 500 } });
  for (let i = 0; i < 50; i++) await consensus.propose(write(`value-${i}`));
  t.equal(ledger.rows.length, 50);
  t.ok(consensus.stats().snapshotIndex > 0);
  t.same(world.disk.paths(), []);
});

t.test('what a newer version wrote stops consensus and is not skipped', async (t) => {
  const world = setup(t);
  const { consensus } = await started(world);
  const { MeshError } = await import('../../lib/structs/errors.js');
  await consensus.propose(write('a'));
  await consensus.close();
  const { consensus: again, ledger } = await world.open();
  ledger.apply = () => {
    throw new MeshError('E_NOT_SUPPORTED', 'a newer version wrote this');
  };
  again.start();
  const halted = async (): Promise<void> => {
    while (again.stats().state !== 'halted') await new Promise(setImmediate);
  };
  await halted();
  await t.rejects(again.propose(write('b')), { code: 'E_NOT_SUPPORTED' });
  t.equal(again.isLeader, false);
});
