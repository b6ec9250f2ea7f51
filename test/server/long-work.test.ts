import t from 'tap';
import { BROKER_LIMITS, EvalBroker } from '../../lib/server/eval-broker.js';
import { LongWork } from '../../lib/server/long-work.js';
import type { PlanResultsCommand } from '../../lib/state/commands.js';
import { MeshError } from '../../lib/structs/errors.js';
import { seededRandom } from '../../lib/util/random.js';
import { mockEval, mockGroup, mockJob, mockResources, mockTask } from '../scheduler/mock.js';
import { createTestWorld, type TestWorld } from './world.js';

const jobOf = (ID: string, Count: number, changes: object = {}) =>
  mockJob({
    ID,
    TaskGroups: [mockGroup({ Count, Tasks: [mockTask({ Resources: mockResources({ CPU: 10, MemoryMB: 10 }) })] })],
    ...changes,
  });

/** Ids of the jobs in the order in which their placements were stored; one that comes twice was interrupted. */
const storedInOrder = ({ consensus }: TestWorld): string[] => {
  const plans = consensus.log
    .flatMap((command) => (command.type === 'batch' ? command.commands : [command]))
    .filter((command): command is PlanResultsCommand => command.type === 'plan-results');
  const ids = plans.map(({ job }) => job?.id ?? '');
  return ids.filter((id, i) => id !== ids[i - 1]);
};

t.test('the most important goes next, then who came first; whoever has the turn keeps it', async (t) => {
  const work = new LongWork();
  const order: string[] = [];
  t.equal(work.enter('a', 50), null);
  t.equal(work.enter('a', 50), null);
  const all = Object.entries({ b: 50, c: 50, d: 80 }).map(([token, priority]) =>
    work.enter(token, priority)?.then(() => {
      order.push(token);
      work.leave(token);
    }),
  );
  work.leave('b');
  await Promise.resolve();
  t.same(order, [], 'who has not the turn cannot pass it on');
  work.leave('a');
  await Promise.all(all);
  t.same(order, ['d', 'b', 'c']);
  t.equal(work.enter('e', 1), null, 'nobody has it');
  const refused = work.enter('f', 1);
  work.clear(new MeshError('E_NO_LEADER', 'gone'));
  await t.rejects(refused ?? Promise.resolve(), { code: 'E_NO_LEADER' });
  work.leave('e');
  t.equal(work.enter('g', 1), null);
});

t.test('large evaluations that come together refuse each other nothing, and a small one goes past them', async (t) => {
  const world = createTestWorld();
  for (let i = 0; i < 30; i++) await world.addNode(i);
  const sizes = { first: 900, second: 900, third: 700 };
  for (const [id, count] of Object.entries(sizes)) await world.call('Job.Register', { Job: jobOf(id, count) });
  await world.call('Job.Register', { Job: jobOf('urgent', 600, { Priority: 90 }) });
  await world.call('Job.Register', { Job: jobOf('small', 3) });
  await world.time.advance(0);
  for (const [id, count] of Object.entries({ ...sizes, urgent: 600, small: 3 })) {
    t.equal(world.allocs(id).length, count, id);
    const names = new Set(world.allocs(id).map(({ Name }) => Name));
    t.equal(names.size, count, `${id}: each name once`);
  }
  for (const { Status } of world.store.snapshot().evals()) t.equal(Status, 'complete');
  const order = storedInOrder(world);
  t.not(order.at(-1), 'small', order.join());
  const large = order.filter((id) => id !== 'small').filter((id, i, all) => id !== all[i - 1]);
  t.same([...large].sort(), ['first', 'second', 'third', 'urgent'], `one after the other: ${order.join()}`);
});

t.test('when the leader goes, those who wait are handed out by the next', async (t) => {
  const world = createTestWorld();
  for (let i = 0; i < 30; i++) await world.addNode(i);
  for (const id of ['first', 'second', 'third']) await world.call('Job.Register', { Job: jobOf(id, 600) });
  const stop = world.store.onCommit(() => {
    if (world.allocs('first').length > 0) world.consensus.lead(false);
  });
  await world.time.advance(0);
  stop();
  world.consensus.lead(true);
  await world.time.advance(120_000);
  for (const id of ['first', 'second', 'third']) t.equal(world.allocs(id).length, 600, id);
});

t.test('who is seen at work keeps an evaluation, and so does who waits for a turn', async (t) => {
  const broker = new EvalBroker({ random: seededRandom(1) });
  const { nackTimeoutMs } = BROKER_LIMITS;
  const evaluation = mockEval(mockJob());
  broker.enqueue(evaluation, 0);
  const token = broker.dequeue(['service'], 0)?.token ?? '';
  broker.touch(evaluation.ID, token, nackTimeoutMs - 1);
  broker.advance(nackTimeoutMs);
  t.equal(broker.outstandingToken(evaluation.ID), token, 'touched');
  broker.waits(evaluation.ID, token);
  broker.advance(50 * nackTimeoutMs);
  t.equal(broker.outstandingToken(evaluation.ID), token, 'waiting');
  broker.touch(evaluation.ID, 'not-its-token', 0);
  broker.touch(evaluation.ID, token, 50 * nackTimeoutMs);
  broker.advance(51 * nackTimeoutMs);
  broker.advance(52 * nackTimeoutMs);
  t.equal(broker.outstandingToken(evaluation.ID), undefined, 'silent after that');
});
