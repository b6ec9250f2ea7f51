import { readFileSync } from 'node:fs';
import t from 'tap';
import { schedule } from '../../lib/scheduler/schedule.js';
import { outcomeOf, placementWorld } from './placement-worlds.js';

/** Numbers of worlds, and what Nomad's own scheduler made of them: placements, left out and full nodes, every score. */
const RECORDED = JSON.parse(readFileSync('test/scheduler/data/placements.json', 'utf8')) as [number, ...unknown[]][];

t.test('places, refuses and scores as Nomad did, in small worlds with all sorts of wishes', async (t) => {
  for (const [seed, ...wanted] of RECORDED) {
    const world = placementWorld(seed);
    const { harness, evaluation } = world;
    const { now, random } = harness;
    await schedule(evaluation, { state: harness.snapshot(), planner: harness, now, random });
    t.same(outcomeOf(world, harness.plans.at(-1), harness.updated.at(-1)), wanted, `world ${seed}`);
  }
  const scored = RECORDED.filter(([, placed, , score]) => placed === 1 && typeof score === 'string');
  t.ok(RECORDED.length >= 300 && scored.length > 20, `${scored.length} with scores`);
});
