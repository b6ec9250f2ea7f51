import t from 'tap';
import { batchJob, createTestWorld, type TestWorld } from './world.js';

const START = Date.UTC(2026, 0, 1);

const periodic = (changes: object = {}) => ({
  Enabled: true,
  Spec: '*/10 * * * *',
  Specs: null,
  SpecType: 'cron',
  ProhibitOverlap: false,
  TimeZone: 'UTC',
  ...changes,
});

const nightly = (changes: object = {}) =>
  batchJob({ ID: 'night', Name: 'night', count: 1, Periodic: periodic(changes) });

const children = (world: TestWorld): string[] =>
  world.store
    .snapshot()
    .jobChildren('default', 'night')
    .map(({ ID }) => ID)
    .sort();

const launchId = (minutes: number): string => `night/periodic-${START / 1000 + minutes * 60}`;

t.test('a periodic job does not run itself, the clock makes jobs of it', async (t) => {
  const world = createTestWorld();
  const node = await world.addNode(1);
  const { EvalID } = await world.call('Job.Register', { Job: nightly() });
  t.equal(EvalID, '');
  await world.time.advance(9 * 60_000);
  t.same(children(world), []);
  await world.time.advance(12 * 60_000);
  t.same(children(world), [launchId(10), launchId(20)]);
  const state = world.store.snapshot();
  const child = state.jobById('default', launchId(10));
  t.same([child?.ParentID, child?.Periodic, child?.Name], ['night', null, launchId(10)]);
  await world.obey(node);
  t.equal(world.allocs(launchId(10))[0]?.ClientStatus, 'running');
  t.same(world.store.snapshot().jobSummary('default', 'night')?.Children, { Pending: 0, Running: 2, Dead: 0 });
  await world.call('Job.Deregister', { JobID: 'night' });
  await world.time.advance(60 * 60_000);
  t.equal(children(world).length, 2, 'a stopped one makes no more');
});

t.test('with prohibit_overlap the next launch waits until the last has ended', async (t) => {
  const world = createTestWorld();
  const node = await world.addNode(1);
  await world.call('Job.Register', { Job: nightly({ ProhibitOverlap: true }) });
  await world.time.advance(31 * 60_000);
  t.same(children(world), [launchId(10)]);
  await world.obey(node, () => ({ ClientStatus: 'complete' }));
  await world.time.advance(10 * 60_000);
  t.same(children(world), [launchId(10), launchId(40)]);
});

t.test('crons are several schedules, a disabled one is none', async (t) => {
  const world = createTestWorld();
  await world.call('Job.Register', { Job: nightly({ Spec: '', Specs: ['5 * * * *', '7 * * * *'] }) });
  await world.time.advance(10 * 60_000);
  t.same(children(world), [launchId(5), launchId(7)]);
  await world.call('Job.Register', { Job: nightly({ Enabled: false }) });
  await world.time.advance(3_600_000);
  t.equal(children(world).length, 2);
});

t.test('a launch that fell between two leaders is made up for once', async (t) => {
  const world = createTestWorld();
  await world.call('Job.Register', { Job: nightly() });
  await world.time.advance(11 * 60_000);
  world.consensus.lead(false);
  await world.time.advance(34 * 60_000);
  t.same(children(world), [launchId(10)]);
  world.consensus.lead(true);
  await world.time.advance(20);
  t.same(children(world), [launchId(10), launchId(20)]);
  world.consensus.lead(false);
  world.consensus.lead(true);
  await world.time.advance(20);
  t.equal(children(world).length, 2, 'a second change finds nothing missing');
  await world.time.advance(6 * 60_000);
  t.ok(children(world).includes(launchId(50)), 'and the schedule goes on');
});

t.test('force launches at once, and once more in the same second', async (t) => {
  const world = createTestWorld();
  await world.call('Job.Register', { Job: nightly() });
  const first = await world.call('Periodic.Force', { JobID: 'night' });
  await world.call('Periodic.Force', { JobID: 'night' });
  t.same(children(world), [launchId(0), `night/periodic-${START / 1000 + 1}`]);
  t.equal(world.store.snapshot().evalById(first.EvalID)?.TriggeredBy, 'periodic-job');
  await world.call('Job.Register', { Job: batchJob({ ID: 'plain', Name: 'plain' }) });
  await t.rejects(world.call('Periodic.Force', { JobID: 'plain' }), { message: /non-periodic/ });
});

t.test('a schedule that cannot be read is refused, with the reason', async (t) => {
  const world = createTestWorld();
  const refuse = (changes: object, message: RegExp) =>
    t.rejects(world.call('Job.Register', { Job: nightly(changes) }), { code: 'E_BAD_REQUEST', message });
  await refuse({ Spec: '61 * * * *' }, /no cron expression.*minute/);
  await refuse({ TimeZone: 'Mars/Olympus' }, /unknown time_zone/);
  await refuse({ Specs: ['* * * * *'] }, /either cron or crons/);
  await refuse({ Spec: '' }, /neither cron nor crons/);
});

t.test('what the launches left is forgotten when they are long over, their parent is not', async (t) => {
  const world = createTestWorld();
  const node = await world.addNode(1);
  await world.call('Job.Register', { Job: nightly({ Spec: '@daily' }) });
  await world.call('Periodic.Force', { JobID: 'night' });
  await world.time.advance(20);
  await world.obey(node, () => ({ ClientStatus: 'complete' }));
  t.equal(children(world).length, 1);
  await world.call('System.GarbageCollect', {});
  t.same(children(world), []);
  t.equal(world.store.snapshot().jobById('default', 'night')?.Status, 'running');
});

t.test('whatever happens to it, the periodic job itself is never placed', async (t) => {
  const world = createTestWorld();
  await world.addNode(1);
  await world.call('Job.Register', { Job: nightly() });
  await world.call('Job.Register', { Job: nightly({ Spec: '5 * * * *' }) });
  const { EvalID } = await world.call('Job.Revert', { JobID: 'night', JobVersion: 0 });
  t.equal(EvalID, '');
  await world.call('Job.Scale', { JobID: 'night', Target: { Group: 'web' }, Count: 2 });
  await t.rejects(world.call('Job.Evaluate', { JobID: 'night' }), { message: /periodic/ });
  await world.addNode(2);
  await world.time.advance(20);
  t.same(world.allocs('night'), []);
  await world.time.advance(11 * 60_000);
  t.same(children(world), [launchId(10)], 'the schedule is the one that was brought back');
  t.equal(world.allocs(launchId(10)).length, 2, 'and the count the new one');
});
