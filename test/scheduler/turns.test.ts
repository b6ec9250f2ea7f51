import t from 'tap';
import type { StateReader } from '../../lib/scheduler/ports.js';
import { schedule } from '../../lib/scheduler/schedule.js';
import type { Job } from '../../lib/structs/job.js';
import { ITEMS_PER_TURN } from '../../lib/util/turns.js';
import { Harness } from './harness.js';
import { mockEval, mockGroup, mockJob, mockNode, mockResources, mockTask } from './mock.js';

const big = (Type: Job['Type'], Count: number): Job =>
  mockJob({
    Type,
    TaskGroups: [mockGroup({ Count, Tasks: [mockTask({ Resources: mockResources({ CPU: 1, MemoryMB: 1 }) })] })],
  });

for (const [type, count, nodes] of [
  ['service', 2000, 40],
  ['batch', 2000, 40],
  ['system', 1, 2000],
] as const) {
  t.test(`a large ${type} evaluation lets others have the thread again and again`, async (t) => {
    const harness = new Harness();
    harness.addNode(...Array.from({ length: nodes }, (_, i) => mockNode(i)));
    const job = harness.register(big(type, count));
    let turns = 0;
    const running = schedule(mockEval(job), {
      state: harness.snapshot(),
      planner: harness,
      now: harness.now,
      random: harness.random,
      yieldTurn: async () => {
        turns++;
        t.equal(harness.plans.length, 0, 'nothing is handed in before the draft is whole');
      },
    });
    await running;
    t.ok(turns >= 5, `${turns} turns for 2,000 placements`);
    t.equal(harness.live(job).length, 2000);
  });
}

t.test('a small evaluation is done in one turn', async (t) => {
  const harness = new Harness();
  harness.addNode(mockNode(0));
  const job = harness.register(big('service', 3));
  const yieldTurn = async (): Promise<void> => {
    t.fail('must not rest');
  };
  const { random, now } = harness;
  await schedule(mockEval(job), { state: harness.snapshot(), planner: harness, now, random, yieldTurn });
  t.equal(harness.live(job).length, 3);
});

t.test('an interrupted draft gives back what it has borrowed', async (t) => {
  const harness = new Harness();
  harness.addNode(...Array.from({ length: 10 }, (_, i) => mockNode(i)));
  const job = harness.register(big('service', 2000));
  const state = harness.snapshot();
  const { random, now } = harness;
  const gone = async (): Promise<void> => {
    throw new Error('the server stops');
  };
  await t.rejects(
    schedule(mockEval(job), { state, planner: harness, now, random, yieldTurn: gone }),
    /the server stops/,
  );
  await schedule(mockEval(job), { state, planner: harness, now, random });
  t.equal(harness.live(job).length, 2000);
});

t.test("a very large job's allocations are read with rests", async (t) => {
  const harness = new Harness();
  harness.addNode(...Array.from({ length: 40 }, (_, i) => mockNode(i)));
  const job = harness.register(big('service', 4000));
  await harness.run(job);
  harness.register(big('service', 4000));
  let inTurn = 0;
  let most = 0;
  const state: StateReader = {
    ...harness.snapshot(),
    allocsByJob: () => [],
    *eachAllocOfJob() {
      for (const alloc of harness.live(job)) {
        most = Math.max(most, ++inTurn);
        yield alloc;
      }
    },
  };
  const yieldTurn = async (): Promise<void> => {
    inTurn = 0;
  };
  const { random, now } = harness;
  await schedule(mockEval(job), { state, planner: harness, now, random, yieldTurn });
  t.equal(Object.values(harness.plans.at(-1)?.NodeAllocation ?? {}).flat().length, 4000, 'all were seen');
  t.ok(most <= 2 * ITEMS_PER_TURN, `${most} in one turn`);
});
