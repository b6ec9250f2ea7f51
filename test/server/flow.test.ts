import t from 'tap';
import type { Schedule } from '../../lib/server/worker.js';
import { MeshError } from '../../lib/structs/errors.js';
import { naiveScheduler } from './naive-scheduler.js';
import { createTestWorld, type TestWorld, webJob } from './world.js';

const waiting = ({ server }: TestWorld): number => {
  const { captured, escaped } = server.counts().blocked;
  return captured + escaped;
};

t.test('a registered job is evaluated, placed, run and seen running', async (t) => {
  const world = createTestWorld();
  const node = await world.addNode(1);
  const reply = await world.call('Job.Register', { Job: webJob() });
  t.ok(world.store.snapshot().jobById('default', 'web'), 'the job is stored before the answer');
  t.equal(
    world.store.snapshot().evalById(reply.EvalID)?.CreateIndex,
    reply.EvalCreateIndex,
    'and so is its evaluation',
  );
  await world.time.advance(20);
  t.equal(world.store.snapshot().evalById(reply.EvalID)?.Status, 'complete');
  t.equal(world.allocs().length, 2);
  await world.obey(node);
  const { Jobs } = await world.call('Job.List', {});
  t.equal(Jobs[0]?.Status, 'running');
  t.equal(Jobs[0]?.JobSummary?.Summary['web']?.Running, 2);
});

t.test('a job that asks for nothing costs two log entries: itself, and the end of its evaluation', async (t) => {
  const world = createTestWorld();
  const before = world.consensus.log.length;
  await world.call('Job.Register', { Job: webJob({ count: 0 }) });
  await world.time.advance(20);
  t.same(
    world.consensus.log.slice(before).map(({ type }) => type),
    ['job-register', 'evals-upsert'],
  );
});

t.test('a plan and the outcome of its evaluation are one log entry: a crash cannot part them', async (t) => {
  const world = createTestWorld();
  await world.addNode(1);
  const before = world.consensus.log.length;
  await world.call('Job.Register', { Job: webJob({ count: 2 }) });
  await world.time.advance(20);
  const [, batch, ...rest] = world.consensus.log.slice(before);
  t.same(rest, []);
  t.same(batch?.type === 'batch' && batch.commands.map(({ type }) => type), ['plan-results', 'evals-upsert']);
});

t.test('evaluations that end together share a log entry', async (t) => {
  const world = createTestWorld();
  await Promise.all(
    Array.from({ length: 10 }, (_, i) => world.call('Job.Register', { Job: webJob({ ID: `job${i}`, count: 0 }) })),
  );
  await world.time.advance(20);
  const upserts = world.consensus.log.filter(({ type }) => type === 'evals-upsert');
  t.ok(upserts.length < 5, `${upserts.length} entries`);
  t.equal(world.store.snapshot().evalsByStatus('complete').length, 10);
});

t.test('what finds no room waits, and is placed when a node comes', async (t) => {
  const world = createTestWorld();
  const { EvalID } = await world.call('Job.Register', { Job: webJob() });
  await world.time.advance(20);
  t.equal(world.store.snapshot().evalById(EvalID)?.Status, 'complete');
  t.equal(waiting(world), 1);
  await world.addNode(1);
  t.equal(world.allocs().length, 2);
  t.equal(waiting(world), 0);
  t.equal(world.store.snapshot().evalsByStatus('blocked').length, 0);
});

t.test('what finds no room is placed when another job ends', async (t) => {
  const world = createTestWorld();
  const node = await world.addNode(1);
  await world.call('Job.Register', { Job: webJob({ ID: 'old', count: 1, cpu: 4000 }) });
  await world.time.advance(20);
  await world.obey(node);
  await world.call('Job.Register', { Job: webJob({ ID: 'new', count: 1, cpu: 4000 }) });
  await world.time.advance(20);
  t.equal(world.allocs('new').length, 0);
  await world.call('Job.Deregister', { JobID: 'old' });
  await world.time.advance(20);
  t.equal(world.allocs('new').length, 0, 'the old one still holds its room');
  await world.obey(node);
  t.equal(world.allocs('new').length, 1);
});

t.test('a blocked evaluation that still finds no room waits again', async (t) => {
  const world = createTestWorld();
  await world.call('Job.Register', { Job: webJob({ count: 1, cpu: 9000 }) });
  await world.time.advance(20);
  await world.addNode(1);
  t.equal(waiting(world), 1);
  t.equal(world.store.snapshot().evalsByStatus('blocked').length, 1);
  const big = await world.addNode(2, {
    NodeResources: {
      Cpu: { CpuShares: 10_000, TotalCpuCores: 4, ReservableCpuCores: null },
      Memory: { MemoryMB: 8192 },
      Disk: { DiskMB: 100_000 },
      Networks: null,
      NodeNetworks: null,
      Devices: null,
      MinDynamicPort: 20_000,
      MaxDynamicPort: 32_000,
    },
  });
  t.equal(world.allocs()[0]?.NodeID, big.ID);
});

