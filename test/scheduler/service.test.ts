import assert from 'node:assert/strict';
import t from 'tap';
import type { Planner } from '../../lib/scheduler/ports.js';
import { schedule } from '../../lib/scheduler/schedule.js';
import type { Job, UpdateStrategy } from '../../lib/structs/job.js';
import { Harness } from './harness.js';
import { mockAlloc, mockEval, type mockGroup, mockJob, mockNode, mockTask } from './mock.js';

const S = 1e9;
const UPDATE: UpdateStrategy = {
  Stagger: 30 * S,
  MaxParallel: 1,
  HealthCheck: 'task_states',
  MinHealthyTime: 10 * S,
  HealthyDeadline: 300 * S,
  ProgressDeadline: 600 * S,
  AutoRevert: false,
  AutoPromote: false,
  Canary: 0,
};

function world(nodes = 5): Harness {
  const harness = new Harness();
  harness.addNode(...Array.from({ length: nodes }, (_, i) => mockNode(i)));
  return harness;
}

const withGroup = (job: Job, changes: Parameters<typeof mockGroup>[0]): Job => ({
  ...job,
  TaskGroups: [{ ...(job.TaskGroups[0] as Job['TaskGroups'][0]), ...changes }],
});
const withEnv = (job: Job, value: string): Job => withGroup(job, { Tasks: [mockTask({ Env: { V: value } })] });

t.test('a new job is placed whole, once', async (t) => {
  const harness = world();
  const job = harness.register(mockJob());
  const done = await harness.run(job);
  t.equal(done.Status, 'complete');
  t.same(done.QueuedAllocations, { web: 0 });
  t.same(harness.names(job), ['web.web[0]', 'web.web[1]', 'web.web[2]']);
  const alloc = harness.live(job)[0];
  t.match(alloc, { JobID: 'web', ClientStatus: 'pending', TaskGroup: 'web', EvalID: done.ID, NodeName: /^n\d$/ });
  t.equal(alloc?.Job, job, 'the job is shared, not copied');
  t.same(alloc?.AllocatedResources.Tasks['web']?.Cpu.CpuShares, 500);
  t.equal(alloc?.AllocatedResources.Shared.DiskMB, 300);
  t.equal(alloc?.Metrics?.NodesInPool, 5);
  t.same(alloc?.Metrics?.NodesAvailable, { dc1: 5 });

  await harness.run(job);
  t.equal(harness.plans.length, 1, 'a second look finds nothing to do and hands in no plan');
});

t.test('ports are given out with the address of their network', async (t) => {
  const harness = world(1);
  const port = { To: 0, HostNetwork: 'default', IgnoreCollision: false };
  const network = {
    Mode: '',
    Device: '',
    CIDR: '',
    IP: '',
    Hostname: '',
    MBits: null,
    DNS: null,
    CNI: null,
    ReservedPorts: [{ ...port, Label: 'admin', Value: 9000 }],
    DynamicPorts: [
      { ...port, Label: 'http', Value: 0, To: 8080 },
      { ...port, Label: 'same', Value: 0, To: -1 },
    ],
  };
  const job = harness.register(withGroup(mockJob(), { Count: 2, Networks: [network] }));
  const done = await harness.run(job);
  const [alloc] = harness.live(job);
  const ports = alloc?.AllocatedResources.Shared.Ports ?? [];
  t.match(ports, [
    { Label: 'admin', Value: 9000, To: 0, HostIP: '10.0.0.0' },
    { Label: 'http', To: 8080, HostIP: '10.0.0.0' },
    { Label: 'same', HostIP: '10.0.0.0' },
  ]);
  t.equal(ports[2]?.To, ports[2]?.Value, 'to = -1 means the same port inside');
  for (const { Value } of ports.slice(1)) t.ok(Value >= 20000 && Value <= 32000);
  const [shared] = alloc?.AllocatedResources.Shared.Networks ?? [];
  t.match(shared, { IP: '10.0.0.0', Device: 'eth0' });
  t.equal(shared?.DynamicPorts?.[0]?.Value, ports[1]?.Value);
  t.same(done.FailedTGAllocs?.['web']?.DimensionExhausted, { 'network: reserved port collision admin=9000': 1 });
  t.same(done.QueuedAllocations, { web: 1 });
});

