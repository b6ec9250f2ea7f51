import t from 'tap';
import { createServer, type Server } from '../../lib/server/server.js';
import type { Timers } from '../../lib/server/timers.js';
import { createStore, type StateSnapshot, type Store } from '../../lib/state/store.js';
import type { Allocation } from '../../lib/structs/allocation.js';
import type { Evaluation } from '../../lib/structs/evaluation.js';
import type { Job } from '../../lib/structs/job.js';
import type { RpcMethods } from '../../lib/structs/rpc.js';
import type { RpcMethod } from '../../lib/transport/rpc.js';
import { silentLog } from '../../lib/util/log.js';
import { seededRandom } from '../../lib/util/random.js';
import { ITEMS_PER_TURN } from '../../lib/util/turns.js';
import { mockEval, mockNode } from '../scheduler/mock.js';
import { createFakeConsensus, type FakeConsensus, webJob } from './world.js';

// What the server goes through in one turn of the event loop, counted in rows: no clock is read, so it is the same everywhere.

const COUNT = 3_000;
/** What each goes through before it first asks, and what it ends that it has begun, comes on top; far from all rows. */
const ROWS_MAX = 2 * ITEMS_PER_TURN;

interface CountedWorld {
  readonly server: Server;
  readonly store: Store;
  readonly consensus: FakeConsensus;
  call<M extends RpcMethod>(
    method: M,
    args: RpcMethods[M]['args'],
    signal?: AbortSignal,
  ): Promise<RpcMethods[M]['reply']>;
  /** The most rows that were read in one turn while `act` went on, and how many in all. */
  rowsIn(act: () => Promise<unknown>): Promise<{ most: number; all: number }>;
  /** Counts rows that `rowsIn` does not see by itself. */
  saw(rows: number): void;
  /** Calls `fn` in the middle of what is read next, at that row. */
  atRow(row: number, fn: () => void): void;
  allocs(): Allocation[];
}

/** A server whose reads of many rows are counted, turn by turn. */
async function createCountedWorld(): Promise<CountedWorld> {
  let [inTurn, most, all] = [0, 0, 0];
  let interruption: { row: number; fn: () => void } | null = null;
  const saw = (rows: number): void => {
    inTurn += rows;
    all += rows;
    most = Math.max(most, inTurn);
    if (!interruption || all < interruption.row) return;
    const { fn } = interruption;
    interruption = null;
    fn();
  };
  const timers: Timers = {
    // Nothing here waits for the clock.
    setTimeout: () => () => {},
    soon: (fn) =>
      void setImmediate(() => {
        inTurn = 0;
        fn();
      }),
  };
  const store = createStore();
  const counted = new Proxy(store, {
    get(target, name) {
      if (name === 'snapshot') return () => countingReads(target.snapshot(), saw);
      const value = Reflect.get(target, name) as unknown;
      return typeof value === 'function' ? value.bind(target) : value;
    },
  });
  const consensus = createFakeConsensus(store);
  const server = createServer({
    ...{ consensus, store: counted, timers, random: seededRandom(1), log: silentLog, now: () => Date.UTC(2026, 0, 1) },
    config: { region: 'global', heartbeat: { ttlMinMs: 1000 * 3_600_000 } },
  });
  server.start();
  consensus.lead(true);
  const call: CountedWorld['call'] = (method, args, signal = new AbortController().signal) => {
    const handler = server.handlers[method] as (args: unknown, context: unknown) => Promise<never>;
    return handler(args, { signal });
  };
  for (let i = 0; i < 40; i++) await call('Node.Register', { Node: mockNode(i, { SecretID: 's', ComputedClass: '' }) });
  await call('Job.Register', { Job: webJob({ count: COUNT, cpu: 1 }) });
  const world: CountedWorld = {
    ...{ server, store, consensus, call, saw },
    allocs: () => [...store.snapshot().allocs()],
    atRow(row, fn) {
      all = 0;
      interruption = { row, fn };
    },
    async rowsIn(act) {
      await new Promise((resolve) => setImmediate(resolve));
      [inTurn, most, all] = [0, 0, 0];
      await act();
      return { most, all };
    },
  };
  await until(() => world.allocs().length === COUNT);
  return world;
}

