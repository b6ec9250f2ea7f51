import t from 'tap';
import { algorithmOf } from '../../lib/scheduler/rank/algorithm.js';
import { createTestWorld, type TestWorld, webJob } from '../server/world.js';

t.test('the algorithm in force, by configuration and size', async (t) => {
  for (const [set, ModifyIndex, nodes, wanted] of [
    ['binpack', 0, 1, 'spread'],
    ['binpack', 0, 4, 'spread'],
    ['binpack', 0, 5, 'binpack'],
    ['binpack', 7, 1, 'binpack'],
    ['spread', 7, 1000, 'spread'],
  ] as const) {
    t.equal(
      algorithmOf({ SchedulerAlgorithm: set, ModifyIndex }, nodes).name,
      wanted,
      `${set} ${ModifyIndex} ${nodes}`,
    );
  }
});

/** How many of each of `jobs` jobs' single allocations the busiest node has. */
async function busiest(world: TestWorld, jobs: number): Promise<number> {
  const counts = new Map<string, number>();
  for (let i = 0; i < jobs; i++) {
    const ID = `job-${i}`;
    await world.call('Job.Register', { Job: webJob({ ID, count: 1, cpu: 400 }) });
    await world.time.advance(0);
    for (const { NodeID } of world.allocs(ID)) counts.set(NodeID, (counts.get(NodeID) ?? 0) + 1);
  }
  return Math.max(...counts.values());
}

t.test('four nodes share the work until an operator asks for binpack', async (t) => {
  const spread = createTestWorld();
  for (let i = 0; i < 4; i++) await spread.addNode(i);
  const evenly = await busiest(spread, 8);
  t.ok(evenly <= 3, `${evenly} of 8`);

  const packed = createTestWorld();
  for (let i = 0; i < 4; i++) await packed.addNode(i);
  const { SchedulerConfig } = await packed.call('Operator.SchedulerGetConfiguration', {});
  await packed.call('Operator.SchedulerSetConfiguration', { Config: SchedulerConfig });
  t.ok((await busiest(packed, 8)) > evenly);
});