t.test(
  'a scheduler that throws gets the evaluation again, and after three times it fails with a follow-up',
  async (t) => {
    let runs = 0;
    const schedule: Schedule = async (...args) => {
      runs++;
      if (runs <= 3) throw new Error('out of luck');
      await naiveScheduler(...args);
    };
    const world = createTestWorld({ schedule });
    await world.addNode(1);
    const { EvalID } = await world.call('Job.Register', { Job: webJob() });
    await world.time.advance(20);
    t.equal(runs, 1);
    await world.time.advance(1_000);
    t.equal(runs, 2);
    await world.time.advance(20_000);
    t.equal(runs, 3);
    const failed = world.store.snapshot().evalById(EvalID);
    t.equal(failed?.Status, 'failed');
    const followUp = world.store.snapshot().evalById(failed?.NextEval ?? '');
    t.equal(followUp?.TriggeredBy, 'failed-follow-up');
    await world.time.advance(6 * 60_000);
    t.equal(world.allocs().length, 2, 'the follow-up places it');
  },
);

t.test('when the disk refuses, nothing is acknowledged and the work is done later', async (t) => {
  const full = new MeshError('E_STORAGE', 'no space left on device');
  let runs = 0;
  const schedule: Schedule = async (...args) => {
    if (runs++ === 0) world.consensus.failWith = full;
    await naiveScheduler(...args);
  };
  const world = createTestWorld({ schedule });
  await world.addNode(1);
  const { EvalID } = await world.call('Job.Register', { Job: webJob() });
  await world.time.advance(20);
  await t.rejects(world.call('Job.Register', { Job: webJob({ ID: 'other' }) }), { code: 'E_STORAGE' });
  await world.time.advance(500);
  t.equal(world.store.snapshot().evalById(EvalID)?.Status, 'pending');
  world.consensus.failWith = null;
  await world.time.advance(20_000);
  t.equal(world.store.snapshot().evalById(EvalID)?.Status, 'complete');
  t.equal(world.allocs().length, 2);
  t.equal(world.store.snapshot().jobById('default', 'other'), undefined);
});

t.test('two schedulers that gave away the same room: the second one is told and looks again', async (t) => {
  const world = createTestWorld();
  await world.addNode(1);
  await Promise.all(['a', 'b'].map((ID) => world.call('Job.Register', { Job: webJob({ ID, count: 1, cpu: 3000 }) })));
  await world.time.advance(20);
  const placed = [...world.allocs('a'), ...world.allocs('b')];
  t.equal(placed.length, 1);
  t.equal(waiting(world), 1);
});

t.test('a new leader takes up what the old one left pending and blocked', async (t) => {
  const world = createTestWorld({ schedule: () => new Promise(() => {}) });
  const { EvalID } = await world.call('Job.Register', { Job: webJob() });
  await world.time.advance(20);
  world.consensus.lead(false);
  t.same(world.server.counts().broker.outstanding, 0);
  world.consensus.lead(true);
  await world.time.advance(20);
  t.equal(world.server.counts().broker.outstanding, 1);
  t.equal(world.store.snapshot().evalById(EvalID)?.Status, 'pending');
});

t.test('without a leader writes are refused and stale reads answered', async (t) => {
  const world = createTestWorld({ lead: false });
  await t.rejects(world.call('Job.Register', { Job: webJob() }), { code: 'E_NO_LEADER' });
  await t.rejects(world.call('Job.List', {}), { code: 'E_NO_LEADER' });
  const reply = await world.call('Job.List', { AllowStale: true });
  t.same(reply, { Jobs: [], Index: 1, LastContactMs: 0, KnownLeader: false });
});

t.test('a paused broker hands out nothing until it goes on', async (t) => {
  const world = createTestWorld();
  await world.addNode(1);
  const { SchedulerConfig } = await world.call('Operator.SchedulerGetConfiguration', {});
  await world.call('Operator.SchedulerSetConfiguration', { Config: { ...SchedulerConfig, PauseEvalBroker: true } });
  await world.call('Job.Register', { Job: webJob() });
  await world.time.advance(20);
  t.equal(world.allocs().length, 0);
  await world.call('Operator.SchedulerSetConfiguration', { Config: { ...SchedulerConfig, PauseEvalBroker: false } });
  await world.time.advance(20);
  t.equal(world.allocs().length, 2);
});