t.test('what finds no room waits in a blocked evaluation that says why', async (t) => {
  const harness = new Harness();
  harness.addNode(
    mockNode(0, { NodeClass: 'small', ComputedClass: 'v1:s' }),
    mockNode(1, { NodeClass: 'old', ComputedClass: 'v1:o', Attributes: { 'kernel.name': 'darwin' } }),
    mockNode(2, { NodeClass: 'old', ComputedClass: 'v1:o', Attributes: { 'kernel.name': 'darwin' } }),
  );
  const job = harness.register(
    withGroup(mockJob({ Constraints: [{ LTarget: '${attr.kernel.name}', Operand: '=', RTarget: 'linux' }] }), {
      Count: 20,
    }),
  );
  const done = await harness.run(job);
  t.equal(harness.live(job).length, 8, '4000 MHz hold 8 times 500');
  const metrics = done.FailedTGAllocs?.['web'];
  t.match(metrics, {
    NodesEvaluated: 3,
    NodesFiltered: 2,
    NodesExhausted: 1,
    ClassFiltered: { old: 2 },
    ConstraintFiltered: { '${attr.kernel.name} = linux': 2 },
    ClassExhausted: { small: 1 },
    DimensionExhausted: { cpu: 1 },
    CoalescedFailures: 11,
  });
  t.match(harness.created, [
    {
      Status: 'blocked',
      TriggeredBy: 'queued-allocs',
      PreviousEval: done.ID,
      ClassEligibility: { 'v1:s': true, 'v1:o': false },
      EscapedComputedClass: false,
    },
  ]);
  t.equal(done.BlockedEval, harness.created[0]?.ID);
  t.same(done.QueuedAllocations, { web: 12 });

  const blocked = harness.created[0];
  if (!blocked) return;
  await harness.run(job, blocked);
  t.equal(harness.reblocked.length, 1, 'still no room: it is blocked again');
  harness.addNode(mockNode(3, { ComputedClass: 'v1:s' }), mockNode(4, { ComputedClass: 'v1:s' }));
  await harness.run(job, blocked);
  t.equal(harness.updated.at(-1)?.ID, blocked.ID);
  t.equal(harness.live(job).length, 20);
});

t.test('a constraint on what is unique to a node makes the blocked evaluation escape its class', async (t) => {
  const harness = world(2);
  const job = harness.register(
    mockJob({ Constraints: [{ LTarget: '${node.unique.name}', Operand: '=', RTarget: 'n9' }] }),
  );
  const done = await harness.run(job);
  t.same(done.FailedTGAllocs?.['web']?.ConstraintFiltered, { '${node.unique.name} = n9': 2 });
  t.match(harness.created[0], { EscapedComputedClass: true, ClassEligibility: null });
});

t.test('count down stops the highest names, count up takes the lowest free ones', async (t) => {
  const harness = world();
  let job = harness.register(mockJob());
  await harness.run(job);
  job = harness.register(withGroup(job, { Count: 1 }));
  await harness.run(job);
  t.same(harness.names(job), ['web.web[0]']);
  harness.settle();
  job = harness.register(withGroup(job, { Count: 3 }));
  await harness.run(job);
  t.same(harness.names(job), ['web.web[0]', 'web.web[1]', 'web.web[2]']);
});

t.test('a change that running tasks can take is made in place, any other replaces them', async (t) => {
  const harness = world();
  let job = harness.register(mockJob());
  await harness.run(job);
  const before = harness.live(job).map(({ ID }) => ID);
  job = harness.register({ ...job, Priority: 70 });
  await harness.run(job);
  t.same(
    harness
      .live(job)
      .map(({ ID }) => ID)
      .sort(),
    before.sort(),
  );
  t.ok(harness.live(job).every((alloc) => alloc.Job === job));
  job = harness.register(withEnv(job, '2'));
  await harness.run(job, { AnnotatePlan: true });
  t.ok(harness.live(job).every(({ ID }) => !before.includes(ID)));
  t.match(harness.plans.at(-1)?.Annotations?.DesiredTGUpdates, { web: { DestructiveUpdate: 3, Stop: 0, Place: 0 } });
});

t.test('a stopped job loses all its allocations and cancels its roll-out', async (t) => {
  const harness = world();
  let job = harness.register(withGroup(mockJob(), { Update: UPDATE }));
  await harness.run(job);
  job = harness.register({ ...job, Stop: true });
  await harness.run(job, { TriggeredBy: 'job-deregister' });
  t.equal(harness.live(job).length, 0);
  t.match(
    [...harness.deployments.values()],
    [{ Status: 'cancelled', StatusDescription: 'Cancelled because job is stopped' }],
  );
});

