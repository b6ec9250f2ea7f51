import assert from 'node:assert/strict';
import t from 'tap';
import { nextDelay } from '../../lib/scheduler/reconcile/reschedule.js';
import type { Allocation } from '../../lib/structs/allocation.js';
import type { Job, ReschedulePolicy, UpdateStrategy } from '../../lib/structs/job.js';
import { Harness } from './harness.js';
import { mockGroup, mockJob, mockNode, mockResources, mockTask } from './mock.js';

const S = 1e9;

const policy = (changes: Partial<ReschedulePolicy> = {}): ReschedulePolicy => ({
  Attempts: 0,
  Interval: 0,
  Delay: 30 * S,
  DelayFunction: 'constant',
  MaxDelay: 300 * S,
  Unlimited: true,
  ...changes,
});

const rolling: UpdateStrategy = {
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

async function world(
  group: Parameters<typeof mockGroup>[0],
  options: { type?: Job['Type']; nodes?: number } = {},
): Promise<{ harness: Harness; job: Job }> {
  const harness = new Harness();
  harness.addNode(...Array.from({ length: options.nodes ?? 4 }, (_, i) => mockNode(i, { ComputedClass: 'v1:a' })));
  const job = harness.register(mockJob({ Type: options.type ?? 'service', TaskGroups: [mockGroup(group)] }));
  await harness.run(job);
  return { harness, job };
}

/** The allocations of a job by name; each fails after `afterMs` by its place in the list. */
function fail(harness: Harness, job: Job, ...afterMs: number[]): Allocation[] {
  const allocs = harness.live(job).sort((a, b) => (a.Name < b.Name ? -1 : 1));
  return afterMs.map((ms, i) => {
    const alloc = allocs[i];
    assert(alloc);
    const FinishedAt = new Date(harness.now + ms).toISOString();
    const TaskStates = { web: { State: 'dead', Failed: true, FinishedAt, Events: [] } };
    harness.patch(alloc.ID, { ClientStatus: 'failed', TaskStates: TaskStates as unknown as Allocation['TaskStates'] });
    return harness.allocs.get(alloc.ID) as Allocation;
  });
}

t.test('a series of delays, as each function has it', async (t) => {
  for (const [name, rule, tried, wanted] of [
    ['constant', 'constant', [30, 30, 30], 30],
    ['exponential', 'exponential', [30, 60], 120],
    ['exponential, capped', 'exponential', [240], 300],
    ['fibonacci', 'fibonacci', [30, 30, 60], 90],
    ['fibonacci, capped', 'fibonacci', [210, 270], 300],
    ['fibonacci, anew after the cap', 'fibonacci', [300, 30], 30],
    ['fibonacci, going on after that', 'fibonacci', [300, 30, 30], 60],
  ] as const) {
    const rules = policy({ DelayFunction: rule });
    const Events = tried.map((seconds) => ({
      RescheduleTime: 1_000_000 * S,
      PrevAllocID: '',
      PrevNodeID: '',
      Delay: seconds * S,
    }));
    const alloc = { TaskStates: null, ModifyTime: 1_000_010 * S, RescheduleTracker: { Events, LastReschedule: 'ok' } };
    t.equal(nextDelay(alloc as unknown as Allocation, rules) / S, wanted, name);
  }
});

t.test('waits that end within five seconds share an evaluation', async (t) => {
  const { harness, job } = await world({ Count: 4, ReschedulePolicy: policy() }, { type: 'batch' });
  const failed = fail(harness, job, 0, 2000, 4999, 5000);
  await harness.run(job, { TriggeredBy: 'alloc-failure' });
  t.same(
    harness.created.map(({ WaitUntil }) => WaitUntil),
    [30_000, 35_000].map((ms) => new Date(harness.now + ms).toISOString()),
  );
  const [first, second] = harness.created.map(({ ID }) => ID);
  t.same(
    failed.map(({ ID }) => harness.allocs.get(ID)?.FollowupEvalID),
    [first, first, first, second],
  );
  harness.now += 30_000;
  await harness.run(job, { ID: first ?? '', TriggeredBy: 'alloc-failure' });
  t.equal(harness.live(job).length, 3, 'all of the window are tried again');
});

t.test('a follow-up that was cancelled in favour of another evaluation loses nobody', async (t) => {
  const { harness, job } = await world({ Count: 2, ReschedulePolicy: policy() });
  fail(harness, job, 0, 4000);
  await harness.run(job, { TriggeredBy: 'alloc-failure' });
  harness.now += 30_000;
  await harness.run(job, { TriggeredBy: 'node-update' });
  t.equal(harness.live(job).length, 1, 'the second has some seconds left');
  const followup = harness.created.at(-1);
  t.equal(followup?.WaitUntil, new Date(harness.now + 4000).toISOString());
  harness.now += 4000;
  await harness.run(job, { ID: followup?.ID ?? '' });
  t.equal(harness.live(job).length, 2);
});

t.test('forced: at once, and past the last attempt', async (t) => {
  const limited = policy({ Unlimited: false, Attempts: 1, Interval: 3600 * S, Delay: 0 });
  const { harness, job } = await world({ Count: 1, ReschedulePolicy: limited });
  for (let tries = 0; tries < 2; tries++) {
    fail(harness, job, 0);
    harness.now += 1000;
    await harness.run(job, { TriggeredBy: 'alloc-failure' });
  }
  t.equal(harness.live(job).length, 0, 'its attempts are used up');
  const last = harness
    .ofJob(job)
    .find(({ ClientStatus, NextAllocation }) => ClientStatus === 'failed' && !NextAllocation);
  assert(last);
  harness.patch(last.ID, { DesiredTransition: { ...last.DesiredTransition, ForceReschedule: true } });
  await harness.run(job);
  const [forced] = harness.live(job);
  t.match(forced, { PreviousAllocation: last.ID, DesiredTransition: { ForceReschedule: null } });
  t.equal(forced?.RescheduleTracker?.Events.length, 2, 'and it counts');
});

t.test('in a running roll-out a failure waits for the word of its watcher; in a failed one it stays', async (t) => {
  const { harness, job } = await world({ Count: 2, Update: rolling, ReschedulePolicy: policy({ Delay: 0 }) });
  const [alloc] = fail(harness, job, 0);
  assert(alloc);
  harness.now += 60_000;
  await harness.run(job, { TriggeredBy: 'alloc-failure' });
  t.equal(harness.live(job).length, 1, 'the roll-out may be about to fail for it');
  harness.patch(alloc.ID, { DesiredTransition: { ...alloc.DesiredTransition, Reschedule: true } });
  const deployment = harness.deployments.get(alloc.DeploymentID);
  assert(deployment);
  harness.deployments.set(deployment.ID, { ...deployment, Status: 'failed' });
  await harness.run(job, { TriggeredBy: 'deployment-watcher' });
  t.equal(harness.live(job).length, 1, 'what a failed roll-out brought is not brought again');
  harness.deployments.set(deployment.ID, deployment);
  await harness.run(job, { TriggeredBy: 'deployment-watcher' });
  t.match(
    harness
      .live(job)
      .map(({ PreviousAllocation }) => PreviousAllocation)
      .sort(),
    ['', alloc.ID],
  );
});

t.test('forced: also what a failed roll-out brought', async (t) => {
  const { harness, job } = await world({ Count: 2, Update: rolling, ReschedulePolicy: policy({ Delay: 0 }) });
  const [alloc] = fail(harness, job, 0);
  assert(alloc);
  const deployment = harness.deployments.get(alloc.DeploymentID);
  assert(deployment);
  harness.deployments.set(deployment.ID, { ...deployment, Status: 'failed' });
  harness.patch(alloc.ID, { DesiredTransition: { ...alloc.DesiredTransition, ForceReschedule: true } });
  await harness.run(job);
  const forced = harness.live(job).find(({ PreviousAllocation }) => PreviousAllocation === alloc.ID);
  t.equal(forced?.DeploymentID, '', 'it belongs to no roll-out');
});

t.test('one that finds no room stays as it is, and knows what it has tried when there is room', async (t) => {
  const tasks = [mockTask({ Resources: mockResources({ CPU: 3000 }) })];
  const { harness, job } = await world(
    { Count: 1, Tasks: tasks, ReschedulePolicy: policy({ Delay: 0 }) },
    { nodes: 2 },
  );
  const [alloc] = fail(harness, job, 0);
  assert(alloc);
  const nodes = [...harness.nodes.values()];
  harness.addNode(...nodes.map((node) => ({ ...node, SchedulingEligibility: 'ineligible' as const })));
  harness.now += 1000;
  const done = await harness.run(job, { TriggeredBy: 'alloc-failure' });
  t.same(done.QueuedAllocations, { web: 1 });
  t.equal(harness.allocs.get(alloc.ID)?.DesiredStatus, 'run');
  harness.addNode(...nodes);
  await harness.run(job);
  t.match(harness.live(job), [
    { PreviousAllocation: alloc.ID, RescheduleTracker: { Events: [{ PrevAllocID: alloc.ID }] } },
  ]);
});

t.test('one beyond the count is stopped, not tried again', async (t) => {
  const { harness, job } = await world({ Count: 3, ReschedulePolicy: policy({ Delay: 0 }) });
  const smaller = harness.register({
    ...job,
    TaskGroups: [mockGroup({ Count: 2, ReschedulePolicy: policy({ Delay: 0 }) })],
  });
  const [alloc] = fail(harness, smaller, 0);
  assert(alloc);
  harness.now += 1000;
  await harness.run(smaller);
  t.equal(harness.allocs.get(alloc.ID)?.DesiredStatus, 'stop');
  t.equal(harness.live(smaller).length, 2);
  t.equal(harness.ofJob(smaller).length, 3, 'none was placed');
});

t.test('of those that run, the ones with the highest names go, whatever name a failed one bears', async (t) => {
  const { harness, job } = await world({ Count: 4, ReschedulePolicy: policy({ Delay: 0 }) });
  const last = harness.live(job).find(({ Name }) => Name.endsWith('[3]'));
  assert(last);
  harness.patch(last.ID, { ClientStatus: 'failed' });
  harness.now += 1000;
  await harness.run(harness.register({ ...job, TaskGroups: [mockGroup({ Count: 1 })] }));
  t.same(harness.names(job), ['web.web[0]']);
  t.equal(harness.ofJob(job).length, 4, 'none was placed');
});

for (const [what, changes] of [
  ['waits to be tried again', {}],
  ['has used up its attempts', { Unlimited: false, Attempts: 0 }],
] as const) {
  t.test(`a failed one that ${what} does not hold up a job registered anew after a purge`, async (t) => {
    const { harness, job } = await world({ Count: 2, ReschedulePolicy: policy({ Delay: 3600 * S, ...changes }) });
    const [failed] = fail(harness, job, 0);
    assert(failed);
    await harness.run(job, { TriggeredBy: 'alloc-failure' });
    t.equal(harness.live(job).length, 1, 'the job as it is waits');
    await harness.run(harness.register({ ...job, Stop: true }));
    harness.jobs.delete(job.ID);
    const anew = harness.register(job);
    await harness.run(anew);
    t.same(harness.names(anew), ['web.web[0]', 'web.web[1]']);
    t.ok(harness.live(anew).every(({ PreviousAllocation }) => PreviousAllocation === ''));
    t.equal(harness.allocs.get(failed.ID)?.NextAllocation, '', 'it has nothing to do with the new job');
  });
}

t.test('a job that is started again waits for no delay from before it was stopped', async (t) => {
  const { harness, job } = await world({ Count: 2, ReschedulePolicy: policy({ Delay: 3600 * S }) });
  fail(harness, job, 0);
  await harness.run(job);
  t.equal(harness.live(job).length, 1, 'its turn is in an hour');
  const stopped = harness.register({ ...job, Stop: true });
  await harness.run(stopped, { TriggeredBy: 'job-deregister' });
  t.same(harness.live(stopped), []);
  const failed = [...harness.allocs.values()].filter(({ ClientStatus }) => ClientStatus === 'failed');
  t.match(failed, [{ DesiredStatus: 'stop' }], 'nor is it lost');
  const started = harness.register({ ...stopped, Stop: false });
  await harness.run(started);
  t.equal(harness.live(started).length, 2);
});
