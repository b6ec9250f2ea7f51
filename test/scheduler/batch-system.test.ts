import assert from 'node:assert/strict';
import t from 'tap';
import { schedule } from '../../lib/scheduler/schedule.js';
import type { Job } from '../../lib/structs/job.js';
import type { Node } from '../../lib/structs/node.js';
import { Harness } from './harness.js';
import { mockEval, mockGroup, mockJob, mockNode, mockResources, mockTask } from './mock.js';

const S = 1e9;

function world(nodes: number): Harness {
  const harness = new Harness();
  harness.addNode(...Array.from({ length: nodes }, (_, i) => mockNode(i, { ComputedClass: 'v1:a' })));
  return harness;
}

const batch = (count: number): Job =>
  mockJob({
    Type: 'batch',
    TaskGroups: [
      mockGroup({
        Count: count,
        ReschedulePolicy: {
          Attempts: 1,
          Interval: 86_400 * S,
          Delay: 5 * S,
          DelayFunction: 'constant',
          MaxDelay: 0,
          Unlimited: false,
        },
      }),
    ],
  });
const system = (changes: object = {}): Job =>
  mockJob({ Type: 'system', TaskGroups: [mockGroup({ Count: 1, ReschedulePolicy: null, ...changes })] });

t.test('batch work that is done stays done, until the job changes', async (t) => {
  const harness = world(3);
  let job = harness.register(batch(2));
  await harness.run(job);
  for (const { ID } of harness.live(job)) harness.patch(ID, { ClientStatus: 'complete' });
  await harness.run(job);
  t.equal(harness.live(job).length, 0);
  t.equal(harness.deployments.size, 0, 'batch jobs have no roll-outs');
  job = harness.register({ ...job, Priority: 60 });
  await harness.run(job);
  t.same(harness.names(job), ['web.web[0]', 'web.web[1]'], 'a new version runs anew');
});

t.test('failed batch work is tried again as its policy says, and then holds its place', async (t) => {
  const harness = world(3);
  const job = harness.register(batch(1));
  await harness.run(job);
  for (let tries = 0; tries < 2; tries++) {
    const [alloc] = harness.live(job);
    assert(alloc);
    harness.patch(alloc.ID, { ClientStatus: 'failed', ModifyTime: harness.now * 1e6 });
    harness.now += 5000;
    await harness.run(job, { TriggeredBy: 'alloc-failure' });
  }
  t.equal(harness.live(job).length, 0);
  t.equal(harness.ofJob(job).length, 2);
});

t.test('batch work killed by a drain runs again', async (t) => {
  const harness = world(2);
  const job = harness.register(batch(1));
  await harness.run(job);
  const [alloc] = harness.live(job);
  assert(alloc);
  harness.patch(alloc.ID, { DesiredTransition: { ...alloc.DesiredTransition, Migrate: true } });
  await harness.run(job, { TriggeredBy: 'node-drain' });
  harness.settle();
  await harness.run(job);
  t.equal(harness.live(job).length, 1);
  t.equal(harness.live(job)[0]?.PreviousAllocation, alloc.ID);
});

t.test('a system job runs once on every node in reach, new ones too', async (t) => {
  const harness = world(3);
  harness.addNode(
    mockNode(3, { Attributes: { 'kernel.name': 'darwin' }, ComputedClass: 'v1:b', Drivers: {} }),
    mockNode(4, { SchedulingEligibility: 'ineligible' }),
  );
  const job = harness.register(system());
  const done = await harness.run(job);
  t.equal(done.Status, 'complete');
  t.equal(done.FailedTGAllocs, null, 'a node that is not meant for it is no failure');
  t.same(
    harness
      .live(job)
      .map(({ NodeID }) => NodeID)
      .sort(),
    ['node-00000', 'node-00001', 'node-00002'],
  );
  t.ok(harness.live(job).every(({ Name }) => Name === 'web.web[0]'));
  harness.addNode(mockNode(5, { ComputedClass: 'v1:a' }));
  await harness.run(job, { TriggeredBy: 'node-update' });
  t.equal(harness.live(job).length, 4);
  await harness.run(job);
  t.equal(harness.plans.length, 2, 'nothing to do is no plan');
});