/** Counts the rows of whatever gives many, as they are read. */
function countingReads(state: StateSnapshot, saw: (rows: number) => void): StateSnapshot {
  return new Proxy(state, {
    get(target, name) {
      const value = Reflect.get(target, name) as unknown;
      if (typeof value !== 'function') return value;
      return (...args: unknown[]) => {
        const given = Reflect.apply(value, target, args) as unknown;
        if (Array.isArray(given)) {
          saw(given.length);
          return given;
        }
        const isMany = typeof given === 'object' && given !== null && Symbol.iterator in given && name !== 'stream';
        return isMany ? countedOneByOne(given as Iterable<unknown>, saw) : given;
      };
    },
  });
}

function* countedOneByOne(rows: Iterable<unknown>, saw: (rows: number) => void): Generator<unknown, void, undefined> {
  for (const row of rows) {
    saw(1);
    yield row;
  }
}

async function until(holds: () => boolean): Promise<void> {
  for (let turns = 0; !holds(); turns++) {
    if (turns > 1_000_000) throw new Error('it never comes to that');
    await new Promise((resolve) => setImmediate(resolve));
  }
}

const ids = (list: readonly { ID: string }[] | undefined): string[] => (list ?? []).map(({ ID }) => ID);

t.test('no question about thousands of allocations is answered in one turn, and every answer is whole', async (t) => {
  const world = await createCountedWorld();
  const state = world.store.snapshot();
  const byCreation = world.allocs().sort((a, b) => a.CreateIndex - b.CreateIndex);
  const byId = ids(world.allocs());
  const ask = async (name: string, question: () => Promise<unknown>, rowsMin = COUNT): Promise<void> => {
    const { most, all } = await world.rowsIn(question);
    t.ok(all >= rowsMin, `${name}: ${all} rows in all`);
    t.ok(most <= ROWS_MAX, `${name}: ${most} rows in one turn`);
  };
  const [namespace, evaluation] = [
    'default',
    [...state.evals()].find(({ TriggeredBy }) => TriggeredBy === 'job-register'),
  ];
  await ask('Alloc.List', async () => {
    t.same(ids((await world.call('Alloc.List', {})).Allocations), ids(byCreation));
  });
  await ask('Alloc.List, from its end', async () => {
    t.same(ids((await world.call('Alloc.List', { Reverse: true })).Allocations), ids(byCreation).reverse());
  });
  await ask('Alloc.List, filtered', async () => {
    const { Allocations } = await world.call('Alloc.List', { Filter: 'Name matches "7]$"' });
    t.same(ids(Allocations), ids(byCreation.filter(({ Name }) => Name.endsWith('7]'))));
  });
  await ask('Alloc.List of another namespace', async () => {
    t.same((await world.call('Alloc.List', { Namespace: 'other' })).Allocations, []);
  });
  await ask('Alloc.List, page by page', async () => {
    const found: string[] = [];
    for (let NextToken = '', first = true; first || NextToken !== ''; first = false) {
      const reply = await world.call('Alloc.List', { PerPage: 700, NextToken });
      found.push(...ids(reply.Allocations));
      t.ok((reply.Allocations ?? []).length <= 700);
      NextToken = reply.NextToken ?? '';
    }
    t.same(found, ids(byCreation));
  });
  await ask('Job.Allocations', async () => {
    t.same(ids((await world.call('Job.Allocations', { JobID: 'web' })).Allocations), byId);
  });
  await ask('Eval.Allocations', async () => {
    const of = byId.filter((id) => state.allocById(id)?.EvalID === evaluation?.ID);
    t.same(ids((await world.call('Eval.Allocations', { EvalID: evaluation?.ID ?? '' })).Allocations), of);
  });
  await ask('Job.ScaleStatus', async () => {
    const { JobScaleStatus } = await world.call('Job.ScaleStatus', { JobID: 'web', Namespace: namespace });
    t.equal(JobScaleStatus?.TaskGroups['web']?.Placed, COUNT);
  });
  await ask('System.GarbageCollect', () => world.call('System.GarbageCollect', {}));
  await ask('many at once', () =>
    Promise.all(Array.from({ length: 3 }, () => world.call('Alloc.List', { Filter: 'Name == "x"' }))),
  );
});

