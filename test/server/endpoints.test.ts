import t from 'tap';
import { waitMs } from '../../lib/server/blocking.js';
import { mockGroup, mockTask } from '../scheduler/mock.js';
import { settle } from './simulated-time.js';
import { createTestWorld, webJob } from './world.js';

t.test('a job that is wrong is refused with everything that is wrong', async (t) => {
  const world = createTestWorld();
  const job = webJob({ Priority: 900, TaskGroups: [mockGroup({ Name: '' })] });
  await t.rejects(world.call('Job.Register', { Job: job }), {
    code: 'E_BAD_REQUEST',
    message: /Priority.*[\s\S]*name/i,
  });
  await t.rejects(world.call('Job.Register', { Job: { ID: 7 } as never }), { code: 'E_BAD_REQUEST', message: /ID/ });
  const reply = await world.call('Job.Validate', { Job: job });
  t.ok((reply.ValidationErrors?.length ?? 0) >= 2);
  t.equal(world.store.snapshot().count('jobs'), 0);
});

t.test('an unknown driver is refused with the nearest known one', async (t) => {
  const world = createTestWorld({ config: { knownDrivers: () => ['docker', 'raw_exec', 'mock_driver'] } });
  const job = webJob({ TaskGroups: [mockGroup({ Tasks: [mockTask({ Driver: 'dokcer' })] })] });
  await t.rejects(world.call('Job.Register', { Job: job }), {
    code: 'E_BAD_REQUEST',
    message: /unknown driver "dokcer"; did you mean "docker"\?/,
  });
  await world.call('Job.Register', { Job: webJob() });
});

t.test('what a driver will refuse in a config is a warning, at its place in the source', async (t) => {
  const driverProblems = async (driver: string) =>
    driver === 'docker' ? [{ path: 'imge', message: 'is not a known key' }] : [];
  const world = createTestWorld({ config: { driverProblems } });
  const group = mockGroup({ Tasks: [mockTask({ Name: 'web', Driver: 'docker' })] });
  const job = webJob({ TaskGroups: [group] });
  const Source = `job "web" {\n group "${group.Name}" {\n  task "web" {\n   driver = "docker"\n   config {}\n  }\n }\n}`;
  const Submission = { Source, Format: 'hcl2' as const, VariableFlags: null, Variables: '' };
  const told = /^1 warning:\n\n\* job\.hcl:5,.*task "web" of group .* will fail.*"docker": imge: is not a known key$/;
  t.match((await world.call('Job.Validate', { Job: job, Submission })).Warnings, told);
  t.match((await world.call('Job.Register', { Job: job, Submission })).Warnings, told);
  t.match((await world.call('Job.Plan', { Job: webJob(job), Diff: false })).Warnings, /task "web" of group/);
  t.equal((await world.call('Job.Validate', { Job: webJob() })).Warnings, '');
});

t.test('another region is not served', async (t) => {
  const world = createTestWorld();
  await t.rejects(world.call('Job.List', { Region: 'mars' }), { message: /No path to region "mars"/ });
  await t.rejects(world.call('Job.Register', { Job: webJob({ Region: 'mars' }) }), { message: /region "mars"/ });
});

t.test('an enforced index refuses what somebody else changed', async (t) => {
  const world = createTestWorld();
  const enforce = (JobModifyIndex: number) =>
    world.call('Job.Register', { Job: webJob(), EnforceIndex: true, JobModifyIndex });
  await t.rejects(enforce(5), { code: 'E_CONFLICT', message: 'Enforcing job modify index 5: job does not exist' });
  const { JobModifyIndex } = await enforce(0);
  await t.rejects(enforce(0), { message: 'Enforcing job modify index 0: job already exists' });
  await t.rejects(enforce(99), {
    message: `Enforcing job modify index 99: job exists with conflicting job modify index: ${JobModifyIndex}`,
  });
  t.equal((await enforce(JobModifyIndex)).JobModifyIndex, JobModifyIndex, 'the same job again is no new version');
});