t.test('a full node gets an evaluation of its own that waits for it', async (t) => {
  const harness = world(2);
  const other = harness.register(
    mockJob({
      ID: 'big',
      TaskGroups: [mockGroup({ Count: 1, Tasks: [mockTask({ Resources: mockResources({ CPU: 3800 }) })] })],
    }),
  );
  await harness.run(other);
  const full = harness.live(other)[0]?.NodeID;
  const job = harness.register(system());
  const done = await harness.run(job);
  t.equal(harness.live(job).length, 1);
  t.same(done.QueuedAllocations, { web: 1 });
  t.match(done.FailedTGAllocs, { web: { DimensionExhausted: { cpu: 1 } } });
  t.match(harness.created, [{ Status: 'blocked', NodeID: full, PreviousEval: done.ID }]);
});

t.test('system allocations leave nodes that are down, draining by name, or out of reach', async (t) => {
  const harness = world(4);
  const job = harness.register(system());
  await harness.run(job);
  const at = (id: string) => {
    const alloc = harness.live(job).find(({ NodeID }) => NodeID === id);
    assert(alloc);
    return alloc;
  };
  const [down, drained, foreign] = ['node-00000', 'node-00001', 'node-00002'].map(at);
  assert(down && drained && foreign);
  const node = (id: string) => harness.nodes.get(id) as ReturnType<typeof mockNode>;
  harness.addNode(
    { ...node('node-00000'), Status: 'down' },
    { ...node('node-00001'), SchedulingEligibility: 'ineligible' },
    { ...node('node-00002'), NodePool: 'other' },
  );
  harness.patch(drained.ID, { DesiredTransition: { ...drained.DesiredTransition, Migrate: true } });
  await harness.run(job, { TriggeredBy: 'node-update' });
  t.match(harness.allocs.get(down.ID), { ClientStatus: 'lost', DesiredStatus: 'stop' });
  t.match(harness.allocs.get(drained.ID), { DesiredStatus: 'stop', DesiredDescription: /tainted/ });
  t.match(harness.allocs.get(foreign.ID), { DesiredStatus: 'stop' });
  t.same(
    harness.live(job).map(({ NodeID }) => NodeID),
    ['node-00003'],
  );
});

t.test('what follows a stopped allocation of a system job follows it, and not a failure before it', async (t) => {
  const harness = world(1);
  const job = harness.register(system());
  await harness.run(job);
  const [failed] = harness.live(job);
  assert(failed);
  harness.patch(failed.ID, { ClientStatus: 'failed' });
  await harness.run(job, { TriggeredBy: 'node-update', NodeID: failed.NodeID });
  const [stopped] = harness.live(job);
  assert(stopped);
  harness.patch(stopped.ID, { DesiredTransition: { ...stopped.DesiredTransition, Migrate: true } });
  await harness.run(job, { TriggeredBy: 'alloc-stop' });
  t.match(harness.live(job), [{ PreviousAllocation: stopped.ID }]);
  t.equal(harness.allocs.get(stopped.ID)?.NextAllocation, harness.live(job)[0]?.ID);
  t.same(harness.created, [], 'nothing waits for the clock');
});

const rolling = (changes: object = {}) => ({
  Stagger: 30 * S,
  MaxParallel: 2,
  HealthCheck: 'task_states' as const,
  MinHealthyTime: 0,
  HealthyDeadline: 0,
  ProgressDeadline: 600 * S,
  AutoRevert: false,
  AutoPromote: false,
  Canary: 0,
  ...changes,
});

