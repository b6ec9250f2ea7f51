import t from 'tap';
import { joinResults, SLICE_MAX, slicesOf } from '../../lib/server/plan-slices.js';
import type { PlanResultsCommand } from '../../lib/state/commands.js';
import type { Allocation } from '../../lib/structs/allocation.js';
import type { Plan, PlanResult } from '../../lib/structs/plan.js';
import { randomInt, seededRandom } from '../../lib/util/random.js';
import { mockAlloc, mockGroup, mockJob, mockResources, mockTask } from '../scheduler/mock.js';
import { createTestWorld, type TestWorld } from './world.js';

const PARTS = ['NodeUpdate', 'NodeAllocation', 'NodePreemptions'] as const;

const emptyPlan = (): Plan => ({
  ...{ EvalID: 'e', EvalToken: 't', Priority: 50, AllAtOnce: false, Job: null },
  ...{ NodeUpdate: {}, NodeAllocation: {}, NodePreemptions: {} },
  ...{ Deployment: null, DeploymentUpdates: [], Annotations: null, SnapshotIndex: 1 },
});

t.test('slices are the plan, what makes room stays with what takes it, and none is too large', async (t) => {
  for (let seed = 1; seed <= 30; seed++) {
    const random = seededRandom(seed);
    const plan = emptyPlan();
    plan.DeploymentUpdates = [{ DeploymentID: 'd', Status: 'cancelled', StatusDescription: '' }];
    const nodes = randomInt(random, 300);
    for (let n = 0; n < nodes; n++) {
      for (const part of PARTS) {
        if (random.next() < 0.5) continue;
        const PreviousAllocation = random.next() < 0.5 ? 'before' : '';
        plan[part][`n${n}`] = Array.from({ length: 1 + randomInt(random, 9) }, (_, i) =>
          mockAlloc(mockJob(), { ID: `${part}${n}-${i}`, NodeID: `n${n}`, PreviousAllocation }),
        );
      }
    }
    const slices = [...slicesOf(plan)];
    const result = (slice: Plan): PlanResult => ({ ...slice, RejectedNodes: [], RefreshIndex: 0, AllocIndex: 0 });
    const joined = joinResults(plan, slices.map(result));
    for (const part of PARTS) t.same(joined[part], plan[part], `seed ${seed}: ${part}`);
    const refused = slices.map(result);
    if (refused[1]) refused[1] = { ...refused[1], NodeAllocation: {}, RejectedNodes: ['n0'], RefreshIndex: 7 };
    const rest = joinResults(plan, refused);
    const taken = refused.flatMap(({ NodeAllocation }) => Object.values(NodeAllocation).flat()).map(({ ID }) => ID);
    const told = Object.values(rest.NodeAllocation).flat();
    t.same(told.map(({ ID }) => ID).sort(), taken.sort(), `seed ${seed}: what is refused is not told as taken`);
    if (refused[1]) t.equal(rest.RefreshIndex, 7);
    for (const slice of slices) {
      for (const nodeId of Object.keys(slice.NodeAllocation)) {
        t.same(slice.NodePreemptions[nodeId], plan.NodePreemptions[nodeId], 'who makes room goes with who takes it');
        t.same(slice.NodeUpdate[nodeId], plan.NodeUpdate[nodeId], 'and so does who stops');
      }
      const writes = PARTS.flatMap((part) => Object.values(slice[part]).flat());
      t.ok(writes.length <= SLICE_MAX, `seed ${seed}: ${writes.length} allocations`);
    }
    t.same(
      slices.map(({ DeploymentUpdates }) => DeploymentUpdates.length),
      slices.map((_, i) => (i === 0 ? 1 : 0)),
      `seed ${seed}: the deployment goes with the first`,
    );
    const whole = { ...plan, AllAtOnce: true };
    t.same([...slicesOf(whole)], [whole], 'all or nothing stays one');
  }
});

const COUNT = 1000;

const largeJob = (version: number) =>
  mockJob({
    ID: 'large',
    TaskGroups: [
      mockGroup({
        Count: COUNT,
        Update: {
          ...{ Stagger: 30e9, MaxParallel: COUNT, HealthCheck: 'task_states', MinHealthyTime: 1e9 },
          ...{ HealthyDeadline: 300e9, ProgressDeadline: 600e9, AutoRevert: false, AutoPromote: false, Canary: 0 },
        },
        Tasks: [mockTask({ Env: { V: String(version) }, Resources: mockResources({ CPU: 1, MemoryMB: 10 }) })],
      }),
    ],
  });

const planned = ({ consensus }: TestWorld): PlanResultsCommand[] =>
  consensus.log
    .flatMap((command) => (command.type === 'batch' ? command.commands : [command]))
    .filter((command) => command.type === 'plan-results');

const live = (world: TestWorld): Allocation[] =>
  world.allocs('large').filter(({ DesiredStatus }) => DesiredStatus === 'run');

t.test('a large plan is committed slice by slice, its outcome with the last', async (t) => {
  const world = createTestWorld();
  for (let i = 0; i < 20; i++) await world.addNode(i);
  const { EvalID } = await world.call('Job.Register', { Job: largeJob(1) });
  await world.time.advance(0);
  t.equal(live(world).length, COUNT);
  t.equal(new Set(live(world).map(({ Name }) => Name)).size, COUNT);
  const first = planned(world);
  t.ok(first.length >= COUNT / SLICE_MAX, `${first.length} entries`);
  for (const { placements } of first) t.ok(placements.length <= SLICE_MAX, `${placements.length} placements`);
  t.equal(world.consensus.log.at(-1)?.type, 'batch', 'the last slice brings the outcome');
  t.equal(world.store.snapshot().evalById(EvalID)?.Status, 'complete');
  t.same(world.store.snapshot().evalById(EvalID)?.QueuedAllocations, { web: 0 });

  await world.call('Job.Register', { Job: largeJob(2) });
  await world.time.advance(0);
  t.equal(live(world).length, COUNT, 'replaced, and none too many');
  t.ok(live(world).every(({ Job }) => Job?.Version === 1));
});

t.test('whoever leads after a large plan broke off goes on from what is there', async (t) => {
  for (const slices of [1, 3]) {
    const world = createTestWorld();
    for (let i = 0; i < 20; i++) await world.addNode(i);
    await world.call('Job.Register', { Job: largeJob(1) });
    const stop = world.store.onCommit(() => {
      if (planned(world).length >= slices) world.consensus.lead(false);
    });
    await world.time.advance(0);
    stop();
    const placed = live(world).length;
    t.ok(placed > 0 && placed < COUNT, `${placed} placed when it broke off`);
    world.consensus.lead(true);
    await world.time.advance(120_000);
    t.equal(live(world).length, COUNT, `after ${slices} slices`);
    t.equal(new Set(live(world).map(({ Name }) => Name)).size, COUNT, 'no name twice');
  }
});
