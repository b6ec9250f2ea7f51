// Whole servers under simulated faults, seed by seed: npm run sim:servers -- [--seeds 100] [--seed 1]
import { parseArgs } from 'node:util';
import { type Seen, tellServersStory } from './story.js';

const { values } = parseArgs({
  options: { seeds: { type: 'string', default: '1' }, seed: { type: 'string', default: '1' } },
});
const first = Number(values.seed);
const count = Number(values.seeds);
const began = performance.now();
const totals: Partial<Seen> = {};
let failed = 0;
for (let seed = first; seed < first + count; seed++) {
  try {
    for (const [what, n] of Object.entries(await tellServersStory(seed)) as [keyof Seen, number][])
      totals[what] = (totals[what] ?? 0) + n;
  } catch (error) {
    failed++;
    console.log(`FAILED ${(error as Error).message}\nreplay: npm run sim:servers -- --seed ${seed}\n`);
  }
}
const seconds = ((performance.now() - began) / 1000).toFixed(1);
console.log(`${count} seeds, ${failed} failed, ${seconds} s: ${JSON.stringify(totals)}`);
if (failed > 0) process.exitCode = 1;
