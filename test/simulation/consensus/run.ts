// Consensus under simulated faults, seed by seed: npm run sim -- [--seeds 2000] [--seed 1]
import { parseArgs } from 'node:util';
import { tellStory } from './story.js';

const { values } = parseArgs({
  options: { seeds: { type: 'string', default: '' }, seed: { type: 'string', default: '1' } },
});
const first = Number(values.seed);
const count = Number(values.seeds || 1);
const began = performance.now();
const totals: Record<string, number> = {};
let failed = 0;
for (let seed = first; seed < first + count; seed++) {
  try {
    const { seen, events } = await tellStory(seed);
    for (const [what, n] of Object.entries({ ...seen, events })) totals[what] = (totals[what] ?? 0) + n;
  } catch (error) {
    failed++;
    console.log(`FAILED ${(error as Error).stack}\nreplay: npm run sim -- --seed ${seed}\n`);
  }
}
console.log(
  `${count} seeds, ${failed} failed, ${((performance.now() - began) / 1000).toFixed(1)} s: ${JSON.stringify(totals)}`,
);
if (failed > 0) process.exitCode = 1;
