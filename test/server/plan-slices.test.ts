import t from 'tap';
import { joinResults, SLICE_MAX, slicesOf } from '../../lib/server/plan-slices.js';
import type { ServerConfig } from '../../lib/server/world.js';
import type { PlanResultsCommand } from '../../lib/state/commands.js';
import type { Allocation } from '../../lib/structs/allocation.js';
import type { Node } from '../../lib/structs/node.js';
import type { Plan, PlanResult } from '../../lib/structs/plan.js';
import { randomInt, seededRandom } from '../../lib/util/random.js';
import { mockAlloc, mockGroup, mockJob, mockNode, mockResources, mockTask } from '../scheduler/mock.js';
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
    const slices = [...slicesOf(plan, new Set())];
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
    t.same([...slicesOf(whole, new Set())], [whole], 'all or nothing stays one');
  }
});

t.test('what stops on a machine with very many goes with its successor, and before both what only stops', async (t) => {
  const plan = emptyPlan();
  const alloc = (ID: string, PreviousAllocation = ''): Allocation =>
    mockAlloc(mockJob(), { ID, NodeID: 'n', PreviousAllocation });
  const many = Array.from({ length: SLICE_MAX }, (_, i) => i);
  plan.NodeAllocation['n'] = many.flatMap((i) => [alloc(`new-${i}`, `old-${i}`), alloc(`more-${i}`)]);
  plan.NodeUpdate['n'] = many.flatMap((i) => [alloc(`old-${i}`), alloc(`dropped-${i}`)]).reverse();
  const slices = [...slicesOf(plan, new Set())];
  for (const { NodeAllocation, NodeUpdate } of slices) {
    const placed = NodeAllocation['n'] ?? [];
    const stopped = NodeUpdate['n'] ?? [];
    const successors = placed.filter(({ PreviousAllocation }) => PreviousAllocation !== '');
    t.ok(placed.length + successors.length + stopped.length <= SLICE_MAX);
    t.same(
      stopped.map(({ ID }) => ID).filter((id) => id.startsWith('old')),
      successors.map(({ PreviousAllocation }) => PreviousAllocation),
    );
  }
  const ids = (part: 'NodeUpdate' | 'NodeAllocation'): string[] =>
    slices.flatMap((slice) => slice[part]['n'] ?? []).map(({ ID }) => ID);
  t.ok(
    ids('NodeUpdate')
      .slice(0, SLICE_MAX)
      .every((id) => id.startsWith('dropped')),
  );
  t.same(ids('NodeUpdate').sort(), plan.NodeUpdate['n'].map(({ ID }) => ID).sort());
  t.same(
    ids('NodeAllocation'),
    plan.NodeAllocation['n'].map(({ ID }) => ID),
  );

  plan.NodePreemptions['n'] = [alloc('victim')];
  t.equal([...slicesOf(plan, new Set())].length, 1, 'with a victim all stays together');
});

t.test('of a machine that refused a part no more are made, and the next time it is whole', async (t) => {
  const plan = emptyPlan();
  const many = Array.from({ length: SLICE_MAX }, (_, i) => i);
  for (const NodeID of ['a', 'b']) {
    plan.NodeUpdate[NodeID] = many.map((i) => mockAlloc(mockJob(), { ID: `${NodeID}-old-${i}`, NodeID }));
    plan.NodeAllocation[NodeID] = many.map((i) =>
      mockAlloc(mockJob(), { ID: `${NodeID}-new-${i}`, NodeID, PreviousAllocation: `${NodeID}-old-${i}` }),
    );
  }
  const refused = new Set<string>();
  const placed = { a: 0, b: 0 };
  for (const { NodeAllocation } of slicesOf(plan, refused)) {
    placed.a += NodeAllocation['a']?.length ?? 0;
    placed.b += NodeAllocation['b']?.length ?? 0;
    refused.add('a');
  }
  t.ok(placed.a > 0 && placed.a < SLICE_MAX / 2, `${placed.a} of the one that refused`);
  t.equal(placed.b, SLICE_MAX, 'all of the other');
  const again = [...slicesOf(plan, refused)].filter(({ NodeAllocation }) => 'a' in NodeAllocation);
  t.same(
    again.map(({ NodeAllocation, NodeUpdate }) => [NodeAllocation['a'], NodeUpdate['a']]),
    [[plan.NodeAllocation['a'], plan.NodeUpdate['a']]],
  );
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
  for (const { placements, stops } of planned(world).slice(first.length)) {
    const linked = placements.filter(({ PreviousAllocation }) => PreviousAllocation !== '');
    const writes = stops.length + placements.length + linked.length;
    t.ok(writes <= SLICE_MAX, `${stops.length} stopped, ${placements.length} placed`);
  }
  t.equal(live(world).length, COUNT, 'replaced, and none too many');
  t.ok(live(world).every(({ Job }) => Job?.Version === 1));
});

