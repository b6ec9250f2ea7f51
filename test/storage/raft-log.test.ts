import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import t from 'tap';
import type { Entry, LogStore } from '../../lib/raft/index.js';
import { crc32c } from '../../lib/storage/crc32c.js';
import { memoryRaftLog, openRaftLog } from '../../lib/storage/index.js';
import { randomInt, seededRandom } from '../../lib/util/random.js';
import { contents, entries, entry, logStoreSuite } from '../conformance/log-store.js';
import { FaultyDisk } from './faulty-disk.js';

const FOLDER = '/log';
// TAP_TIMEOUT=600 MESHNOMAD_SIM_SEEDS=20000 for a long look.
const SEEDS = Number(process.env['MESHNOMAD_SIM_SEEDS'] ?? 500);
const HEADER_BYTES = 32;

t.test('crc32c gives the known values', async (t) => {
  const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);
  t.equal(crc32c(bytes('123456789')), 0xe3069283);
  t.equal(crc32c(new Uint8Array(32)), 0x8a9136aa);
  t.equal(crc32c(new Uint8Array(32).fill(0xff)), 0x62a8ab43);
  t.equal(crc32c(bytes('')), 0);
  t.equal(crc32c(bytes('6789'), 0, 4, crc32c(bytes('12345'))), 0xe3069283, 'in two parts');
});

t.test('in memory', (t) => logStoreSuite(t, { open: async () => memoryRaftLog() }));

t.test('on disk', async (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'meshnomad-log-'));
  t.teardown(() => rmSync(folder, { recursive: true, force: true }));
  let n = 0;
  const folders = new Map<LogStore, string>();
  const open = async (path = join(folder, String(n++))): Promise<LogStore> => {
    const log = await openRaftLog(path, { segmentBytes: 20_000 });
    folders.set(log, path);
    return log;
  };
  await logStoreSuite(t, {
    open: () => open(),
    async reopen(log) {
      await log.close();
      return open(folders.get(log));
    },
  });
});

t.test('compaction frees whole segments', async (t) => {
  const disk = new FaultyDisk();
  const log = await openRaftLog(FOLDER, { disk, segmentBytes: 500 });
  for (let index = 1; index <= 100; index++) await log.append([entry(1, index)]);
  const before = disk.paths().length;
  await log.compact(90);
  t.ok(before > 5, `${before} segments`);
  t.ok(disk.paths().length <= 2, `${disk.paths().length} after compaction`);
  t.equal(contents(log).length, 10);
});

/** Five entries, each its own write, in one segment; returns the segment's path. */
async function five(disk: FaultyDisk): Promise<string> {
  const log = await openRaftLog(FOLDER, { disk });
  for (let index = 1; index <= 5; index++) await log.append([entry(1, index, `payload-${index}`)]);
  await log.close();
  return disk.paths()[0] ?? '';
}

const RECORD_BYTES = 32 + 16;
/** Bytes that no checksum covers: the filling behind a payload. */
const isFilling = (at: number): boolean => (at - HEADER_BYTES) % RECORD_BYTES >= 32 + 'payload-1'.length;

t.test(
  'a flipped bit in an acknowledged entry is refused, wherever it is; in the newest write it is cut',
  async (t) => {
    for (let at = HEADER_BYTES; at < HEADER_BYTES + 5 * RECORD_BYTES; at++) {
      const disk = new FaultyDisk();
      const path = await five(disk);
      const bytes = disk.bytes(path);
      bytes[at] = (bytes[at] as number) ^ (1 << (at % 8));
      const hit = Math.floor((at - HEADER_BYTES) / RECORD_BYTES) + 1;
      const opened = await openRaftLog(FOLDER, { disk }).catch((error: Error) => error);
      if (isFilling(at)) {
        t.notOk(opened instanceof Error, `byte ${at} is filling`);
      } else if (hit < 5) {
        t.match(
          opened,
          { code: 'E_STORAGE', message: new RegExp(`entry ${hit} of the raft log is damaged`) },
          `byte ${at}`,
        );
      } else {
        t.equal((opened as LogStore).lastIndex(), 4, `byte ${at}: as if the last write had been torn`);
      }
    }
  },
);

