import t from 'tap';
import { createCompany } from '../../lib/server/company.js';
import { createPlanRejections } from '../../lib/server/plan-rejections.js';
import { silentLog } from '../../lib/util/log.js';
import { seededRandom } from '../../lib/util/random.js';
import { Turns } from '../../lib/util/turns.js';
import { createTestWorld, type TestWorld } from './world.js';

const rejections = (world: TestWorld, limits?: { nodeThreshold: number; nodeWindowMs: number }) =>
  createPlanRejections({
    consensus: world.consensus,
    company: createCompany(world.time.timers),
    store: world.store,
    now: world.time.now,
    random: seededRandom(1),
    log: silentLog,
    timers: world.time.timers,
    turns: new Turns(world.time.timers.soon),
    config: { region: 'global', ...(limits && { planRejections: limits }) },
  });

t.test('a node that refuses plan after plan takes no new work', async (t) => {
  const world = createTestWorld();
  const node = await world.addNode(1);
  const eligibility = () => world.store.snapshot().nodeById(node.ID)?.SchedulingEligibility;
  const tracker = rejections(world, { nodeThreshold: 3, nodeWindowMs: 60_000 });
  tracker.note([node.ID]);
  tracker.note([node.ID]);
  await world.time.advance(61_000);
  tracker.note([node.ID]);
  tracker.note([node.ID]);
  await world.time.advance(20);
  t.equal(eligibility(), 'eligible', 'old ones do not count');
  tracker.note([node.ID]);
  await world.time.advance(20);
  t.equal(eligibility(), 'ineligible');
  t.match(world.store.snapshot().nodeById(node.ID)?.Events?.at(-1)?.Message ?? '', /plan rejections/);
});

t.test('without limits nothing is counted', async (t) => {
  const world = createTestWorld();
  const node = await world.addNode(1);
  const tracker = rejections(world);
  for (let i = 0; i < 1_000; i++) tracker.note([node.ID]);
  await world.time.advance(20);
  t.equal(world.store.snapshot().nodeById(node.ID)?.SchedulingEligibility, 'eligible');
});
