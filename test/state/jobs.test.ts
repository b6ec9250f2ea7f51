import t from 'tap';
import type { Command } from '../../lib/state/commands.js';
import { shareEqual } from '../../lib/state/share.js';
import { createStore } from '../../lib/state/store.js';
import { watchKeys } from '../../lib/state/watch.js';
import { mockEval, mockGroup, mockJob } from '../scheduler/mock.js';
import { NOW, placement, planResults, report, World } from './world.js';

t.test('a new job gets version 0 and the indexes of its entry', async (t) => {
  const world = new World();
  world.apply({ type: 'noop' });
  const source = { Source: 'job "web" {}', Format: 'hcl2', VariableFlags: null, Variables: '' } as const;
  const wanted = mockJob({ Version: 7, Status: 'dead', Stable: true });
  const evaluation = mockEval(wanted, { ID: 'e1' });
  world.apply({ type: 'job-register', job: wanted, eval: evaluation, submission: source });
  const { Version, CreateIndex, ModifyIndex, JobModifyIndex, Status, Stable } = world.job();
  t.same([Version, CreateIndex, ModifyIndex, JobModifyIndex], [0, 2, 2, 2]);
  t.same([Status, Stable], ['pending', false]);
  t.equal(world.eval('e1').JobModifyIndex, 2);
  t.same(world.now.jobSubmission('default', 'web', 0), source);
  t.equal(world.counts()?.Starting, 0);
});

t.test('only a change of the specification makes a version', async (t) => {
  const world = new World();
  const first = world.register();
  const again = world.register({ SubmitTime: 5, Status: 'dead', Version: 9 }, mockEval(first, { ID: 'e2' }));
  t.equal(again, first, 'the stored job is untouched');
  t.equal(world.eval('e2').JobModifyIndex, first.JobModifyIndex, 'but its evaluation is stored');
  const changed = world.register({ Priority: 70 });
  t.same([changed.Version, changed.CreateIndex, changed.JobModifyIndex], [1, 1, 3]);
  t.equal(changed.TaskGroups, first.TaskGroups, 'equal parts are shared between versions');
  t.same(
    world.now.jobVersions('default', 'web').map(({ Version }) => Version),
    [1, 0],
  );
});

t.test('a job that was stopped is a new version when it is registered again', async (t) => {
  const world = new World();
  world.register();
  const stop: Command = {
    type: 'job-deregister',
    namespace: 'default',
    id: 'web',
    purge: false,
    eval: null,
    time: NOW,
  };
  t.same(world.apply(stop), { ok: true, value: { jobModifyIndex: 2 } });
  t.match(world.job(), { Stop: true, Version: 1, SubmitTime: NOW });
  t.same(world.apply(stop), { ok: true, value: { jobModifyIndex: 2 } }, 'stopping twice changes nothing');
  t.match(world.register(), { Stop: false, Version: 2 });
});

t.test('a registration that expects another modify index is refused', async (t) => {
  const world = new World();
  const command = { type: 'job-register', job: mockJob(), eval: null, submission: null } as const;
  t.match(world.apply({ ...command, enforceJobModifyIndex: 4 }), { ok: false, error: { code: 'E_CONFLICT' } });
  t.ok(world.apply({ ...command, enforceJobModifyIndex: 0 }).ok);
  t.match(world.apply({ ...command, enforceJobModifyIndex: 0 }), { ok: false, error: { code: 'E_CONFLICT' } });
  t.ok(world.apply({ ...command, enforceJobModifyIndex: 2 }).ok);
});

t.test('six versions are kept, besides those with a tag and the last stable one', async (t) => {
  const versions = (world: World) => world.now.jobVersions('default', 'web').map(({ Version }) => Version);
  const plain = new World();
  for (let i = 0; i < 9; i++) plain.register({ Priority: 40 + i });
  t.same(versions(plain), [8, 7, 6, 5, 4, 3]);

  const world = new World();
  for (let i = 0; i < 3; i++) world.register({ Priority: 40 + i });
  const tag = { Name: 'golden', Description: '', TaggedTime: NOW };
  world.apply({ type: 'job-version-tag', namespace: 'default', id: 'web', version: 0, tag });
  world.apply({ type: 'job-stability', namespace: 'default', id: 'web', version: 1, stable: true });
  for (let i = 3; i < 10; i++) world.register({ Priority: 40 + i });
  t.same(versions(world), [9, 8, 7, 6, 5, 1, 0]);
  t.equal(world.job().VersionTag, null, 'a tag belongs to its version alone');
});