t.test('a system job is rolled out max_parallel nodes at a time, as they become healthy', async (t) => {
  const harness = world(5);
  let job = harness.register(system({ Update: rolling() }));
  await harness.run(job);
  const latest = () => harness.snapshot().latestDeploymentByJob(job.Namespace, job.ID);
  t.match(latest(), { Status: 'running', TaskGroups: { web: { DesiredTotal: 5 } } }, 'the first version is a roll-out');
  t.equal(harness.live(job).length, 5, 'which needs no steps');
  harness.settle();
  await harness.run(job);
  t.match(latest(), { Status: 'successful' });
  job = harness.register({ ...job, Meta: { v: '2' } });
  const fresh = () => harness.live(job).filter((alloc) => alloc.Job === job);
  await harness.run(job);
  t.equal(fresh().length, 2);
  await harness.run(job);
  t.equal(fresh().length, 2, 'not before these are healthy');
  for (const count of [4, 5]) {
    harness.settle();
    await harness.run(job, { TriggeredBy: 'deployment-watcher' });
    t.equal(fresh().length, count);
    t.equal(harness.live(job).length, 5);
  }
  t.match(latest(), { Status: 'running', JobVersion: 1 });
  harness.settle();
  await harness.run(job);
  t.match(latest(), { Status: 'successful', TaskGroups: { web: { DesiredTotal: 5, HealthyAllocs: 5 } } });
  t.same(harness.created, [], 'nothing waits for the clock');
});

for (const [name, odd] of [
  ['that the job is not meant for', { Attributes: { 'driver.mock_driver': '1', arch: 'arm64' } }],
  ['without room', { NodeResources: { ...mockNode(0).NodeResources, Memory: { MemoryMB: 100 } } }],
] as const) {
  t.test(`a node ${name} does not hold up the roll-out of a system job`, async (t) => {
    const harness = new Harness();
    const nodes = Array.from({ length: 6 }, (_, i) => mockNode(i, { ComputedClass: 'v1:a' }));
    // The odd ones come first and last in the order of the nodes.
    for (const i of [0, 5]) nodes[i] = { ...(nodes[i] as Node), ...odd, ComputedClass: 'v1:b' };
    harness.addNode(...nodes);
    const Constraints = [{ LTarget: '${attr.arch}', RTarget: 'arm64', Operand: '!=' }];
    let job = harness.register({ ...system({ Update: { ...rolling(), MaxParallel: 1 } }), Constraints });
    const latest = () => harness.snapshot().latestDeploymentByJob(job.Namespace, job.ID);
    await harness.run(job);
    t.equal(latest()?.TaskGroups['web']?.DesiredTotal, 4);
    harness.settle();
    await harness.run(job);
    t.equal(latest()?.Status, 'successful');
    job = harness.register({ ...job, Meta: { v: '2' } });
    for (const count of [1, 2, 3, 4]) {
      await harness.run(job, { TriggeredBy: 'deployment-watcher' });
      t.equal(harness.live(job).filter((alloc) => alloc.Job === job).length, count);
      harness.settle();
    }
    await harness.run(job);
    t.match(latest(), { Status: 'successful', JobVersion: 1, TaskGroups: { web: { DesiredTotal: 4 } } });
  });
}

t.test('a node where the new version of a system job has no room keeps the old one, and holds nobody up', async (t) => {
  const harness = new Harness();
  const small = { NodeResources: { ...mockNode(0).NodeResources, Memory: { MemoryMB: 300 } } };
  harness.addNode(mockNode(0, { ...small, ComputedClass: 'v1:s' }), mockNode(1), mockNode(2));
  let job = harness.register(system({ Update: { ...rolling(), MaxParallel: 1 } }));
  const latest = () => harness.snapshot().latestDeploymentByJob(job.Namespace, job.ID);
  await harness.run(job);
  harness.settle();
  await harness.run(job);
  const grow = (MemoryMB: number): Job =>
    system({
      Tasks: [mockTask({ Resources: mockResources({ MemoryMB }) })],
      Update: { ...rolling(), MaxParallel: 1 },
    });
  job = harness.register(grow(400));
  for (let i = 0; i < 3; i++) {
    await harness.run(job, { TriggeredBy: 'deployment-watcher' });
    harness.settle();
  }
  t.same(
    harness
      .live(job)
      .map((alloc) => [alloc.NodeID.at(-1), alloc.Job?.Version])
      .sort(),
    [
      ['0', 0],
      ['1', 1],
      ['2', 1],
    ],
  );
  t.match(latest(), { Status: 'successful', TaskGroups: { web: { DesiredTotal: 2 } } });
  job = harness.register(grow(100_000));
  for (let i = 0; i < 3; i++) await harness.run(job, { TriggeredBy: 'deployment-watcher' });
  t.equal(latest()?.Status, 'running', 'where it has room nowhere it is not through');
  t.equal(harness.live(job).length, 3);
});