/** So many machines are just full. */
const FULL = 10;
/** What an allocation asks for. */
const ASKED_MB = 10;

/** Machines that just hold all of it: nothing new has room before what it replaces stops. */
const fullWorld = async (config: Partial<ServerConfig> = {}): Promise<{ world: TestWorld; nodes: Node[] }> => {
  const world = createTestWorld({ config });
  const nodes: Node[] = [];
  for (let i = 0; i < FULL; i++) {
    const node = mockNode(i);
    const Memory = { ...node.NodeResources.Memory, MemoryMB: (ASKED_MB * COUNT) / FULL };
    const changes = { NodeResources: { ...node.NodeResources, Memory } };
    nodes.push(await world.addNode(i, changes));
  }
  await world.call('Job.Register', { Job: largeJob(1) });
  await world.time.advance(0);
  return { world, nodes };
};

t.test(
  'what replaces very many on full machines holds their places at every step, also if it breaks off',
  async (t) => {
    for (const breaksAt of [0, 2, 5]) {
      const { world, nodes } = await fullWorld();
      t.equal(live(world).length, COUNT);
      const before = planned(world).length;
      const counts = new Set<number>();
      let breaks = breaksAt > 0;
      const stop = world.store.onCommit(() => {
        for (const { ID } of nodes) {
          const wanted = world.store
            .snapshot()
            .allocsByNode(ID)
            .filter(({ DesiredStatus }) => DesiredStatus === 'run');
          counts.add(wanted.length);
        }
        if (breaks && planned(world).length >= before + breaksAt) world.consensus.lead(false);
      });
      await world.call('Job.Register', { Job: largeJob(2) });
      await world.time.advance(0);
      const old = (): number => live(world).filter(({ Job }) => Job?.Version === 0).length;
      if (breaksAt > 0) t.ok(old() > 0 && old() < COUNT, `${old()} were left when it broke off`);
      else t.ok(planned(world).length >= before + (2 * COUNT) / SLICE_MAX, 'in parts');
      breaks = false;
      world.consensus.lead(true);
      await world.time.advance(120_000);
      // Whoever leads now gives nothing away before its client says that it is free.
      for (const node of nodes) await world.obey(node);
      await world.time.advance(120_000);
      stop();
      t.equal(old(), 0);
      t.equal(live(world).length, COUNT);
      t.same([...counts], [COUNT / FULL], 'none too many and none too few on any');
      const linked = world.allocs('large').filter(({ NextAllocation }) => NextAllocation);
      t.equal(linked.length, COUNT, 'each that stopped knows its successor');
      const [deployment] = [...world.store.snapshot().deployments()].filter(({ JobVersion }) => JobVersion === 1);
      t.equal(deployment?.TaskGroups['web']?.PlacedAllocs, COUNT);
    }
  },
);

t.test('a plan that a machine refuses in the middle counts once against it', async (t) => {
  const { world, nodes } = await fullWorld({ planRejections: { nodeThreshold: 2, nodeWindowMs: 600_000 } });
  const before = planned(world).length;
  const stop = world.store.onCommit(() => {
    if (planned(world).length !== before + 1) return;
    stop();
    const [taken] = planned(world).at(-1)?.placements ?? [];
    const eligibility = { type: 'node-eligibility', eligibility: 'ineligible', event: null, evals: [] } as const;
    void world.consensus.propose({ ...eligibility, id: taken?.NodeID ?? '' } as never);
  });
  await world.call('Job.Register', { Job: largeJob(2) });
  await world.time.advance(1000);
  const refusing = nodes
    .map(({ ID }) => world.store.snapshot().nodeById(ID))
    .filter((node) => node?.SchedulingEligibility !== 'eligible');
  t.equal(refusing.length, 1);
  const messages = (refusing[0]?.Events ?? []).map(({ Message }) => Message);
  t.notOk(
    messages.some((message) => message.includes('plan rejections')),
    messages.join(),
  );
  t.equal(live(world).filter(({ NodeID, Job }) => NodeID !== refusing[0]?.ID && Job?.Version === 0).length, 0);
});

t.test('a dry run of a version that replaces very many on one machine ends, and asks for no room twice', async (t) => {
  const { world } = await fullWorld();
  const { Annotations, FailedTGAllocs } = await world.call('Job.Plan', { Job: largeJob(2) });
  t.match(Annotations?.DesiredTGUpdates['web'], { DestructiveUpdate: COUNT, Place: 0 });
  t.equal(FailedTGAllocs, null);
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