t.test('a foreign, damaged or newer head is refused with words', async (t) => {
  const rows: [number, RegExp, string][] = [
    [0, /is no raft log/, 'E_STORAGE'],
    [7, /has format version 0, this program reads version 1/, 'E_NOT_SUPPORTED'],
    [12, /the head of .* is damaged/, 'E_STORAGE'],
  ];
  for (const [at, message, code] of rows) {
    const disk = new FaultyDisk();
    const bytes = disk.bytes(await five(disk));
    bytes[at] = (bytes[at] as number) ^ 1;
    await t.rejects(openRaftLog(FOLDER, { disk }), { code, message }, `byte ${at}`);
  }
});

t.test('a missing segment is refused', async (t) => {
  const disk = new FaultyDisk();
  const log = await openRaftLog(FOLDER, { disk, segmentBytes: 200 });
  for (let index = 1; index <= 20; index++) await log.append([entry(1, index)]);
  disk.remove(disk.paths().sort()[1] ?? '');
  await t.rejects(openRaftLog(FOLDER, { disk }), { code: 'E_STORAGE', message: /entry 6 of the raft log is damaged/ });
});

t.test('a write torn at any byte leaves what came before, and the log goes on', async (t) => {
  const base = new FaultyDisk();
  const path = await five(base);
  const whole = base.bytes(path).slice();
  for (let cut = HEADER_BYTES + 3 * RECORD_BYTES; cut <= HEADER_BYTES + 5 * RECORD_BYTES; cut += 1) {
    const disk = new FaultyDisk();
    await five(disk);
    disk.bytes(path).set(whole.subarray(0, cut));
    disk.bytes(path).fill(0, cut);
    let log = await openRaftLog(FOLDER, { disk });
    const last = log.lastIndex();
    // The filling of a record may be cut: it means nothing.
    const full = Math.floor((cut - HEADER_BYTES + 16 - 'payload-1'.length) / RECORD_BYTES);
    t.equal(last, full, `cut at byte ${cut}`);
    await log.append([entry(2, last + 1, 'after')]);
    await log.close();
    log = await openRaftLog(FOLDER, { disk });
    t.equal(contents(log).at(-1), `${last + 1}@2=after`);
  }
});

t.test('a full disk refuses the write, keeps what it had, and takes writes again when there is room', async (t) => {
  const disk = new FaultyDisk();
  const log = await openRaftLog(FOLDER, { disk });
  await log.append(entries(1, 1, 3));
  disk.capacity = 270_000;
  const large = entry(1, 4, 'x'.repeat(300_000));
  await t.rejects(log.append([large]), { code: 'E_STORAGE', message: /the disk is full: free some space/ });
  t.equal(log.lastIndex(), 3);
  await t.rejects(log.append([entry(1, 4)]), { code: 'E_STORAGE' }, 'nothing before the repair');
  await t.rejects(log.repair(), { code: 'E_STORAGE' }, 'there is no room yet');
  t.equal(contents(log).length, 3, 'it can still be read');
  t.notOk(
    disk.paths().some((path) => path.endsWith('.tmp')),
    'and the attempts leave nothing behind',
  );
  disk.capacity = Number.POSITIVE_INFINITY;
  await log.repair();
  await log.append([entry(2, 4, 'again')]);
  disk.crash(seededRandom(1));
  t.equal(contents(await openRaftLog(FOLDER, { disk })).at(-1), '4@2=again');
});