t.test('a node is drained without its groups being counted in one turn', async (t) => {
  const world = await createCountedWorld();
  const [first] = world.allocs();
  const node = first && world.store.snapshot().nodeById(first.NodeID);
  if (!node) throw new Error('no node');
  const health = { Healthy: true, Timestamp: '2026-01-01T00:00:00Z', Canary: false, ModifyIndex: 0 };
  for (const { ID: NodeID } of world.store.snapshot().nodes()) {
    const Alloc = world.store
      .snapshot()
      .allocsByNode(NodeID)
      .map((alloc) => ({
        ...{ ID: alloc.ID, ClientStatus: 'running' as const, ClientDescription: '', TaskStates: null },
        ...{ AllocStates: null, NetworkStatus: null, DeploymentStatus: health },
      }));
    if (Alloc.length > 0) await world.call('Node.UpdateAlloc', { NodeID, SecretID: 's', Alloc });
  }
  const asked = (): number =>
    world.allocs().filter(({ DesiredTransition }) => DesiredTransition.Migrate === true).length;
  // The scheduler, which then moves them, is not what this is about.
  const { SchedulerConfig } = await world.call('Operator.SchedulerGetConfiguration', {});
  await world.call('Operator.SchedulerSetConfiguration', { Config: { ...SchedulerConfig, PauseEvalBroker: true } });
  const { most, all } = await world.rowsIn(async () => {
    const DrainStrategy = { Deadline: 3_600e9, IgnoreSystemJobs: false };
    await world.call('Node.UpdateDrain', { NodeID: node.ID, DrainStrategy } as never);
    await until(() => asked() > 0);
  });
  t.ok(all >= COUNT, `${all} rows in all`);
  t.ok(most <= ROWS_MAX, `${most} rows in one turn`);
  t.ok(asked() > 0);
  const { all: later } = await world.rowsIn(async () => {
    const [one] = world.allocs();
    await world.call('Alloc.Stop', { AllocID: one?.ID ?? '' });
    for (let i = 0; i < 5; i++) await new Promise((resolve) => setImmediate(resolve));
  });
  t.ok(later < COUNT, `with each change it counts anew: ${later} rows`);
});

t.test('a change that comes while a long list is read is not missed by whoever waits for it', async (t) => {
  const world = await createCountedWorld();
  const { Index = 0 } = await world.call('Alloc.List', {});
  const [alloc] = world.allocs();
  let stopped = 0;
  world.atRow(COUNT / 3, () => {
    void world.call('Alloc.Stop', { AllocID: alloc?.ID ?? '' }).then((reply) => {
      stopped = reply.Index ?? 0;
    });
  });
  const answer = await world.call('Alloc.List', { MinQueryIndex: Index, MaxQueryTimeMs: 600_000 });
  t.ok(stopped > Index);
  t.ok((answer.Index ?? 0) >= stopped, 'it was heard of');
  const shown = answer.Allocations?.find(({ ID }) => ID === alloc?.ID);
  t.equal(shown?.DesiredTransition.Migrate, true);
});

t.test('thousands who wait for one change are not woken in one turn', async (t) => {
  const { call, rowsIn, saw } = await createCountedWorld();
  const { Index = 0 } = await call('Job.List', {});
  // Who is woken takes its ear away.
  const ear = { aborted: false, addEventListener: () => {}, removeEventListener: () => saw(1) };
  const query = { MinQueryIndex: Index, MaxQueryTimeMs: 600_000 };
  const waiting = Array.from({ length: COUNT }, () => call('Job.List', query, ear as never));
  await new Promise((resolve) => setImmediate(resolve));
  const { most, all } = await rowsIn(async () => {
    await call('Job.Register', { Job: { ...webJob({ count: 1 }), ID: 'other', Name: 'other' } });
    for (const { Jobs } of await Promise.all(waiting)) {
      if (Jobs?.length !== 2) t.fail(`${Jobs?.length} jobs`);
    }
  });
  t.ok(all >= COUNT, `${all} woken and rows in all`);
  t.ok(most <= ROWS_MAX, `${most} in one turn`);
});

