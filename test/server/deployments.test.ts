import t from 'tap';
import { goingBack, judgeDeployment } from '../../lib/server/deployment-rules.js';
import type { Schedule } from '../../lib/server/worker.js';
import type { Allocation } from '../../lib/structs/allocation.js';
import type { Deployment, DeploymentState } from '../../lib/structs/deployment.js';
import type { Job } from '../../lib/structs/job.js';
import { mockAlloc, mockGroup, mockJob } from '../scheduler/mock.js';
import { deployment, placement, planResults } from '../state/world.js';
import { batchJob, createTestWorld, type TestWorld, webJob } from './world.js';

const NOW = Date.UTC(2026, 0, 1);
const later = (ms: number): string => new Date(NOW + ms).toISOString();

const groupState = (changes: Partial<DeploymentState> = {}): DeploymentState => ({
  AutoRevert: false,
  AutoPromote: false,
  ProgressDeadline: 600e9,
  RequireProgressBy: later(600_000),
  Promoted: false,
  PlacedCanaries: null,
  DesiredCanaries: 0,
  DesiredTotal: 2,
  PlacedAllocs: 2,
  HealthyAllocs: 0,
  UnhealthyAllocs: 0,
  ...changes,
});

const health = (Healthy: boolean | null) => ({ Healthy, Timestamp: later(0), Canary: false, ModifyIndex: 1 });
const running = (changes: Partial<DeploymentState> = {}): Deployment =>
  deployment(mockJob(), { Status: 'running', TaskGroups: { web: groupState(changes) } });
const failedAlloc = (changes: Partial<Allocation> = {}, job = mockJob()): Allocation =>
  mockAlloc(job, { ID: 'x', ClientStatus: 'failed', DeploymentStatus: health(false), ...changes });
const limited = mockJob({
  TaskGroups: [
    mockGroup({
      ReschedulePolicy: {
        Attempts: 1,
        Interval: 3600e9,
        Delay: 5e9,
        DelayFunction: 'constant',
        MaxDelay: 0,
        Unlimited: false,
      },
    }),
  ],
});
const tried = {
  Events: [{ RescheduleTime: (NOW - 1_000) * 1e6, PrevAllocID: '', PrevNodeID: '', Delay: 0 }],
  LastReschedule: '',
};