t.test('a purge forgets a job, its versions, submission and summary', async (t) => {
  const world = new World();
  world.register();
  world.register({ Priority: 70 });
  const purge = {
    type: 'job-deregister',
    namespace: 'default',
    id: 'web',
    purge: true,
    eval: null,
    time: NOW,
  } as const;
  t.ok(world.apply(purge).ok);
  const { now } = world;
  t.same(
    [now.jobById('default', 'web'), now.jobVersions('default', 'web'), now.jobSummary('default', 'web')],
    [undefined, [], undefined],
  );
  t.match(world.apply(purge), { ok: false, error: { code: 'E_NOT_FOUND' } });
  t.match(world.register(), { Version: 0, CreateIndex: 5 });
});

t.test('jobs with names that begin alike keep their versions apart', async (t) => {
  const world = new World();
  world.register({ ID: 'a' });
  world.register({ ID: 'a2' });
  t.equal(world.now.jobVersions('default', 'a').length, 1);
  world.apply({
    type: 'job-batch-deregister',
    jobs: [{ namespace: 'default', id: 'a', purge: true }],
    evals: [],
    time: NOW,
  });
  t.equal(world.now.jobVersions('default', 'a2').length, 1);
});

t.test('the status of a job follows its work', async (t) => {
  const world = new World();
  const job = world.register({}, mockEval(mockJob(), { ID: 'e1' }));
  t.equal(job.Status, 'pending');
  world.apply(planResults(job, [placement(job, { ID: 'a1' })]));
  t.equal(world.job().Status, 'running');
  world.apply({
    type: 'allocs-client-update',
    allocs: [report({ ID: 'a1' }, { ClientStatus: 'failed' })],
    evals: [],
    time: NOW,
  });
  t.equal(world.job().Status, 'pending', 'an evaluation is still open');
  world.apply({ type: 'evals-upsert', evals: [{ ...world.eval('e1'), Status: 'complete' }] });
  t.equal(world.job().Status, 'dead');
  world.apply({ type: 'evals-delete', evals: ['e1'], allocs: ['a1'] });
  t.equal(world.job().Status, 'dead', 'also when its history was collected');
});

t.test('system, periodic and parameterized jobs run until they are stopped', async (t) => {
  const periodic = { Enabled: true, Spec: '', Specs: null, SpecType: 'cron', ProhibitOverlap: false, TimeZone: 'UTC' };
  const parameterized = { Payload: 'optional', MetaRequired: null, MetaOptional: null } as const;
  const kinds = [{ Type: 'system' }, { Periodic: periodic }, { ParameterizedJob: parameterized }] as const;
  for (const kind of kinds) {
    const world = new World();
    t.equal(world.register(kind).Status, 'running');
    world.apply({ type: 'job-deregister', namespace: 'default', id: 'web', purge: false, eval: null, time: NOW });
    t.equal(world.job().Status, 'dead');
  }
});

t.test('a parent counts its children by status', async (t) => {
  const world = new World();
  world.register({ ParameterizedJob: { Payload: 'optional', MetaRequired: null, MetaOptional: null } });
  const child = world.register({ ID: 'web/dispatch-1', ParentID: 'web', Type: 'batch' });
  const children = () => world.now.jobSummary('default', 'web')?.Children;
  t.same(children(), { Pending: 1, Running: 0, Dead: 0 });
  world.apply(planResults(child, [placement(child, { ID: 'a1' })]));
  t.same(children(), { Pending: 0, Running: 1, Dead: 0 });
  world.apply({
    type: 'allocs-client-update',
    allocs: [report({ ID: 'a1' }, { ClientStatus: 'complete' })],
    evals: [],
    time: NOW,
  });
  t.same(children(), { Pending: 0, Running: 0, Dead: 1 });
  t.same(
    world.now.jobChildren('default', 'web').map(({ ID }) => ID),
    ['web/dispatch-1'],
  );
});