for (const type of ['system', 'sysbatch'] as const) {
  t.test(`a ${type} job that is meant for no node says why, and waits for nobody`, async (t) => {
    const harness = world(3);
    const Constraints = [{ LTarget: '${attr.arch}', RTarget: 'riscv', Operand: '=' }];
    const job = harness.register({ ...system({ Update: null }), Type: type, Constraints });
    const done = await harness.run(job);
    t.match(done, { Status: 'complete', BlockedEval: '' });
    t.match(done.FailedTGAllocs?.['web'], {
      NodesEvaluated: 3,
      NodesFiltered: 3,
      ConstraintFiltered: { '${attr.arch} = riscv': 3 },
    });
    t.same(harness.created, []);
    t.equal(done.QueuedAllocations?.['web'], 0);
  });
}

t.test('nodes without room for a system job are counted by their class as by what is short', async (t) => {
  const harness = new Harness();
  harness.addNode(mockNode(0, { NodeClass: 'small' }), mockNode(1, { NodeClass: 'small' }), mockNode(2));
  const Tasks = [mockTask({ Resources: mockResources({ CPU: 1_000_000 }) })];
  const done = await harness.run(harness.register(system({ Update: null, Tasks })));
  const { NodeClass } = mockNode(2);
  const ClassExhausted = { small: 2, ...(NodeClass === '' ? {} : { [NodeClass]: 1 }) };
  t.match(done.FailedTGAllocs?.['web'], { NodesExhausted: 3, ClassExhausted, DimensionExhausted: { cpu: 3 } });
});

t.test('a system job whose only node becomes ineligible still stands there, and has not failed', async (t) => {
  const harness = world(1);
  const arm = { 'driver.mock_driver': '1', arch: 'arm64' };
  const node = mockNode(1, { ComputedClass: 'v1:b', Attributes: arm });
  harness.addNode(node);
  const Constraints = [{ LTarget: '${attr.arch}', RTarget: 'arm64', Operand: '=' }];
  const job = harness.register({ ...system(), Constraints });
  await harness.run(job);
  harness.addNode({ ...node, SchedulingEligibility: 'ineligible' });
  const done = await harness.run(job, { TriggeredBy: 'node-update' });
  t.same(Object.keys(done.FailedTGAllocs ?? {}), []);
  t.equal(harness.live(job).length, 1);
});

t.test('an unhealthy one stops the roll-out of a system job', async (t) => {
  const harness = world(4);
  let job = harness.register(system({ Update: rolling() }));
  await harness.run(job);
  harness.settle();
  job = harness.register({ ...job, Meta: { v: '2' } });
  await harness.run(job);
  harness.settle(false);
  await harness.run(job);
  t.equal(harness.live(job).filter((alloc) => alloc.Job === job).length, 2);
});

