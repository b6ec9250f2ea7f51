import t from 'tap';
import { simulate } from './simulate.js';

// TAP_TIMEOUT=600 MESHNOMAD_SIM_SEEDS=20000 for a long look; MESHNOMAD_SIM_FROM=17 MESHNOMAD_SIM_SEEDS=1 replays one.
const SEEDS = Number(process.env['MESHNOMAD_SIM_SEEDS'] ?? 400);
const FROM = Number(process.env['MESHNOMAD_SIM_FROM'] ?? 1);

t.test('whatever fails, Raft keeps its promises, and after healing it moves on', { timeout: 300_000 }, async (t) => {
  const seen = { elections: 0, commits: 0, snapshots: 0, reads: 0, crashes: 0, changes: 0 };
  for (let seed = FROM; seed < FROM + SEEDS; seed++) {
    try {
      const happened = simulate(seed);
      for (const key of Object.keys(seen) as (keyof typeof seen)[]) seen[key] += happened[key];
    } catch (error) {
      const replay = `MESHNOMAD_SIM_FROM=${seed} MESHNOMAD_SIM_SEEDS=1 node dist/test/raft/simulation.test.js`;
      t.fail(`${replay}: ${(error as Error).stack}`);
      return;
    }
  }
  t.comment(JSON.stringify(seen));
  // A simulation in which nothing happens proves nothing.
  for (const [what, count] of Object.entries(seen)) t.ok(count > SEEDS / 4, `${count} ${what}`);
});