t.test('stopping without shutdown delay tells every allocation', async (t) => {
  const world = new World();
  const job = world.register();
  world.apply(planResults(job, [placement(job, { ID: 'a1' })]));
  const stop = {
    type: 'job-deregister',
    namespace: 'default',
    id: 'web',
    purge: false,
    eval: null,
    time: NOW,
  } as const;
  world.apply({ ...stop, noShutdownDelay: true });
  t.match(world.alloc('a1'), { DesiredTransition: { NoShutdownDelay: true }, AllocModifyIndex: 3 });
});

t.test('groups of older versions stay in the summary', async (t) => {
  const world = new World();
  world.register();
  world.register({ TaskGroups: [mockGroup({ Name: 'db' })] });
  t.same(Object.keys(world.now.jobSummary('default', 'web')?.Summary ?? {}), ['web', 'db']);
});

t.test('what equals is shared, and what differs is not', async (t) => {
  const old = { a: [1, { b: 'x' }], c: { d: null }, e: 1 };
  t.equal(shareEqual(old, { a: [1, { b: 'x' }], c: { d: null }, e: 1 }), old);
  t.equal(shareEqual(old, { e: 1, c: { d: null }, a: [1, { b: 'x' }] }), old, 'whatever the order of keys');
  const next = { a: [1, { b: 'x' }, 3], c: { d: null }, e: 2 };
  const shared = shareEqual(old, next);
  t.same(shared, next);
  t.equal(shared.c, old.c);
  t.equal(shared.a[1], old.a[1]);
  for (const [a, b] of [
    [{ x: 1 }, { x: 1, y: 2 }],
    [{ x: 1, y: 2 }, { x: 1 }],
    [[1], [1, 2]],
    [[1, 2], [1]],
    [{}, []],
    [[], {}],
    [null, {}],
    [{}, null],
    [{ x: undefined }, { y: undefined }],
  ]) {
    t.same(shareEqual(a, b), b);
    t.not(shareEqual(a, b), a);
  }
});

t.test('jobs with a scaling policy stand in a table of their own, whose index moves with them alone', async (t) => {
  const world = new World();
  const policy = { ID: 'p', Enabled: true, Min: 1, Max: 3, Policy: {}, Target: {}, Type: 'horizontal' } as const;
  const Scaling = { ...policy, CreateIndex: 0, ModifyIndex: 0 };
  const scaled = { ID: 'scaled', TaskGroups: [mockGroup({ Scaling })] };
  const seen = (): [ids: string[], index: number] => [
    [...world.now.scaledJobs('*')].map(({ ID }) => ID),
    world.now.tableIndex('scaled_jobs'),
  ];
  let woken = 0;
  world.store.subscribe([watchKeys.scaledJobs()], () => woken++);
  world.register();
  t.same([seen(), woken], [[[], 1], 0]);
  const job = world.register(scaled);
  t.same([seen(), woken], [[['scaled'], 2], 1]);
  world.register({ Priority: 70 });
  // Running now: its policies are what they were.
  world.apply(planResults(job, [placement(job, { ID: 'a', ClientStatus: 'running' })]));
  t.same([seen(), woken], [[['scaled'], 2], 1]);
  t.equal([...world.now.scaledJobs('default')][0], world.job('scaled'), 'it is the row as it is now');
  t.same([...world.now.scaledJobs('other')], []);

  const restored = createStore();
  await restored.restore(world.now.stream(), 4);
  t.equal(restored.snapshot().tableIndex('scaled_jobs'), 2);
  t.same([...restored.snapshot().scaledJobs('*')], [...world.now.scaledJobs('*')]);

  const dereg = { type: 'job-deregister', namespace: 'default', id: 'scaled', eval: null, time: NOW } as const;
  world.apply({ ...dereg, purge: false });
  t.same([seen(), woken], [[['scaled'], 5], 2], 'stopped');
  world.register({ ID: 'scaled' });
  t.same([seen(), woken], [[[], 6], 3], 'without its policy');
  world.register({ ...scaled, Priority: 60 });
  world.apply({ ...dereg, purge: true });
  t.same([seen(), woken], [[[], 8], 5], 'purged');
});