t.test('a running deployment is judged by its allocations and the clock', async (t) => {
  const wait = (dueMs: number | undefined, retry: string[] = []) => ({ kind: 'wait', dueMs, retry });
  const fail = (reason: string, revert = false) => ({ kind: 'fail', reason, revert });
  const cases: [string, Deployment, Allocation[], number, object][] = [
    ['nothing is wrong', running(), [], NOW, wait(NOW + 600_000)],
    ['all are healthy', running({ HealthyAllocs: 2 }), [], NOW + 1e9, wait(undefined)],
    ['no progress in time', running(), [], NOW + 600_000, fail('Failed due to progress deadline')],
    [
      'nor, to be reverted',
      running({ AutoRevert: true }),
      [],
      NOW + 600_000,
      fail('Failed due to progress deadline', true),
    ],
    ['nothing placed yet', running({ RequireProgressBy: '0001-01-01T00:00:00Z' }), [], NOW + 1e9, wait(undefined)],
    ['one failed and may be replaced', running(), [failedAlloc()], NOW, wait(NOW + 600_000, ['x'])],
    [
      'one failed and is marked',
      running(),
      [
        failedAlloc({
          DesiredTransition: { Migrate: null, Reschedule: true, ForceReschedule: null, NoShutdownDelay: null },
        }),
      ],
      NOW,
      wait(NOW + 600_000),
    ],
    [
      'one failed without a deadline',
      running({ ProgressDeadline: 0 }),
      [failedAlloc()],
      NOW,
      fail('Failed due to unhealthy allocations'),
    ],
    [
      'one failed for the last time',
      running(),
      [failedAlloc({ RescheduleTracker: tried }, limited)],
      NOW,
      fail('Failed due to unhealthy allocations'),
    ],
    [
      'one is unhealthy, runs, and has no other attempt',
      running({ AutoRevert: true }),
      [failedAlloc({ ClientStatus: 'running', RescheduleTracker: tried }, limited)],
      NOW,
      fail('Failed due to unhealthy allocations', true),
    ],
    [
      'one group is late, another with time left wants to go back',
      deployment(mockJob(), {
        Status: 'running',
        TaskGroups: {
          web: groupState(),
          api: groupState({ AutoRevert: true, RequireProgressBy: later(900_000) }),
        },
      }),
      [],
      NOW + 600_000,
      fail('Failed due to progress deadline', true),
    ],
    [
      'one group is late, another that wants to go back is done',
      deployment(mockJob(), {
        Status: 'running',
        TaskGroups: { web: groupState(), api: groupState({ AutoRevert: true, HealthyAllocs: 2 }) },
      }),
      [],
      NOW + 600_000,
      fail('Failed due to progress deadline'),
    ],
    [
      'canaries wait for a person',
      running({ DesiredCanaries: 1, PlacedCanaries: ['c'] }),
      [mockAlloc(mockJob(), { ID: 'c', DeploymentStatus: health(true) })],
      NOW + 1e9,
      wait(undefined),
    ],
    [
      'canaries promote themselves',
      running({ DesiredCanaries: 1, PlacedCanaries: ['c'], AutoPromote: true }),
      [mockAlloc(mockJob(), { ID: 'c', DeploymentStatus: health(true) })],
      NOW,
      { kind: 'promote' },
    ],
    [
      'canaries are not healthy in time',
      running({ DesiredCanaries: 1, PlacedCanaries: ['c'], AutoPromote: true }),
      [],
      NOW + 600_000,
      fail('Failed due to progress deadline'),
    ],
    ['it is paused', { ...running(), Status: 'paused' }, [failedAlloc()], NOW + 1e9, wait(undefined)],
  ];
  for (const [name, subject, allocs, now, expected] of cases) {
    t.same(judgeDeployment(subject, mockJob(), allocs, { now }), expected, name);
  }
});

/** A world in which nothing is scheduled: deployments are laid into the state by hand. */
async function deploying(
  group: Partial<DeploymentState>,
): Promise<{ world: TestWorld; job: Job; evals: () => string[] }> {
  const schedule: Schedule = async (evaluation, { planner }) =>
    planner.updateEval({ ...evaluation, Status: 'complete' });
  const world = createTestWorld({ schedule });
  await world.addNode(1);
  await world.call('Job.Register', { Job: webJob({ Meta: { version: 'good' } }) });
  await world.call('Job.Stable', { JobID: 'web', JobVersion: 0, Stable: true });
  await world.call('Job.Register', { Job: webJob({ Meta: { version: 'bad' } }) });
  await world.time.advance(20);
  const job = world.store.snapshot().jobById('default', 'web') as Job;
  await world.consensus.propose(
    planResults(
      job,
      ['a1', 'a2'].map((ID) => placement(job, { ID, NodeID: 'node-00001', DeploymentID: 'd1' })),
      {
        deployment: deployment(job, {
          Status: 'running',
          TaskGroups: { web: groupState({ RequireProgressBy: '0001-01-01T00:00:00Z', PlacedAllocs: 0, ...group }) },
        }),
        time: world.time.now() * 1e6,
      },
    ),
  );
  await world.time.advance(20);
  const evals = () =>
    world.store
      .snapshot()
      .evalsByJob('default', 'web')
      .filter(({ TriggeredBy }) => TriggeredBy === 'deployment-watcher')
      .map(({ ID }) => ID);
  return { world, job, evals };
}