t.test('who waits for a turn to be woken is answered when the state is restored meanwhile', async (t) => {
  const { call, store } = await createCountedWorld();
  // Higher than any index there is: a change alone is no answer.
  const query = { JobID: 'web', MinQueryIndex: 1e9, MaxQueryTimeMs: 600_000 };
  const waiting = Array.from({ length: 300 }, () => call('Job.GetJob', query));
  await new Promise((resolve) => setImmediate(resolve));
  const pieces: Uint8Array[] = [];
  for await (const piece of store.snapshot().stream()) pieces.push(piece);
  await call('Job.Stable', { JobID: 'web', JobVersion: 0, Stable: true });
  await store.restore(
    (async function* () {
      yield* pieces;
    })(),
    store.index,
  );
  for (const { Job } of await Promise.all(waiting)) t.equal(Job?.ID, 'web');
});

t.test('wrong summaries are put right turn by turn, while their job changes and by two who ask at once', async (t) => {
  const world = await createCountedWorld();
  const [gone, reported] = [world.allocs().slice(0, 100), world.allocs().slice(-50)];
  // What was collected as garbage stays in a summary until that is counted anew.
  await world.consensus.propose({ type: 'evals-delete', evals: [], allocs: gone.map(({ ID }) => ID) });
  const summary = () => world.store.snapshot().jobSummary('default', 'web');
  t.equal(summary()?.Summary['web']?.Starting, COUNT);
  world.atRow(COUNT / 3, () => {
    for (const { ID, NodeID } of reported) {
      const Alloc = [{ ID, ClientStatus: 'running', ClientDescription: '', TaskStates: null }] as never;
      void world.call('Node.UpdateAlloc', { NodeID, SecretID: 's', Alloc });
    }
  });
  const { most, all } = await world.rowsIn(() =>
    Promise.all([world.call('System.ReconcileJobSummaries', {}), world.call('System.ReconcileJobSummaries', {})]),
  );
  t.ok(all >= COUNT, `${all} rows in all`);
  t.ok(most <= ROWS_MAX, `${most} rows in one turn`);
  t.match(summary()?.Summary['web'], { Starting: COUNT - gone.length - reported.length, Running: reported.length });
  const index = summary()?.ModifyIndex;
  await world.call('System.ReconcileJobSummaries', {});
  t.equal(summary()?.ModifyIndex, index, 'what is right is not written again');
});

t.test('a leader takes up thousands of evaluations turn by turn, and wakes as many who wait for room', async (t) => {
  const { store, consensus, server, call } = await createCountedWorld();
  const job = webJob({ count: 1 }) as Job;
  const evals = (Status: 'pending' | 'blocked'): Evaluation[] =>
    Array.from({ length: COUNT }, (_, i) => {
      const ids = { ID: `${Status}-${i}`, JobID: `${Status}-${i}`, Namespace: 'default', Type: 'service' as const };
      return mockEval(job, { ...ids, Status, Priority: 1 + (i % 100), EscapedComputedClass: Status === 'blocked' });
    });
  consensus.lead(false);
  let index = store.index;
  store.apply(++index, { type: 'evals-upsert', evals: [...evals('pending'), ...evals('blocked')] });
  const taken = (): number => {
    const { broker, blocked } = server.counts();
    return broker.ready + blocked.escaped;
  };
  consensus.lead(true);
  let [turns, most, before] = [0, taken(), taken()];
  for (; before < 2 * COUNT; turns++) {
    t.equal(server.counts().broker.outstanding, 0, 'nothing is begun before all is there');
    await new Promise((resolve) => setImmediate(resolve));
    most = Math.max(most, taken() - before);
    before = taken();
  }
  t.ok(turns >= 5, `${turns} turns`);
  t.ok(most <= ROWS_MAX, `${most} in one turn`);

  const [node] = store.snapshot().nodes();
  if (!node) throw new Error('no node');
  await call('Node.UpdateEligibility', { NodeID: node.ID, Eligibility: 'ineligible' });
  t.equal(server.counts().blocked.escaped, COUNT);
  await call('Node.UpdateEligibility', { NodeID: node.ID, Eligibility: 'eligible' });
  t.ok(server.counts().blocked.escaped >= COUNT - ROWS_MAX, 'not all are woken at once');
  await until(() => server.counts().blocked.escaped === 0);
  const { ready, outstanding, pending } = server.counts().broker;
  // Those of the job that the world began with are among them.
  t.ok(ready + outstanding + pending >= 2 * COUNT, "each is the broker's now");
});

