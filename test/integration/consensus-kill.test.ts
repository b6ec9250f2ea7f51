import { spawn } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import t from 'tap';
import { openConsensus } from '../../lib/server/consensus.js';
import { systemTimers } from '../../lib/server/timers.js';
import { silentLog } from '../../lib/util/log.js';
import { seededRandom } from '../../lib/util/random.js';
import { createLedger } from '../server/ledger.js';

const KILLS = 60;
const CHILD = fileURLToPath(new URL('./consensus-child.js', import.meta.url));

/** Runs a writer until `ms` after its first acknowledgement, or after its start for `ms` < 0; returns what it printed. */
function runAndKill(dataDir: string, run: number, ms: number): Promise<string> {
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, [CHILD, dataDir, String(run)], { stdio: ['ignore', 'pipe', 'pipe'] });
    let printed = '';
    let complaint = '';
    const kill = (): void => void child.kill('SIGKILL');
    if (ms < 0) setTimeout(kill, -ms);
    child.stdout.once('data', () => setTimeout(kill, Math.max(0, ms)));
    child.stdout.on('data', (chunk: Buffer) => {
      printed += chunk.toString();
    });
    child.stderr.on('data', (chunk: Buffer) => {
      complaint += chunk.toString();
    });
    child.once('close', () => (complaint === '' ? resolve(printed) : reject(new Error(complaint))));
  });
}

t.test(
  'what was acknowledged survives kill -9 at any moment: once, whole, and in order',
  { timeout: 120_000 },
  async (t) => {
    const dataDir = mkdtempSync(join(tmpdir(), 'meshnomad-kill-'));
    t.teardown(() => rmSync(dataDir, { recursive: true, force: true }));
    const random = seededRandom(Number(process.env['MESHNOMAD_SEED'] ?? process.pid));
    const acknowledged = new Map<number, string>();
    for (let run = 0; run < KILLS; run++) {
      // Some die while they start, most while they write.
      const ms = random.next() < 0.2 ? -(60 + 200 * random.next()) : 250 * random.next();
      const lines = (await runAndKill(dataDir, run, ms)).split('\n');
      // The last line may be cut in the middle by the kill.
      for (const line of lines.slice(0, -1)) {
        const [index = '', value = ''] = line.split(' ');
        acknowledged.set(Number(index), value);
      }
    }
    const ledger = createLedger();
    const consensus = await openConsensus({
      dataDir,
      id: 'one',
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
      return filler.length !== (Number(n) * 37) % 900;
    });
    t.same(half, [], 'nothing is there by half');
    t.ok(consensus.stats().snapshotIndex > 0, 'snapshots were taken on the way');
    await consensus.close();
  },
);
