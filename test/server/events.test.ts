import t from 'tap';
import { EventBroker } from '../../lib/server/events/broker.js';
import type { Commit } from '../../lib/state/store.js';
import type { EventBatch } from '../../lib/structs/rpc-event.js';
import { messagePair } from '../../lib/transport/local.js';
import type { RpcContext } from '../../lib/transport/rpc.js';
import { createTestWorld, type TestWorld, webJob } from './world.js';

type Asked = { Topics: Record<string, string[]>; Index?: number; Namespace?: string };

/** Opens the stream; `lines` grows as events arrive, pieces of one index put together. */
function listen(world: TestWorld, args: Asked, peer?: RpcContext['peer']) {
  const [near, far] = messagePair();
  far.on('error', () => {});
  const told: EventBatch[] = [];
  const seen = { told, failed: null as Error | null, close: () => void near.destroy() };
  near.on('data', (batch: EventBatch) => told.push(batch));
  near.on('error', (error: Error) => {
    seen.failed = error;
  });
  const context = { signal: new AbortController().signal, ...(peer ? { peer } : {}) };
  world.server.streamHandlers['Event.Stream']?.(args, far, context);
  return seen;
}

const events = ({ told }: { told: EventBatch[] }) => told.flatMap(({ Events }) => Events);
const names = (seen: { told: EventBatch[] }) => events(seen).map(({ Topic, Type }) => `${Topic} ${Type}`);

t.test('what a registration, its plan and its client change is told, with the index of each change', async (t) => {
  const world = createTestWorld();
  const node = await world.addNode(1);
  const seen = listen(world, { Topics: { '*': ['*'] } });
  await world.call('Job.Register', { Job: webJob() });
  await world.time.advance(20);
  await world.obey(node);
  await world.time.advance(20);
  const of = names(seen);
  t.equal(of[0], 'Node NodeRegistration', 'what happened before is still there');
  for (const name of [
    'Job JobRegistered',
    'Evaluation JobRegistered',
    'Allocation PlanResult',
    'Deployment PlanResult',
    'Allocation AllocationUpdated',
  ]) {
    t.ok(of.includes(name), name);
  }
  const first = events(seen)[0];
  t.match(first?.Payload, { Node: { SecretID: '' } }, 'without its secret');
  const alloc = events(seen).find(({ Topic }) => Topic === 'Allocation');
  t.same(alloc?.FilterKeys?.[0], 'web');
  t.match(alloc?.Payload, { Allocation: { Job: null } }, 'without its job');
  const indexes = seen.told.map(({ Index }) => Index);
  t.same(
    indexes,
    indexes.toSorted((a, b) => a - b),
  );
  for (const { Index, Events } of seen.told) t.ok(Events.every((event) => event.Index === Index));
});

t.test('topics, keys, names and namespaces narrow it down', async (t) => {
  const world = createTestWorld();
  await world.addNode(1);
  const one = listen(world, { Topics: { Job: ['web'] } });
  const byName = listen(world, { Topics: { Evaluation: ['api'], Node: ['*'] } });
  const elsewhere = listen(world, { Topics: { '*': ['*'] }, Namespace: 'other' });
  await world.call('Job.Register', { Job: webJob({ ID: 'web' }) });
  await world.call('Job.Register', { Job: webJob({ ID: 'api' }) });
  await world.time.advance(20);
  t.ok(names(byName).includes('Evaluation JobRegistered'));
  t.ok(events(one).length > 0);
  t.ok(events(one).every(({ Topic, Key }) => Topic === 'Job' && Key === 'web'));
  t.ok(events(byName).every(({ Topic, FilterKeys }) => Topic === 'Node' || FilterKeys?.includes('api')));
  t.same(new Set(events(elsewhere).map(({ Topic }) => Topic)), new Set(['Node']), 'what is in no namespace');
});

t.test('a reader that comes back begins where it was', async (t) => {
  const world = createTestWorld();
  await world.call('Job.Register', { Job: webJob({ ID: 'web' }) });
  const before = world.store.index;
  await world.call('Job.Register', { Job: webJob({ ID: 'api' }) });
  const seen = listen(world, { Topics: { Job: ['*'] }, Index: before + 1 });
  await world.time.advance(20);
  t.ok(events(seen).length > 0);
  t.same(new Set(events(seen).map(({ Key }) => Key)), new Set(['api']));
});

t.test('a purged job is told as deleted', async (t) => {
  const world = createTestWorld();
  await world.call('Job.Register', { Job: webJob({ ID: 'web' }) });
  const seen = listen(world, { Topics: { Job: ['*'] }, Index: world.store.index + 1 });
  await world.call('Job.Deregister', { JobID: 'web', Purge: true });
  await world.time.advance(20);
  t.same(names(seen), ['Job JobDeregistered']);
  t.match(events(seen)[0]?.Payload, { Deleted: true, Job: { ID: 'web' } });
});

t.test('a topic nobody knows is refused with the nearest', async (t) => {
  const world = createTestWorld();
  const seen = listen(world, { Topics: { Jobs: ['*'] } });
  await world.time.advance(20);
  t.match(seen.failed?.message, /no topic "Jobs"; did you mean "Job"\?/);
});

t.test('a server without an event buffer says how it comes', async (t) => {
  const world = createTestWorld({ config: { eventBufferSize: 0 } });
  const seen = listen(world, { Topics: { '*': ['*'] } });
  await world.time.advance(20);
  t.match(seen.failed?.message, /enable_event_broker/);
});

t.test('a restored state ends the stream', async (t) => {
  const world = createTestWorld();
  await world.addNode(1);
  const seen = listen(world, { Topics: { '*': ['*'] } });
  await world.time.advance(20);
  t.ok(seen.told.length > 0);
  const state = world.store.snapshot();
  await world.store.restore(state.stream(), state.index);
  await world.time.advance(20);
  t.match(seen.failed?.message, /subscribe again/);
});

const commit = (index: number): Commit => ({ index, changes: [], causes: [{ type: 'job-register', end: 0 }] });

t.test('the buffer keeps as many commits as it is told, and readers keep what they have not read', async (t) => {
  const broker = new EventBroker(3);
  const early = broker.read();
  for (let index = 1; index <= 10; index++) broker.publish(commit(index));
  const late = broker.read();
  t.equal((await late.next()).index, 8);
  t.equal((await early.next()).index, 1);
  t.equal((await broker.read(9).next()).index, 9);
  const waiting = broker.read(11).next();
  broker.publish({ index: 11, changes: [], causes: [{ type: 'autopilot-config', end: 0 }] });
  broker.publish(commit(12));
  t.equal((await waiting).index, 12, 'nothing is told of what no event comes from');
});

t.test('a reader that falls too far behind is told so, and holds no memory', async (t) => {
  const broker = new EventBroker(3);
  const slow = broker.read();
  for (let index = 1; index <= 4200; index++) broker.publish(commit(index));
  await t.rejects(slow.next(), { code: 'E_TOO_MANY' });
});
