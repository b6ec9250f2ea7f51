// How fast consensus takes writes: node dist/test/server/consensus-bench.js [--memory] [--bytes N]
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import type { RunningConsensus } from '../../lib/server/consensus.js';
import { openConsensus } from '../../lib/server/consensus.js';
import { systemTimers } from '../../lib/server/timers.js';
import { silentLog } from '../../lib/util/log.js';
import { seededRandom } from '../../lib/util/random.js';
import { createLedger, write } from './ledger.js';

const ROUNDS = [
  { clients: 1, writes: 3000 },
  { clients: 16, writes: 20_000 },
  { clients: 64, writes: 20_000 },
];

const { values: flags } = parseArgs({
  options: { memory: { type: 'boolean', default: false }, bytes: { type: 'string', default: '1500' } },
});
const folder = mkdtempSync(join(tmpdir(), 'meshnomad-bench-'));
const filler = 'x'.repeat(Number(flags.bytes));

async function open(): Promise<RunningConsensus> {
  const began = performance.now();
  const consensus = await openConsensus({
    dataDir: flags.memory ? null : folder,
    id: 'one',
    found: true,
    fsm: createLedger(),
    timers: systemTimers,
    now: () => performance.now(),
    random: seededRandom(1),
    log: silentLog,
  });
  await new Promise<void>((resolve) => {
    consensus.onLeadership((leads) => leads && resolve());
    consensus.start();
  });
  const { appliedIndex } = consensus.stats();
  console.log(`open to leader: ${(performance.now() - began).toFixed(1)} ms, ${appliedIndex} entries`);
  return consensus;
}

async function round(consensus: RunningConsensus, { clients, writes }: { clients: number; writes: number }) {
  const took: number[] = [];
  let next = 0;
  const began = performance.now();
  const client = async (): Promise<void> => {
    while (next++ < writes) {
      const from = performance.now();
      await consensus.propose(write(filler));
      took.push(performance.now() - from);
      // As a request does: its answer goes out before the next one comes in.
      await new Promise(setImmediate);
    }
  };
  await Promise.all(Array.from({ length: clients }, client));
  const perSecond = (1000 * writes) / (performance.now() - began);
  took.sort((a, b) => a - b);
  const at = (share: number): string => (took[Math.floor(took.length * share)] ?? 0).toFixed(2);
  console.log(`${clients} clients: ${perSecond.toFixed(0)}/s, p50 ${at(0.5)} ms, p99 ${at(0.99)} ms`);
}

const consensus = await open();
for (const each of ROUNDS) await round(consensus, each);
await consensus.close();
await (await open()).close();
rmSync(folder, { recursive: true, force: true });
