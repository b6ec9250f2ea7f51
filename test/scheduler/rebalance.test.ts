import t from 'tap';
import { proposeRebalance } from '../../lib/scheduler/rebalance.js';
import type { Job } from '../../lib/structs/job.js';
import { createTestWorld, type TestWorld, webJob } from '../server/world.js';
import { atOnce } from './at-once.js';

/** One node runs everything, and another one has come back. */
async function lopsided(changes: Partial<Job> = {}, parallel = 10): Promise<TestWorld> {
  const world = createTestWorld();
  const node = await world.addNode(1);
  const job = webJob({ count: 6, cpu: 500, ...changes });
  const TaskGroups = (job.TaskGroups ?? []).map((group) => ({
    ...group,
    Migrate: group.Migrate && { ...group.Migrate, MaxParallel: parallel },
  }));
  await world.call('Job.Register', { Job: { ...job, TaskGroups } });
  await world.time.advance(0);
  await world.obey(node);
  await world.addNode(2);
  return world;
}

t.test('half of what one node runs may go to the node that came back', async (t) => {
  const world = await lopsided();
  const proposal = atOnce(proposeRebalance(world.store.snapshot()));
  t.equal(proposal.Moves.length, 3);
  t.strictSame([...new Set(proposal.Moves.map(({ FromNode, ToNode }) => `${FromNode} ${ToNode}`))], ['n1 n2']);
  t.strictSame(
    proposal.Nodes.map(({ LoadBefore, LoadAfter }) => [LoadBefore, LoadAfter]),
    [
      [0.75, 0.375],
      [0, 0.375],
    ],
  );
  t.match(proposal.Summary, /differ by 75 percent of their capacity; 3 moves would make it 0/);
  t.strictSame(atOnce(proposeRebalance(world.store.snapshot())), proposal, 'the same state, the same proposal');
  const { Rebalance } = await world.call('Operator.Rebalance', {});
  t.strictSame(Rebalance, proposal);
});

t.test('no more of a group than migrate allows at once', async (t) => {
  const world = await lopsided({}, 1);
  t.equal(atOnce(proposeRebalance(world.store.snapshot())).Moves.length, 1);
});

t.test('nothing moves against a constraint, an affinity, or the kind of job', async (t) => {
  const only1 = { LTarget: '${node.unique.name}', RTarget: 'n1', Operand: '=' };
  for (const changes of [
    { Constraints: [only1] },
    { Affinities: [{ ...only1, Weight: 50 }] },
    { Type: 'batch' as const, TaskGroups: undefined as never },
  ]) {
    const world = createTestWorld();
    const node = await world.addNode(1);
    const job = { ...webJob({ count: 6, cpu: 500 }), ...changes };
    if (changes.Type) {
      const groups = webJob({ count: 6, cpu: 500 }).TaskGroups ?? [];
      job.TaskGroups = groups.map((group) => ({ ...group, Migrate: null, ReschedulePolicy: null }));
    }
    await world.call('Job.Register', { Job: job });
    await world.time.advance(0);
    await world.obey(node);
    await world.addNode(2);
    t.equal(world.allocs().length, 6);
    t.strictSame(atOnce(proposeRebalance(world.store.snapshot())).Moves, [], JSON.stringify(changes));
  }
});

t.test('what is being rolled out is left alone, and the summary says so', async (t) => {
  const world = createTestWorld();
  await world.addNode(1);
  const job = webJob({ count: 6, cpu: 500 });
  const times = { Stagger: 30e9, MinHealthyTime: 10e9, HealthyDeadline: 300e9, ProgressDeadline: 600e9 };
  const Update = {
    ...times,
    MaxParallel: 1,
    HealthCheck: 'checks' as const,
    AutoRevert: false,
    AutoPromote: false,
    Canary: 0,
  };
  const TaskGroups = (job.TaskGroups ?? []).map((group) => ({ ...group, Update }));
  await world.call('Job.Register', { Job: { ...job, TaskGroups } });
  await world.time.advance(0);
  await world.addNode(2);
  const { Moves, Summary } = atOnce(proposeRebalance(world.store.snapshot()));
  t.strictSame(Moves, []);
  t.match(Summary, /of what is being rolled out \(web\): ask again when that is done/);
});

t.test('an even cluster is left alone, and one node is no cluster', async (t) => {
  const world = createTestWorld();
  t.match(atOnce(proposeRebalance(world.store.snapshot())).Summary, /nothing can be moved/);
  await world.addNode(1);
  await world.addNode(2);
  t.match(atOnce(proposeRebalance(world.store.snapshot())).Summary, /no move is worth a restart/);
});