t.test('counts are preserved when asked', async (t) => {
  const world = createTestWorld();
  await world.call('Job.Register', { Job: webJob({ count: 5 }) });
  await world.call('Job.Register', { Job: webJob({ count: 1, Priority: 60 }), PreserveCounts: true });
  const job = world.store.snapshot().jobById('default', 'web');
  t.same([job?.Version, job?.Priority, job?.TaskGroups[0]?.Count], [1, 60, 5]);
});

t.test('a job goes back to an earlier version as a new one', async (t) => {
  const world = createTestWorld();
  await world.call('Job.Register', { Job: webJob({ Priority: 40 }) });
  await world.call('Job.Register', { Job: webJob({ Priority: 60 }) });
  await t.rejects(world.call('Job.Revert', { JobID: 'web', JobVersion: 1 }), {
    message: /can't revert to current version/,
  });
  await t.rejects(world.call('Job.Revert', { JobID: 'web', JobVersion: 9 }), { code: 'E_NOT_FOUND' });
  await t.rejects(world.call('Job.Revert', { JobID: 'web', JobVersion: 0, EnforcePriorVersion: 0 }), {
    code: 'E_CONFLICT',
  });
  await world.call('Job.Revert', { JobID: 'web', JobVersion: 0 });
  const { Versions } = await world.call('Job.Versions', { JobID: 'web' });
  t.same(
    Versions.map(({ Version, Priority }) => [Version, Priority]),
    [
      [2, 40],
      [1, 60],
      [0, 40],
    ],
  );
});

t.test('a plan tells what would happen and leaves no trace', async (t) => {
  const world = createTestWorld();
  await world.addNode(1);
  const entries = world.consensus.log.length;
  const fits = await world.call('Job.Plan', { Job: webJob() });
  t.equal(fits.FailedTGAllocs, null);
  t.equal(fits.Annotations?.DesiredTGUpdates['web']?.Place, 2);
  const nowhere = world.call('Job.Plan', { Job: { ...webJob(), NodePool: 'attic' } });
  await t.rejects(nowhere, { message: /nonexistent node pool "attic"/ });
  const tooLarge = await world.call('Job.Plan', { Job: webJob({ cpu: 9_000 }) });
  t.same(Object.keys(tooLarge.FailedTGAllocs ?? {}), ['web']);
  await world.time.advance(60_000);
  t.equal(world.consensus.log.length, entries);
  t.equal(world.store.snapshot().count('jobs'), 0);
});

t.test('a plan knows the volumes that were made through the API', async (t) => {
  const world = createTestWorld();
  const node = await world.addNode(1);
  const volume = {
    ...{ Namespace: 'default', ID: 'h1', Name: 'data', PluginID: 'mkdir', NodePool: 'default', NodeID: node.ID },
    ...{ Constraints: null, RequestedCapacityMinBytes: 0, RequestedCapacityMaxBytes: 0, CapacityBytes: 0 },
    ...{ RequestedCapabilities: [], Parameters: null, HostPath: '/srv/h1' },
  };
  await world.consensus.propose({ type: 'host-volume-upsert', volume, time: 1 });
  const HostVolumes = { data: { Name: 'data', Path: '/srv/h1', ReadOnly: false, ID: 'h1' } };
  await world.call('Node.Register', { Node: { ...node, HostVolumes } });
  const request = {
    ...{ Name: 'data', Type: 'host' as const, Source: 'data', ReadOnly: false, Sticky: true, PerAlloc: false },
    ...{ AccessMode: '', AttachmentMode: '', MountOptions: null },
  };
  const job = webJob();
  const TaskGroups = (job.TaskGroups ?? []).map((group) => ({ ...group, Volumes: { data: request } }));
  const planned = await world.call('Job.Plan', { Job: { ...job, TaskGroups } });
  t.equal(planned.FailedTGAllocs, null);
  t.equal(planned.Annotations?.DesiredTGUpdates['web']?.Place, 2);
});