const report = (world: TestWorld, ID: string, ClientStatus: Allocation['ClientStatus'], Healthy: boolean | null) =>
  world.call('Node.UpdateAlloc', {
    NodeID: 'node-00001',
    SecretID: 'secret-1',
    Alloc: [
      {
        ...{ ID, ClientStatus, ClientDescription: '', TaskStates: null, AllocStates: null, NetworkStatus: null },
        DeploymentStatus: {
          Healthy,
          Timestamp: new Date(world.time.now()).toISOString(),
          Canary: false,
          ModifyIndex: 0,
        },
      },
    ],
  });

t.test('each report of health lets the roll-out go on', async (t) => {
  const { world, evals } = await deploying({});
  t.equal(evals().length, 0);
  await report(world, 'a1', 'running', true);
  await world.time.advance(20);
  t.equal(evals().length, 1);
  await report(world, 'a1', 'running', true);
  await world.time.advance(20);
  t.equal(evals().length, 1, 'saying it twice changes nothing');
});

t.test('health pushes the deadline on; without any the deployment fails and goes back', async (t) => {
  const { world, evals } = await deploying({ AutoRevert: true });
  await world.time.advance(599_000);
  await report(world, 'a1', 'running', true);
  await world.time.advance(599_000);
  t.equal(world.store.snapshot().deploymentById('d1')?.Status, 'running');
  await world.time.advance(2_000);
  const failed = world.store.snapshot().deploymentById('d1');
  t.equal(failed?.Status, 'failed');
  t.equal(failed?.StatusDescription, 'Failed due to progress deadline - rolling back to job version 0');
  const job = world.store.snapshot().jobById('default', 'web');
  t.same([job?.Version, job?.Meta], [2, { version: 'good' }]);
  t.equal(evals().length, 2);
});

t.test('a failed allocation is marked so that it may be replaced', async (t) => {
  const { world, evals } = await deploying({});
  await report(world, 'a1', 'failed', false);
  await world.time.advance(20);
  t.equal(world.store.snapshot().allocById('a1')?.DesiredTransition.Reschedule, true);
  t.equal(evals().length, 1);
});

t.test('healthy canaries take over by themselves when the job says so', async (t) => {
  const { world } = await deploying({ DesiredCanaries: 1, AutoPromote: true, PlacedCanaries: ['a1'] });
  await report(world, 'a1', 'running', true);
  await world.time.advance(20);
  t.equal(world.store.snapshot().deploymentById('d1')?.TaskGroups['web']?.Promoted, true);
});

t.test('a person promotes, pauses and fails', async (t) => {
  const { world } = await deploying({ DesiredCanaries: 1, PlacedCanaries: ['a1'] });
  await t.rejects(world.call('Deployment.Promote', { DeploymentID: 'd1', All: true }), {
    code: 'E_BAD_REQUEST',
    message: 'Task group "web" has 0/1 healthy allocations',
  });
  await report(world, 'a1', 'running', true);
  await world.call('Deployment.Promote', { DeploymentID: 'd1', All: true });
  t.equal(world.store.snapshot().deploymentById('d1')?.TaskGroups['web']?.Promoted, true);
  await world.call('Deployment.Pause', { DeploymentID: 'd1', Pause: true });
  await world.time.advance(3_600_000);
  t.equal(world.store.snapshot().deploymentById('d1')?.Status, 'paused', 'a paused one has no deadline');
  await world.call('Deployment.Fail', { DeploymentID: 'd1' });
  t.equal(world.store.snapshot().deploymentById('d1')?.Status, 'failed');
  await t.rejects(world.call('Deployment.Fail', { DeploymentID: 'd1' }), { code: 'E_BAD_REQUEST' });
});

