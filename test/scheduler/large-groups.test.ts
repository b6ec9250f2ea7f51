import t from 'tap';
import { Columns } from '../../lib/scheduler/columns.js';
import { fleetOf } from '../../lib/scheduler/fleet.js';
import { Ledger } from '../../lib/scheduler/ledger.js';
import { NameIndex } from '../../lib/scheduler/reconcile/names.js';
import { computeStops } from '../../lib/scheduler/reconcile/stops.js';
import type { Rest } from '../../lib/scheduler/turns.js';
import { randomUuid, seededRandom } from '../../lib/util/random.js';
import { ITEMS_PER_TURN } from '../../lib/util/turns.js';
import { atOnce } from './at-once.js';
import { Harness } from './harness.js';
import { mockAlloc, mockGroup, mockJob, mockNode } from './mock.js';

const COUNT = 20_000;

/** How large the largest map or set becomes while `act` runs: one that grows is copied whole, which nothing can interrupt. */
function largestIn(act: () => void): number {
  let largest = 0;
  const { set } = Map.prototype;
  const { add } = Set.prototype;
  Map.prototype.set = function (key, value) {
    largest = Math.max(largest, this.size);
    return set.call(this, key, value);
  };
  Set.prototype.add = function (value) {
    largest = Math.max(largest, this.size);
    return add.call(this, value);
  };
  try {
    act();
  } finally {
    Map.prototype.set = set;
    Set.prototype.add = add;
  }
  return largest;
}

t.test('half of a very large group is stopped without a table of them all', async (t) => {
  const job = mockJob();
  const group = mockGroup({ Count: COUNT / 2 });
  const one = mockAlloc(job);
  const kept = Array.from({ length: COUNT }, (_, i) => ({ ...one, ID: `${i}`, Name: `${job.ID}.${group.Name}[${i}]` }));
  const names = new NameIndex(job.ID, group.Name, group.Count);
  const options = { group, names, kept, migrate: [], lost: [], canaries: [], canarying: false };
  const largest = largestIn(() => {
    for (const alloc of kept) names.hold(alloc);
    const stops = atOnce(computeStops(options));
    t.same(
      stops.stop.map(({ alloc }) => alloc.ID),
      kept.slice(COUNT / 2).map(({ ID }) => ID),
      'the highest names',
    );
    t.same(stops.kept, kept.slice(0, COUNT / 2));
  });
  t.ok(largest < COUNT / 10, `${largest} at most`);
});

/** How often work lets others have the thread, and what comes of it. */
function rests<T>(work: Generator<Rest, T, void>): { rested: number; result: T } {
  for (let rested = 0; ; rested++) {
    const { done, value } = work.next();
    if (done) return { rested, result: value };
  }
}

t.test('the one free name among very many is looked for with rests', async (t) => {
  const job = mockJob();
  const one = mockAlloc(job);
  const allocs = Array.from({ length: COUNT }, (_, i) => ({ ...one, ID: `${i}`, Name: `${job.ID}.web[${i}]` }));
  const held = (): NameIndex => {
    const names = new NameIndex(job.ID, 'web', COUNT);
    for (const alloc of allocs) if (alloc.ID !== `${COUNT - 2}`) names.hold(alloc);
    return names;
  };
  const free = rests(held().next(2));
  t.same(free.result, [`${job.ID}.web[${COUNT - 2}]`, `${job.ID}.web[${COUNT}]`]);
  t.ok(free.rested >= COUNT / ITEMS_PER_TURN, `${free.rested} rests`);
  const canaries = rests(held().nextCanaries(3, [], allocs.slice(7, 8)));
  t.same(
    canaries.result,
    [7, COUNT - 2, COUNT].map((index) => `${job.ID}.web[${index}]`),
  );
  t.ok(canaries.rested >= COUNT / ITEMS_PER_TURN, `${canaries.rested} rests`);
});

t.test('what a plan stops of a very large group is noted without a table of it all', async (t) => {
  const harness = new Harness();
  harness.addNode(mockNode(0));
  const state = harness.snapshot();
  const ledger = new Ledger(fleetOf(state), state, new Columns(1));
  const one = mockAlloc(mockJob(), { NodeID: 'node-00000' });
  const random = seededRandom(1);
  const allocs = Array.from({ length: COUNT }, () => ({ ...one, ID: randomUuid(random) }));
  const largest = largestIn(() => {
    for (const alloc of allocs) ledger.remove(alloc);
  });
  t.ok(largest < COUNT / 10, `${largest} at most`);
  t.ok(allocs.every(({ ID }) => ledger.isRemoved(ID)));
  t.notOk(ledger.isRemoved(randomUuid(random)));
});