t.test('an entry that cannot be read now is there when the disk is well again', async (t) => {
  const disk = new FaultyDisk();
  await (await openRaftLog(FOLDER, { disk })).append(entries(1, 1, 5));
  const log = await openRaftLog(FOLDER, { disk });
  disk.failingReads = true;
  t.throws(() => log.entries(1, 5, 1e6), { code: 'E_STORAGE', message: /cannot read .*the disk reports an error/ });
  disk.failingReads = false;
  t.equal(log.entries(1, 5, 1e6).length, 5);
});

t.test('a failed sync is never taken for success later', async (t) => {
  const disk = new FaultyDisk();
  const log = await openRaftLog(FOLDER, { disk });
  await log.append(entries(1, 1, 3));
  disk.failNextSync = true;
  await t.rejects(log.append([entry(1, 4, 'lost')]), { code: 'E_STORAGE' });
  await log.repair();
  await log.append([entry(1, 4, 'kept')]);
  disk.crash(seededRandom(3));
  t.same(contents(await openRaftLog(FOLDER, { disk })).slice(3), ['4@1=kept']);
});

/** A run of random work that the power ends at a random operation; returns a report of what is wrong, or nothing. */
async function crashRun(seed: number): Promise<string | undefined> {
  const random = seededRandom(seed);
  const disk = new FaultyDisk();
  const options = { disk, segmentBytes: 600 };
  /** Index → term and text, for what was acknowledged. */
  let acknowledged = new Map<number, string>();
  let first = 1;
  let term = 1;
  for (let life = 0; life < 6; life++) {
    const log = await openRaftLog(FOLDER, options);
    const found = contents(log);
    const there = new Map(found.map((text) => [Number(text.split('@')[0]), text]));
    for (const [index, text] of acknowledged) {
      if (index >= log.firstIndex() && there.get(index) !== text) return `${index}: ${text} became ${there.get(index)}`;
    }
    if (log.firstIndex() > first) return `the log begins at ${log.firstIndex()}, it was compacted to ${first}`;
    acknowledged = there;
    disk.operationsLeft = randomInt(random, 40);
    try {
      for (;;) {
        const dice = random.next();
        const last = log.lastIndex();
        if (dice < 0.1) {
          first = Math.max(first, Math.min(last, log.firstIndex() + randomInt(random, 5)));
          await log.compact(first - 1);
        } else if (dice < 0.13) {
          // A snapshot takes the place of everything, sooner or later.
          acknowledged = new Map();
          first = last + 2 + randomInt(random, 3);
          await log.reset({ index: first - 1, term });
        } else {
          const conflicts = dice < 0.3 && last > first;
          const from = conflicts ? last - randomInt(random, Math.min(3, last - first)) : last + 1;
          if (conflicts) term++;
          // What is being replaced may be gone or not.
          for (let index = from; index <= last; index++) acknowledged.delete(index);
          const batch: Entry[] = entries(term, from, from + randomInt(random, 4));
          await log.append(batch);
          for (const { index, term: at } of batch) acknowledged.set(index, `${index}@${at}=${at}/${index}`);
        }
      }
    } catch (error) {
      if ((error as { code?: string }).code !== 'E_STORAGE') throw error;
    }
    // Sometimes the agent lives on and repairs before the power goes for good.
    if (random.next() < 0.3) {
      disk.operationsLeft = Number.POSITIVE_INFINITY;
      await log.repair();
      const next = log.lastIndex() + 1;
      await log.append([entry(++term, next)]);
      for (const index of acknowledged.keys()) if (index > next) acknowledged.delete(index);
      acknowledged.set(next, `${next}@${term}=${term}/${next}`);
    }
    disk.crash(random);
  }
  return undefined;
}

t.test(
  'whenever the power goes, what was acknowledged is there and nothing is in disorder',
  { timeout: 300_000 },
  async (t) => {
    for (let seed = 1; seed <= SEEDS; seed++) {
      const wrong = await crashRun(seed).catch((error: Error) => error.stack);
      if (wrong !== undefined) {
        t.fail(`seed=${seed}: ${wrong}`);
        return;
      }
    }
  },
);