for (const [percent, MaxParallel, nodes, canaries] of [
  [25, 2, 5, 2],
  [100, 3, 3, 3],
  [100, 2, 3, 2],
  [50, 1, 6, 1],
  [1, 2, 3, 1],
] as const) {
  const how = `canary = ${percent} with max_parallel = ${MaxParallel}`;
  t.test(`${how} tries a system job on ${canaries} of ${nodes} nodes first`, async (t) => {
    const harness = world(nodes);
    let job = harness.register(system({ Update: rolling({ Canary: percent, MaxParallel }) }));
    await harness.run(job);
    harness.settle();
    await harness.run(job);
    const latest = () => harness.snapshot().latestDeploymentByJob(job.Namespace, job.ID);
    t.match(
      latest(),
      { Status: 'successful', TaskGroups: { web: { DesiredCanaries: 0 } } },
      'a first version has none',
    );
    job = harness.register({ ...job, Meta: { v: '2' } });
    const fresh = () => harness.live(job).filter((alloc) => alloc.Job === job);
    for (let round = 0; round < 3; round++) {
      await harness.run(job);
      harness.settle();
    }
    t.equal(fresh().length, canaries);
    t.ok(fresh().every(({ DeploymentStatus }) => DeploymentStatus?.Canary));
    const deployment = latest();
    assert(deployment);
    t.match(deployment, { Status: 'running', TaskGroups: { web: { DesiredCanaries: canaries, DesiredTotal: nodes } } });
    harness.addNode(mockNode(50, { ComputedClass: 'v1:a' }));
    await harness.run(job, { TriggeredBy: 'node-update' });
    const late = harness.live(job).find(({ NodeID }) => NodeID === 'node-00050');
    if (canaries < nodes) t.equal(late?.Job?.Version, 0, 'a node that joins now gets what has proved itself');
    harness.settle();
    harness.promote(deployment.ID);
    for (let round = 0; round < 8; round++) {
      await harness.run(job);
      harness.settle();
    }
    t.equal(fresh().length, nodes + 1);
    t.match(latest(), { ID: deployment.ID, Status: 'successful' });
  });
}

const sysbatch = (): Job =>
  mockJob({ Type: 'sysbatch', TaskGroups: [mockGroup({ Count: 1, ReschedulePolicy: null })] });

t.test('a sysbatch job runs once to its end on every node, also on those that come later', async (t) => {
  const harness = world(2);
  let job = harness.register(sysbatch());
  await harness.run(job);
  const [first, second] = harness.live(job);
  assert(first && second);
  harness.patch(first.ID, { ClientStatus: 'complete' });
  harness.patch(second.ID, { ClientStatus: 'failed' });
  await harness.run(job);
  t.equal(harness.live(job).length, 0, 'neither what is done nor what has failed for good runs again');
  t.equal(harness.deployments.size, 0, 'there are no roll-outs');
  harness.addNode(mockNode(2, { ComputedClass: 'v1:a' }));
  await harness.run(job, { TriggeredBy: 'node-update' });
  t.same(
    harness.live(job).map(({ NodeID }) => NodeID),
    ['node-00002'],
  );
  job = harness.register({ ...job, Meta: { v: '2' } });
  await harness.run(job);
  t.equal(harness.live(job).length, 3, 'a new version runs anew');
});

t.test('sysbatch work that was killed or lost runs again', async (t) => {
  const harness = world(2);
  const job = harness.register(sysbatch());
  await harness.run(job);
  const [lost, killed] = harness.live(job);
  assert(lost && killed);
  const node = harness.nodes.get(lost.NodeID) as ReturnType<typeof mockNode>;
  harness.addNode({ ...node, Status: 'down' });
  harness.patch(killed.ID, { DesiredTransition: { ...killed.DesiredTransition, Migrate: true } });
  await harness.run(job, { TriggeredBy: 'node-update' });
  t.equal(harness.allocs.get(lost.ID)?.ClientStatus, 'lost');
  const events = [{ Type: 'Killed' }] as NonNullable<typeof killed.TaskStates>[string]['Events'];
  const state = { State: 'dead', Failed: false, Events: events } as NonNullable<typeof killed.TaskStates>[string];
  harness.patch(killed.ID, { ClientStatus: 'complete', TaskStates: { web: state } });
  harness.addNode(node);
  await harness.run(job, { TriggeredBy: 'node-update' });
  t.same(new Set(harness.live(job).map(({ NodeID }) => NodeID)), new Set([lost.NodeID, killed.NodeID]));
});

t.test('a type without a scheduler is refused', async (t) => {
  const harness = world(1);
  const evaluation = mockEval(mockJob(), { Type: '_core' });
  await t.rejects(
    schedule(evaluation, { state: harness.snapshot(), planner: harness, now: 0, random: harness.random }),
    { code: 'E_NOT_SUPPORTED' },
  );
});
