import t from 'tap';
import { SCENARIOS } from './gossip/scenarios.js';

/** How many seeds each story gets here; `npm run sim:gossip` runs as many as one likes. */
const SEEDS: Record<string, number> = { stalled: 4, churn: 8, 'mass-restart': 8, 'mass-join': 2, thousand: 1 };

for (const [name, scenario] of Object.entries(SCENARIOS)) {
  t.test(`gossip holds: ${name}`, async (t) => {
    for (let seed = 1; seed <= (SEEDS[name] ?? 12); seed++) {
      const problems = scenario(seed);
      if (problems.length > 0)
        t.fail(`replay: npm run sim:gossip -- --scenario ${name} --seed ${seed}\n${problems.join('\n')}`);
    }
    t.pass('every seed');
  });
}