t.test('a rolling update goes on as its allocations become healthy, and ends successful', async (t) => {
  const harness = world();
  let job = harness.register(withGroup(mockJob(), { Update: UPDATE }));
  await harness.run(job);
  const first = [...harness.deployments.values()][0];
  t.match(first, { Status: 'running', TaskGroups: { web: { DesiredTotal: 3 } } });
  harness.settle();
  await harness.run(job);
  t.equal(harness.deployments.get(first?.ID ?? '')?.Status, 'successful');

  job = harness.register(withEnv(job, '2'));
  for (let updated = 1; updated <= 3; updated++) {
    await harness.run(job);
    const fresh = harness.live(job).filter((alloc) => alloc.Job === job);
    t.equal(fresh.length, updated, 'one more each time');
    await harness.run(job);
    t.equal(harness.live(job).filter((alloc) => alloc.Job === job).length, updated, 'none before it is healthy');
    harness.settle();
  }
  await harness.run(job);
  t.match([...harness.deployments.values()].at(-1), {
    Status: 'successful',
    StatusDescription: 'Deployment completed successfully',
  });
});

t.test('an unhealthy allocation holds a rolling update, and a newer version cancels it', async (t) => {
  const harness = world();
  let job = harness.register(withGroup(mockJob(), { Update: { ...UPDATE, MaxParallel: 2 } }));
  await harness.run(job);
  harness.settle();
  await harness.run(job);
  job = harness.register(withEnv(job, 'bad'));
  await harness.run(job);
  harness.settle(false);
  await harness.run(job);
  t.equal(harness.live(job).filter((alloc) => alloc.Job === job).length, 2);
  job = harness.register(withEnv(job, 'good'));
  await harness.run(job);
  const [, bad, good] = [...harness.deployments.values()];
  t.match(bad, { Status: 'cancelled', StatusDescription: 'Cancelled due to newer version of job' });
  t.match(good, { Status: 'running', JobVersion: 2 });
});

t.test('canaries stand beside the old ones until they are promoted', async (t) => {
  const harness = world();
  const update = { ...UPDATE, MaxParallel: 3, Canary: 1 };
  let job = harness.register(withGroup(mockJob(), { Update: update }));
  await harness.run(job);
  t.notOk(
    harness.live(job).some(({ DeploymentStatus }) => DeploymentStatus?.Canary),
    'the first version needs none',
  );
  harness.settle();
  await harness.run(job);
  job = harness.register(withEnv(job, '2'));
  await harness.run(job);
  t.equal(harness.live(job).length, 4);
  const canary = harness.live(job).find((alloc) => alloc.Job === job);
  t.match(canary, { Name: 'web.web[0]', DeploymentStatus: { Canary: true } });
  const deployment = [...harness.deployments.values()].at(-1);
  t.match(deployment, {
    StatusDescription: 'Deployment is running but requires manual promotion',
    TaskGroups: { web: { DesiredCanaries: 1, DesiredTotal: 3 } },
  });
  harness.settle();
  await harness.run(job);
  t.equal(harness.live(job).length, 4, 'nothing moves before the promotion');

  harness.promote(deployment?.ID ?? '');
  await harness.run(job);
  t.equal(harness.live(job).length, 3);
  t.same(harness.names(job), ['web.web[0]', 'web.web[1]', 'web.web[2]']);
  harness.settle();
  await harness.run(job);
  t.ok(harness.live(job).every((alloc) => alloc.Job === job));
  harness.settle();
  await harness.run(job);
  t.equal([...harness.deployments.values()].at(-1)?.Status, 'successful');
});

t.test('a failed roll-out keeps what runs, drops its canaries and starts nothing', async (t) => {
  const harness = world();
  let job = harness.register(withGroup(mockJob(), { Update: { ...UPDATE, Canary: 2 } }));
  await harness.run(job);
  harness.settle();
  await harness.run(job);
  job = harness.register(withEnv(job, '2'));
  await harness.run(job);
  t.equal(harness.live(job).length, 5);
  const deployment = [...harness.deployments.values()].at(-1);
  if (deployment) harness.deployments.set(deployment.ID, { ...deployment, Status: 'failed' });
  await harness.run(job, { TriggeredBy: 'deployment-watcher' });
  t.equal(harness.live(job).length, 3);
  t.ok(harness.live(job).every((alloc) => alloc.Job !== job));
});

