// Consensus under simulated faults, seed by seed: npm run sim -- [--seeds 2000] [--seed 1] [--jobs 2]
import { cpus } from 'node:os';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { Worker } from 'node:worker_threads';
import type { Answer } from './worker.js';

const { values } = parseArgs({
  options: {
    seeds: { type: 'string', default: '1' },
    seed: { type: 'string', default: '1' },
    jobs: { type: 'string', default: String(cpus().length) },
  },
});
const first = Number(values.seed);
const count = Number(values.seeds);
const began = performance.now();
const totals: Record<string, number> = {};
let next = first;
let failed = 0;

function hear(answer: Answer): void {
  if (answer.kind === 'failed') {
    failed++;
    console.log(
      `FAILED ${answer.report}\nreplay: npm run sim -- --seed ${answer.seed}\nonce it is mended: a line in test/simulation/consensus/seeds.txt\n`,
    );
    return;
  }
  for (const [what, n] of Object.entries(answer.seen)) totals[what] = (totals[what] ?? 0) + n;
}

/** A thread that is given one seed after the other. */
function runWorker(): Promise<void> {
  const worker = new Worker(fileURLToPath(new URL('./worker.js', import.meta.url)));
  return new Promise((resolve, reject) => {
    const give = (): void => {
      if (next < first + count) worker.postMessage(next++);
      else worker.terminate().then(() => resolve(), reject);
    };
    worker.on('message', (answer: Answer) => {
      hear(answer);
      give();
    });
    worker.on('error', reject);
    give();
  });
}

await Promise.all(Array.from({ length: Math.min(Number(values.jobs), count) }, runWorker));
const seconds = ((performance.now() - began) / 1000).toFixed(1);
console.log(`${count} seeds, ${failed} failed, ${seconds} s: ${JSON.stringify(totals)}`);
if (failed > 0) process.exitCode = 1;
