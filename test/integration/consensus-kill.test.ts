import { spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import t from 'tap';
import { openConsensus } from '../../lib/server/consensus.js';
import { systemTimers } from '../../lib/server/timers.js';
import { silentLog } from '../../lib/util/log.js';
import { seededRandom } from '../../lib/util/random.js';
import { createLedger, fillerLength } from '../server/ledger.js';

// Half a minute on a quiet machine; tap's own limit for a whole file is just that.
t.setTimeout(180_000);

const KILLS = 60;
const CHILD = fileURLToPath(new URL('./consensus-child.js', import.meta.url));

/** Runs a writer until `ms` after its first acknowledgement, or after its start for `ms` < 0. */
function runAndKill(dataDir: string, run: number, notes: string, ms: number): Promise<void> {
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, [CHILD, dataDir, String(run), notes], { stdio: ['ignore', 'pipe', 'pipe'] });
    let complaint = '';
    const kill = (): void => void child.kill('SIGKILL');
    if (ms < 0) setTimeout(kill, -ms);
    child.stdout.once('data', () => setTimeout(kill, Math.max(0, ms)));
    child.stderr.on('data', (chunk: Buffer) => {
      complaint += chunk.toString();
    });
    child.once('close', () => (complaint === '' ? resolve() : reject(new Error(complaint))));
  });
}

t.test(
  'what was acknowledged survives kill -9 at any moment: once, whole, and in order',
  { timeout: 170_000 },
  async (t) => {
    const dataDir = mkdtempSync(join(tmpdir(), 'meshnomad-kill-'));
    t.teardown(() => rmSync(dataDir, { recursive: true, force: true }));
    const notes = join(dataDir, 'acknowledged');
    const random = seededRandom(Number(process.env['MESHNOMAD_SEED'] ?? process.pid));
    const acknowledged = new Map<number, string>();
    for (let run = 0; run < KILLS; run++) {
      // Some die while they start, most while they write.
      const ms = random.next() < 0.2 ? -(60 + 200 * random.next()) : 250 * random.next();
      await runAndKill(dataDir, run, notes, ms);
    }
    // A line may be cut in the middle by the kill, and the next run's first be glued to it: a value says whether it is whole.
    for (const line of readFileSync(notes, 'utf8').split('\n')) {
      const match = /^(\d+) (\d+\.\d+\.(\d+)\.(x*))$/.exec(line);
      if (match?.[4]?.length === fillerLength(Number(match?.[3]))) acknowledged.set(Number(match[1]), match[2] ?? '');
    }
    const ledger = createLedger();
    const consensus = await openConsensus({
      dataDir,
      id: 'one',
      found: true,
      fsm: ledger,
      timers: systemTimers,
      now: () => performance.now(),
      random,
      log: silentLog,
    });
    await new Promise<void>((resolve) => {
      consensus.onLeadership((leads) => leads && resolve());
      consensus.start();
    });
    const values = new Map(ledger.rows.map(({ index, value }) => [index, value]));
    t.ok(acknowledged.size > KILLS * 10, `${acknowledged.size} were acknowledged, ${ledger.rows.length} are there`);
    t.equal(values.size, ledger.rows.length, 'an index is there once');
    t.equal(new Set(values.values()).size, ledger.rows.length, 'a value is there once');
    t.ok(
      ledger.rows.every(({ index }, i) => index > (ledger.rows[i - 1]?.index ?? 0)),
      'they are in order',
    );
    const lost = [...acknowledged].filter(([index, value]) => values.get(index) !== value);
    t.same(lost, [], 'every acknowledged write is there, as it was written');
    const half = ledger.rows.filter(({ value }) => {
      const [, , n = '', filler = ''] = value.split('.');
      return filler.length !== fillerLength(Number(n));
    });
    t.same(half, [], 'nothing is there by half');
    t.ok(consensus.stats().snapshotIndex > 0, 'snapshots were taken on the way');
    await consensus.close();
  },
);