t.test('a failed allocation is placed again when its delay is over, away from its node', async (t) => {
  const harness = world();
  const job = harness.register(withGroup(mockJob(), { Count: 1 }));
  await harness.run(job);
  const [alloc] = harness.live(job);
  assert(alloc);
  harness.patch(alloc.ID, { ClientStatus: 'failed', ModifyTime: harness.now * 1e6 });
  await harness.run(job, { TriggeredBy: 'alloc-failure' });
  const [followup] = harness.created;
  t.match(followup, {
    Status: 'pending',
    TriggeredBy: 'alloc-reschedule',
    WaitUntil: new Date(harness.now + 30_000).toISOString(),
  });
  t.equal(harness.allocs.get(alloc.ID)?.FollowupEvalID, followup?.ID);
  t.equal(harness.live(job).length, 0);
  await harness.run(job);
  t.equal(harness.created.length, 1, 'it waits but once');

  harness.now += 30_000;
  if (followup) await harness.run(job, followup);
  const [again] = harness.live(job);
  t.match(again, {
    Name: 'web.web[0]',
    PreviousAllocation: alloc.ID,
    RescheduleTracker: { Events: [{ PrevAllocID: alloc.ID, PrevNodeID: alloc.NodeID, Delay: 30 * S }] },
  });
  t.not(again?.NodeID, alloc.NodeID);
  t.equal(harness.allocs.get(alloc.ID)?.DesiredDescription, 'alloc was rescheduled because it failed');
  const penalty = again?.Metrics?.ScoreMetaData?.find(({ NodeID }) => NodeID === alloc.NodeID);
  if (penalty) t.equal(penalty.Scores['node-reschedule-penalty'], -1);
});

t.test('what was on a node that is down is lost and placed elsewhere', async (t) => {
  const harness = world();
  const job = harness.register(mockJob());
  await harness.run(job);
  const victim = harness.live(job)[0];
  assert(victim);
  const lost = harness.live(job).filter(({ NodeID }) => NodeID === victim.NodeID);
  harness.addNode({ ...(harness.nodes.get(victim.NodeID) as ReturnType<typeof mockNode>), Status: 'down' });
  await harness.run(job, { TriggeredBy: 'node-update' });
  for (const { ID } of lost) {
    t.match(harness.allocs.get(ID), {
      ClientStatus: 'lost',
      DesiredStatus: 'stop',
      DesiredDescription: 'alloc is lost since its node is down',
    });
  }
  t.same(harness.names(job), ['web.web[0]', 'web.web[1]', 'web.web[2]']);
  t.notOk(harness.live(job).some(({ NodeID }) => NodeID === victim.NodeID));
});

t.test('a draining node gives up what the drainer names, and gets nothing new', async (t) => {
  const harness = world(2);
  const job = harness.register(mockJob());
  await harness.run(job);
  const victim = harness.live(job)[0];
  assert(victim);
  harness.addNode({
    ...(harness.nodes.get(victim.NodeID) as ReturnType<typeof mockNode>),
    SchedulingEligibility: 'ineligible',
    DrainStrategy: { Deadline: 0, IgnoreSystemJobs: false, ForceDeadline: '', StartedAt: '' },
  });
  await harness.run(job, { TriggeredBy: 'node-drain' });
  t.ok(
    harness.live(job).some(({ ID }) => ID === victim.ID),
    'not before it is named',
  );
  harness.patch(victim.ID, { DesiredTransition: { ...victim.DesiredTransition, Migrate: true } });
  await harness.run(job, { TriggeredBy: 'node-drain' });
  const moved = harness.live(job).find(({ Name }) => Name === victim.Name);
  t.not(moved?.NodeID, victim.NodeID);
  t.equal(moved?.PreviousAllocation, victim.ID);
  t.equal(harness.allocs.get(victim.ID)?.DesiredDescription, 'alloc is being migrated');
});

t.test('a plan refused in part is made again on a fresher state, five times at most', async (t) => {
  const harness = world(1);
  const job = harness.register(withGroup(mockJob(), { Count: 1 }));
  harness.refusals.set('node-00000', 2);
  t.equal((await harness.run(job)).Status, 'complete');
  t.equal(harness.plans.length, 3);
  t.equal(harness.live(job).length, 1);

  const stuck = world(1);
  const other = stuck.register(withGroup(mockJob(), { Count: 1 }));
  stuck.refusals.set('node-00000', 100);
  const failed = await stuck.run(other);
  t.match(failed, { Status: 'failed', StatusDescription: 'maximum attempts reached (5)' });
  t.equal(stuck.plans.length, 5);
  t.match(stuck.created, [{ Status: 'blocked', TriggeredBy: 'max-plan-attempts', ID: failed.BlockedEval }]);
});

