import { readFileSync } from 'node:fs';
import t from 'tap';
import { tellStory } from './consensus/story.js';

// npm run sim -- --seeds 2000 for a longer look.
const SEEDS = Number(process.env['MESHNOMAD_SIM_SEEDS'] ?? 100);

/** Seeds that are told each time. */
const KNOWN = readFileSync(new URL('../../../test/simulation/consensus/seeds.txt', import.meta.url), 'utf8')
  .split('\n')
  .filter((line) => /^\d/.test(line))
  .map((line) => Number.parseInt(line, 10));

t.test(
  'whatever fails, consensus keeps its promises, and after healing it moves on',
  { timeout: 280_000 },
  async (t) => {
    const totals = new Map<string, number>();
    for (const seed of new Set([...KNOWN, ...Array.from({ length: SEEDS }, (_, i) => i + 1)])) {
      try {
        const { seen } = await tellStory(seed);
        for (const [what, count] of Object.entries(seen)) totals.set(what, (totals.get(what) ?? 0) + count);
      } catch (error) {
        t.fail(
          `${(error as Error).message}\nreplay: npm run sim -- --seed ${seed}\nonce it is mended: a line in test/simulation/consensus/seeds.txt`,
        );
        return;
      }
    }
    t.comment(JSON.stringify(Object.fromEntries(totals)));
    // A simulation in which nothing happens proves nothing.
    for (const [what, count] of totals) t.ok(count > SEEDS / 50, `${count} ${what}`);
  },
);