t.test('a deployment that was paused for long has its whole time again once it goes on', async (t) => {
  const { world } = await deploying({});
  const now = () => world.store.snapshot().deploymentById('d1');
  await world.call('Deployment.Pause', { DeploymentID: 'd1', Pause: true });
  await world.time.advance(3_600_000);
  await world.call('Deployment.Pause', { DeploymentID: 'd1', Pause: false });
  await world.time.advance(590_000);
  t.equal(now()?.Status, 'running');
  await world.time.advance(20_000);
  t.match(now(), { Status: 'failed', StatusDescription: 'Failed due to progress deadline' });
});

t.test('a new leader takes up running deployments', async (t) => {
  const { world, evals } = await deploying({});
  world.consensus.lead(false);
  await world.time.advance(700_000);
  t.equal(world.store.snapshot().deploymentById('d1')?.Status, 'running');
  world.consensus.lead(true);
  await world.time.advance(20_000);
  t.equal(world.store.snapshot().deploymentById('d1')?.Status, 'failed');
  t.equal(evals().length, 2, 'when leadership began, and when it failed');
});

t.test('a person who calls an allocation unhealthy ends the deployment', async (t) => {
  const { world } = await deploying({ AutoRevert: true });
  const reply = await world.call('Deployment.SetAllocHealth', { DeploymentID: 'd1', UnhealthyAllocationIDs: ['a1'] });
  const ended = world.store.snapshot().deploymentById('d1');
  t.equal(ended?.Status, 'failed');
  t.equal(ended?.StatusDescription, 'Failed due to unhealthy allocations - rolling back to job version 0');
  t.equal(reply.RevertedJobVersion, 0);
  t.equal(world.store.snapshot().jobById('default', 'web')?.Version, 2);
});

t.test('a version that is the stable one again does not go back to it', async (t) => {
  const { world } = await deploying({ AutoRevert: true });
  await world.call('Deployment.Fail', { DeploymentID: 'd1' });
  const state = world.store.snapshot();
  const job = state.jobById('default', 'web');
  t.equal(job?.Version, 2, 'gone back to version 0');
  t.match(state.deploymentById('d1')?.StatusDescription, /rolling back to job version 0$/);
  const again = deployment(job ?? mockJob(), { ID: 'd2', Status: 'running' });
  const versions = state.jobVersions('default', 'web');
  t.same(goingBack('It failed', true, { job, versions, deployment: again }), {
    to: null,
    description: 'It failed - not rolling back to stable job version 0 as current job has same specification',
  });
});

t.test(
  'the evaluation of a job that is stopped names no deployment: whoever follows it waits for its end',
  async (t) => {
    const world = createTestWorld();
    await world.addNode(1);
    await world.call('Job.Register', { Job: webJob() });
    await world.time.advance(50);
    t.equal(world.store.snapshot().latestDeploymentByJob('default', 'web')?.Status, 'running');
    const more = await world.call('Job.Evaluate', { JobID: 'web' });
    await world.time.advance(50);
    t.not(world.store.snapshot().evalById(more.EvalID)?.DeploymentID, '');
    const { EvalID } = await world.call('Job.Deregister', { JobID: 'web' });
    await world.time.advance(50);
    t.match(world.store.snapshot().evalById(EvalID), { Status: 'complete', DeploymentID: '' });
    t.equal(world.store.snapshot().latestDeploymentByJob('default', 'web')?.Status, 'cancelled');
  },
);

t.test('the latest deployment of a job is not that of a purged one of its name', async (t) => {
  const world = createTestWorld();
  await world.addNode(1);
  await world.call('Job.Register', { Job: webJob() });
  await world.time.advance(50);
  const latest = async () => (await world.call('Job.LatestDeployment', { JobID: 'web' })).Deployment;
  t.match(await latest(), { Status: 'running' });
  await world.call('Job.Deregister', { JobID: 'web', Purge: true });
  await world.time.advance(50);
  t.match(await latest(), { Status: 'cancelled' }, 'of what is gone, it is told');
  await world.call('Job.Register', { Job: batchJob() });
  await world.time.advance(50);
  t.equal(await latest(), null);
});