t.test('thousands of reports of one machine are not looked through in one turn', async (t) => {
  const world = await createCountedWorld();
  const [node] = world.store.snapshot().nodes();
  const report = { ID: 'unknown', ClientStatus: 'running', ClientDescription: '', TaskStates: null };
  // How long a report is, is asked of each once.
  const toJSON = (): object => {
    world.saw(1);
    return report;
  };
  const counted = { ...report, toJSON };
  const Alloc = Array.from({ length: COUNT }, () => counted) as never;
  const { most, all } = await world.rowsIn(() =>
    world.call('Node.UpdateAlloc', { NodeID: node?.ID ?? '', SecretID: 's', Alloc }),
  );
  t.equal(all, COUNT);
  t.ok(most <= ROWS_MAX, `${most} reports in one turn`);
});

t.test('thousands of reports of one machine go into the log in slices, each with what follows from it', async (t) => {
  const { store, consensus, call } = await createCountedWorld();
  const nodes = [...store.snapshot().nodes()];
  const counts = nodes.map(({ ID }) => store.snapshot().allocsByNode(ID).length);
  const node = nodes[counts.indexOf(Math.max(...counts))];
  if (!node) throw new Error('no node');
  const Alloc = store
    .snapshot()
    .allocsByNode(node.ID)
    .map(({ ID, AllocStates, NetworkStatus }) => ({
      ...{ ID, AllocStates, NetworkStatus, ClientStatus: 'failed' as const, ClientDescription: 'broken' },
      ...{ TaskStates: null, DeploymentStatus: null },
    }));
  const from = consensus.log.length;
  const many = [...Alloc, ...Alloc, ...Alloc, ...Alloc];
  await call('Node.UpdateAlloc', { NodeID: node.ID, SecretID: 's', Alloc: many });
  const written = consensus.log
    .slice(from)
    .flatMap((command) => (command.type === 'allocs-client-update' ? [command] : []));
  t.equal(written.flatMap(({ allocs }) => allocs).length, many.length);
  t.ok(written.every(({ allocs }) => allocs.length <= 128));
  const Events = Array.from({ length: 6 }, () => ({ Type: 'Started', Time: 1 }));
  const long = many.slice(0, 128).map((report) => ({ ...report, TaskStates: { main: { State: 'dead', Events } } }));
  const before = consensus.log.length;
  await call('Node.UpdateAlloc', { NodeID: node.ID, SecretID: 's', Alloc: long as never });
  const parts = consensus.log.slice(before).filter(({ type }) => type === 'allocs-client-update');
  t.equal(parts.length, 4, 'the more it has to tell, the fewer go into one');
  t.ok((written[0]?.evals.length ?? 0) > 0, 'the first slice brings the evaluation of what failed in it');
  t.ok(
    store
      .snapshot()
      .allocsByNode(node.ID)
      .every(({ ID, ClientStatus }) => {
        return ClientStatus === 'failed' || !Alloc.some((told) => told.ID === ID);
      }),
  );
});