t.test('a plan of a job that runs tells whether its allocations stay, change or are replaced', async (t) => {
  const world = createTestWorld();
  await world.addNode(1);
  await world.call('Job.Register', { Job: webJob() });
  await world.time.advance(60_000);
  const planned = async (job: ReturnType<typeof webJob>) => {
    const { Annotations, Diff } = await world.call('Job.Plan', { Job: job, Diff: true });
    const { Place, InPlaceUpdate, DestructiveUpdate, Ignore } = Annotations?.DesiredTGUpdates['web'] ?? {};
    return [Place, InPlaceUpdate, DestructiveUpdate, Ignore, Diff?.Type];
  };
  t.same(await planned(webJob()), [0, 0, 0, 2, 'None']);
  t.same(await planned(webJob({ Priority: 60 })), [0, 2, 0, 0, 'Edited']);
  t.same(await planned(webJob({ cpu: 200 })), [0, 0, 1, 1, 'Edited'], 'one at a time');
  t.same(await planned(webJob({ count: 3 })), [1, 2, 0, 0, 'Edited']);
});

t.test('a server in no mesh tells that it is well, and votes for itself', async (t) => {
  const world = createTestWorld();
  t.match(await world.call('Operator.ServerHealth', {}), {
    Healthy: true,
    FailureTolerance: 0,
    Servers: [{ Leader: true, Voter: true, Healthy: true }],
  });
  t.match((await world.call('Operator.ServerWhy', {})).Servers, [{ Standing: 'leader', Reason: /only server/ }]);
});

t.test('what does not exist is not found', async (t) => {
  const world = createTestWorld();
  for (const method of ['Job.Deregister', 'Job.Evaluate'] as const) {
    await t.rejects(world.call(method, { JobID: 'gone' }), { code: 'E_NOT_FOUND', message: 'job not found' });
  }
  await t.rejects(world.call('Alloc.Stop', { AllocID: 'gone' }), { message: 'alloc not found' });
  await t.rejects(world.call('Node.Evaluate', { NodeID: 'gone' }), { message: 'node not found' });
  await t.rejects(world.call('Deployment.Fail', { DeploymentID: 'gone' }), { message: 'deployment not found' });
  await t.rejects(world.call('Job.GetJob', { JobID: '' }), { code: 'E_BAD_REQUEST', message: 'missing job ID' });
  t.equal((await world.call('Job.GetJob', { JobID: 'gone' })).Job, null);
});

t.test('a blocking query returns when its object changes, not when another does', async (t) => {
  const world = createTestWorld();
  await world.call('Job.Register', { Job: webJob({ count: 0 }) });
  await world.time.advance(20);
  const { Index } = await world.call('Job.GetJob', { JobID: 'web' });
  let answered = false;
  const waiting = world.call('Job.GetJob', { JobID: 'web', MinQueryIndex: Index }).then((reply) => {
    answered = true;
    return reply;
  });
  await world.call('Job.Register', { Job: webJob({ ID: 'other', count: 0 }) });
  await world.time.advance(20);
  t.notOk(answered);
  await world.call('Job.Register', { Job: webJob({ count: 0, Priority: 70 }) });
  const reply = await waiting;
  t.equal(reply.Job?.Priority, 70);
  t.ok(reply.Index > Index);
});

t.test('a blocking query returns when its time is over, and at once when the caller leaves', async (t) => {
  const world = createTestWorld();
  const { Index } = await world.call('Job.List', {});
  const query = { MinQueryIndex: Index, MaxQueryTimeMs: 16_000 };
  const waiting = world.call('Job.List', query);
  await world.time.advance(17_001);
  t.equal((await waiting).Index, Index);
  const caller = new AbortController();
  const left = world.call('Job.List', query, caller.signal);
  await settle();
  caller.abort();
  await t.rejects(left, { code: 'E_TIMEOUT' });
});

t.test('a query waits five minutes by default, ten at most, and a sixteenth more', async (t) => {
  const none = { next: () => 0 };
  t.equal(waitMs(undefined, none), 300_000);
  t.equal(waitMs(0, none), 300_000);
  t.equal(waitMs(60_000, none), 60_000);
  t.equal(waitMs(3_600_000, none), 600_000);
  t.equal(waitMs(16_000, { next: () => 1 }), 17_000);
});