t.test('a plan refused in part by who knows no fresher state is not made again', async (t) => {
  const harness = world(2);
  const job = harness.register(withGroup(mockJob(), { Count: 4 }));
  let plans = 0;
  const planner: Planner = {
    async submitPlan(plan) {
      plans++;
      const [kept = ''] = Object.keys(plan.NodeAllocation);
      const NodeAllocation = { [kept]: plan.NodeAllocation[kept]?.slice(1) ?? [] };
      return {
        result: { ...plan, NodeAllocation, RejectedNodes: [kept], RefreshIndex: 1, AllocIndex: 0 },
        state: null,
      };
    },
    ...{ updateEval: async () => {}, createEval: async () => {}, reblockEval: async () => {} },
  };
  const { random, now } = harness;
  await t.rejects(schedule(mockEval(job), { state: harness.snapshot(), planner, now, random }), /how new a state/);
  t.equal(plans, 1);
});

t.test('an evaluation made for no known reason fails', async (t) => {
  const harness = world();
  const job = harness.register(mockJob());
  const done = await harness.run(job, { TriggeredBy: 'whim' });
  t.match(done, { Status: 'failed', StatusDescription: /whim/ });
  t.equal(harness.plans.length, 0);
});

t.test('groups that a job no longer has are stopped', async (t) => {
  const harness = world();
  const job = harness.register(mockJob());
  harness.addAlloc(mockAlloc(job, { TaskGroup: 'old', Name: 'web.old[0]', NodeID: 'node-00001' }));
  await harness.run(job);
  t.same(harness.names(job), ['web.web[0]', 'web.web[1]', 'web.web[2]']);
});

t.test('distinct_hosts puts no two on one node, distinct_property as many as it says on one value', async (t) => {
  const harness = new Harness();
  harness.addNode(
    ...Array.from({ length: 6 }, (_, i) => mockNode(i, { Meta: { rack: `r${i % 2}` }, ComputedClass: `v1:${i % 2}` })),
  );
  const constraint = (Operand: string, LTarget = '', RTarget = '') => ({ Operand, LTarget, RTarget });
  const hosts = harness.register(withGroup(mockJob({ Constraints: [constraint('distinct_hosts')] }), { Count: 8 }));
  const done = await harness.run(hosts);
  t.equal(new Set(harness.live(hosts).map(({ NodeID }) => NodeID)).size, 6);
  t.equal(harness.live(hosts).length, 6);
  t.same(done.FailedTGAllocs?.['web']?.ConstraintFiltered, { distinct_hosts: 6 });
  const racks = harness.register(
    withGroup(mockJob({ ID: 'racks' }), {
      Count: 5,
      Constraints: [constraint('distinct_property', '${meta.rack}', '2')],
    }),
  );
  const spread = await harness.run(racks);
  t.equal(harness.live(racks).length, 4);
  t.match(spread.FailedTGAllocs?.['web']?.ConstraintFiltered, {
    'distinct_property: ${meta.rack}=r0 used by 2 allocs': 3,
    'distinct_property: ${meta.rack}=r1 used by 2 allocs': 3,
  });
});

t.test('affinity draws, spread divides', async (t) => {
  const harness = new Harness();
  harness.addNode(
    ...Array.from({ length: 30 }, (_, i) => mockNode(i, { Datacenter: `dc${i % 3}`, ComputedClass: `v1:${i % 3}` })),
  );
  const near = harness.register(
    withGroup(
      mockJob({
        ID: 'near',
        Affinities: [{ LTarget: '${node.datacenter}', Operand: '=', RTarget: 'dc1', Weight: 100 }],
      }),
      { Count: 10 },
    ),
  );
  await harness.run(near);
  t.ok(harness.live(near).every(({ NodeID }) => harness.nodes.get(NodeID)?.Datacenter === 'dc1'));

  const perDc = (job: Job): Record<string, number> => {
    const counts: Record<string, number> = {};
    for (const { NodeID } of harness.live(job)) {
      const dc = harness.nodes.get(NodeID)?.Datacenter ?? '';
      counts[dc] = (counts[dc] ?? 0) + 1;
    }
    return counts;
  };
  const spread = (ID: string, SpreadTarget: { Value: string; Percent: number }[]) =>
    harness.register(
      withGroup(mockJob({ ID, Spreads: [{ Attribute: '${node.datacenter}', Weight: 100, SpreadTarget }] }), {
        Count: 10,
      }),
    );
  const targets = spread('targets', [
    { Value: 'dc0', Percent: 70 },
    { Value: 'dc1', Percent: 30 },
  ]);
  await harness.run(targets);
  t.same(perDc(targets), { dc0: 7, dc1: 3 });
  const even = spread('even', []);
  await harness.run(even);
  t.same(Object.values(perDc(even)).sort(), [3, 3, 4]);
});
