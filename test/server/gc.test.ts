import t from 'tap';
import { batchJob, createTestWorld, type TestWorld, webJob } from './world.js';

const HOUR = 3_600_000;

/** A job that ran and was stopped. */
async function withStoppedJob(): Promise<TestWorld> {
  const world = createTestWorld();
  const node = await world.addNode(1);
  await world.call('Job.Register', { Job: webJob() });
  await world.time.advance(20);
  await world.obey(node);
  await world.call('Job.Deregister', { JobID: 'web' });
  await world.time.advance(20);
  await world.obey(node);
  return world;
}

const counts = ({ store }: TestWorld) => {
  const state = store.snapshot();
  return { jobs: state.count('jobs'), evals: state.count('evals'), allocs: state.count('allocs') };
};

t.test('what ended is forgotten after its time: evaluations and allocations before their job', async (t) => {
  const world = await withStoppedJob();
  const full = counts(world);
  t.ok(full.jobs === 1 && full.evals > 1 && full.allocs === 2);
  await world.time.advance(50 * 60_000);
  t.same(counts(world), full, 'not before an hour');
  await world.time.advance(30 * 60_000);
  t.same(counts(world), { jobs: 1, evals: 0, allocs: 0 });
  await world.time.advance(4 * HOUR);
  t.same(counts(world), { jobs: 0, evals: 0, allocs: 0 });
});

t.test('on demand everything that ended goes at once', async (t) => {
  const world = await withStoppedJob();
  await world.time.advance(1_000);
  await world.call('System.GarbageCollect', {});
  t.same(counts(world), { jobs: 0, evals: 0, allocs: 0 });
});

t.test('what still runs, or ends on a client, is kept', async (t) => {
  const world = createTestWorld();
  const node = await world.addNode(1);
  await world.call('Job.Register', { Job: webJob() });
  await world.time.advance(20);
  await world.obey(node);
  await world.call('System.GarbageCollect', {});
  t.same(counts(world), { jobs: 1, evals: 1, allocs: 2 });
  await world.call('Job.Deregister', { JobID: 'web' });
  await world.time.advance(20);
  await world.call('System.GarbageCollect', {});
  t.same(counts(world).allocs, 2, 'asked to stop, but still running');
});

t.test('the allocations of a running batch are its memory of what is done', async (t) => {
  const world = createTestWorld();
  const node = await world.addNode(1);
  await world.call('Job.Register', { Job: batchJob() });
  await world.time.advance(20);
  const [first] = world.allocs();
  await world.obey(node, (alloc) => (alloc.ID === first?.ID ? { ClientStatus: 'complete' } : {}));
  await world.time.advance(HOUR);
  await world.call('System.GarbageCollect', {});
  t.equal(world.allocs().length, 2);
});

t.test('a node that stays down is forgotten, one that is back is not', async (t) => {
  const world = createTestWorld({ config: { heartbeat: { ttlMinMs: 10_000 } } });
  const node = await world.addNode(1);
  await world.time.advance(60_000);
  t.equal(world.store.snapshot().nodeById(node.ID)?.Status, 'down');
  await world.time.advance(23 * HOUR);
  t.ok(world.store.snapshot().nodeById(node.ID));
  await world.time.advance(2 * HOUR);
  t.equal(world.store.snapshot().nodeById(node.ID), undefined);
});

t.test('thresholds are configurable', async (t) => {
  const world = createTestWorld({ config: { gc: { intervalMs: 1_000, evalMs: 5_000, jobMs: 5_000 } } });
  await world.call('Job.Register', { Job: webJob({ count: 0 }) });
  await world.time.advance(20);
  await world.call('Job.Deregister', { JobID: 'web' });
  await world.time.advance(10_000);
  t.same(counts(world), { jobs: 0, evals: 0, allocs: 0 });
});

t.test(
  'evaluations are deleted by hand while the broker is paused, but for those of which something runs',
  async (t) => {
    const world = createTestWorld();
    const node = await world.addNode(1);
    await world.call('Job.Register', { Job: webJob({ count: 1 }) });
    await world.time.advance(20);
    await world.obey(node);
    const used = world.allocs()[0]?.EvalID ?? '';
    await world.call('Job.Register', { Job: { ...webJob({ count: 1_000 }), ID: 'huge', Name: 'huge' } });
    await world.time.advance(20);
    const evals = () => [...world.store.snapshot().evals()].map(({ ID }) => ID);
    const blocked = world.store.snapshot().evalsByStatus('blocked')[0]?.ID ?? '';
    await t.rejects(world.call('Eval.Delete', { EvalIDs: [blocked] }), { message: /must be paused/ });
    const { SchedulerConfig } = await world.call('Operator.SchedulerGetConfiguration', {});
    await world.call('Operator.SchedulerSetConfiguration', { Config: { ...SchedulerConfig, PauseEvalBroker: true } });
    await t.rejects(world.call('Eval.Delete', {}), { code: 'E_BAD_REQUEST' });
    await t.rejects(world.call('Eval.Delete', { EvalIDs: ['none'] }), { code: 'E_NOT_FOUND' });
    await t.rejects(world.call('Eval.Delete', { EvalIDs: [used] }), { message: /stop them first/ });
    t.equal((await world.call('Eval.Delete', { Filter: 'Status == "blocked"' })).Count, 1);
    t.notOk(evals().includes(blocked));
    await world.call('Eval.Delete', { Filter: 'Status == "complete"' });
    t.ok(evals().includes(used), 'what placed something that runs stays');
  },
);