t.test('lists come in pages, forwards and backwards, filtered and by prefix', async (t) => {
  const world = createTestWorld();
  for (const ID of ['a1', 'a2', 'a3', 'b1', 'b2']) {
    await world.call('Job.Register', { Job: webJob({ ID, Name: ID, count: 0, Priority: ID === 'a2' ? 70 : 50 }) });
  }
  const all = async (query: object): Promise<string[][]> => {
    const pages: string[][] = [];
    let NextToken = '';
    do {
      const reply = await world.call('Job.List', { ...query, PerPage: 2, NextToken });
      pages.push(reply.Jobs.map(({ ID }) => ID));
      NextToken = reply.NextToken ?? '';
    } while (NextToken !== '');
    return pages;
  };
  t.same(await all({}), [['a1', 'a2'], ['a3', 'b1'], ['b2']]);
  t.same(await all({ Reverse: true }), [['b2', 'b1'], ['a3', 'a2'], ['a1']]);
  t.same(await all({ Prefix: 'a' }), [['a1', 'a2'], ['a3']]);
  t.same(await all({ Namespace: '*', Filter: 'Priority == 70 or ID matches "^b"' }), [['a2', 'b1'], ['b2']]);
  t.same(await all({ Namespace: 'other' }), [[]]);
  await t.rejects(world.call('Job.List', { Filter: 'ID ==' }), { code: 'E_BAD_REQUEST', message: /filter expression/ });
  const evals = await world.call('Eval.List', { PerPage: 3 });
  t.equal(evals.Evaluations.length, 3);
  const rest = await world.call('Eval.List', { PerPage: 3, NextToken: evals.NextToken ?? '' });
  t.equal(rest.Evaluations.length, 2);
});

t.test('an unchanged list is the same list, so that its text can be kept', async (t) => {
  const world = createTestWorld();
  await world.call('Job.Register', { Job: webJob({ count: 0 }) });
  await world.time.advance(20);
  const first = await world.call('Job.List', {});
  t.equal((await world.call('Job.List', {})).Jobs, first.Jobs);
  await world.call('Job.Register', { Job: webJob({ ID: 'other', count: 0 }) });
  const second = await world.call('Job.List', {});
  t.not(second.Jobs, first.Jobs);
  t.equal(
    second.Jobs.find(({ ID }) => ID === 'web'),
    first.Jobs[0],
    'and so is each unchanged item',
  );
});

t.test('a stopped allocation is replaced', async (t) => {
  const world = createTestWorld();
  const node = await world.addNode(1);
  await world.call('Job.Register', { Job: webJob({ count: 1 }) });
  await world.time.advance(20);
  await world.obey(node);
  const [alloc] = world.allocs();
  const { EvalID } = await world.call('Alloc.Stop', { AllocID: alloc?.ID ?? '' });
  await world.time.advance(20);
  t.equal(world.store.snapshot().evalById(EvalID)?.TriggeredBy, 'alloc-stop');
  t.equal(world.store.snapshot().allocById(alloc?.ID ?? '')?.DesiredStatus, 'stop');
  t.equal(world.allocs().filter(({ DesiredStatus }) => DesiredStatus === 'run').length, 1);
});

t.test('a scheduler configuration keeps what is not given and refuses what it does not know', async (t) => {
  const world = createTestWorld();
  const set = (Config: object) => world.call('Operator.SchedulerSetConfiguration', { Config: Config as never });
  await set({ SchedulerAlgorithm: 'spread' });
  await set({ RejectJobRegistration: true });
  const { SchedulerConfig } = await world.call('Operator.SchedulerGetConfiguration', {});
  t.same([SchedulerConfig.SchedulerAlgorithm, SchedulerConfig.RejectJobRegistration], ['spread', true]);
  await t.rejects(set({ SchedulerAlgorithm: 'magic' }), { code: 'E_BAD_REQUEST' });
  await t.rejects(set({ NodeLimitForFeasibilityChecks: -1 }), { code: 'E_BAD_REQUEST', message: /whole number/ });
  await t.rejects(world.call('Job.Register', { Job: webJob() }), { code: 'E_PERMISSION_DENIED' });
});
