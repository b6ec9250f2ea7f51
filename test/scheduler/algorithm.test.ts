import assert from 'node:assert/strict';
import t from 'tap';
import { algorithmOf } from '../../lib/scheduler/rank/algorithm.js';
import { createTestWorld, type TestWorld, webJob } from '../server/world.js';
import { Harness } from './harness.js';
import { mockGroup, mockJob, mockNode } from './mock.js';

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

for (const Type of ['service', 'batch'] as const) {
  t.test(`${Type}: of few nodes all are looked at, so that the empty one is found`, async (t) => {
    const harness = new Harness();
    harness.config = { ...harness.config, ModifyIndex: 0 };
    harness.addNode(...[0, 1, 2].map((i) => mockNode(i)));
    const job = harness.register(mockJob({ Type, TaskGroups: [mockGroup({ Count: 3 })] }));
    await harness.run(job);
    for (let i = 0; i < 12; i++) {
      const one = harness.live(job)[i % 3];
      assert(one);
      harness.patch(one.ID, { DesiredStatus: 'stop', ClientStatus: 'complete' });
      await harness.run(job);
      t.equal(new Set(harness.live(job).map(({ NodeID }) => NodeID)).size, 3, `after ${i} were stopped`);
    }
  });
}

t.test('as many nodes as the configuration says are looked at where preferences decide, 100 by default', async (t) => {
  for (const [limit, count, looked] of [
    [0, 1, 100],
    [20, 1, 20],
    [20, 60, 60],
    [500, 1, 300],
  ] as const) {
    const harness = new Harness();
    harness.config = { ...harness.config, NodeLimitForFeasibilityChecks: limit };
    harness.addNode(...Array.from({ length: 300 }, (_, i) => mockNode(i)));
    const Affinities = [{ LTarget: '${node.datacenter}', RTarget: 'dc1', Operand: '=', Weight: 50 }];
    const job = harness.register(mockJob({ Affinities, TaskGroups: [mockGroup({ Count: count })] }));
    await harness.run(job);
    const first = harness.live(job).find(({ Name }) => Name.endsWith('[0]'));
    t.equal(first?.Metrics?.NodesEvaluated, looked, `${limit} and ${count}`);
  }
});
